"""`vs-hdrtv x265-args`: what an encoder has to be told because y4m does not carry it.

    flags=$(vs-hdrtv x265-args s.vpy) && vspipe -c y4m s.vpy - | x265 --y4m - $flags --output out.hevc

Put straight into x265's line, `$(...)` works too, but a shell goes on when it fails: x265 would make a file that says nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import light
from ..errors import InputError
from ..hdr10 import ENCODER_ARGUMENTS, PACKED, SIGNALLING, ContentLight, MasteringDisplay, Signalling
from .console import Progress, say
from .script import parse_arguments, script_output

if TYPE_CHECKING:
    import vapoursynth as vs

NAME = "x265-args"

FORMATS = {
    "x265": tuple(f"yuv{sampling}p{depth}" for sampling in ("420", "422", "444") for depth in (10, 12)),
    "svt-av1": (PACKED,),
    "nvenc": (PACKED,),
}
"""What each encoder's flags are right for, by the name of the VapourSynth format in small letters."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    parser.add_argument("script", type=Path, metavar="SCRIPT.vpy", help="script whose output is piped to the encoder")
    parser.add_argument("-o", "--output", type=int, default=0, metavar="N", help="output of the script (default: 0)")
    parser.add_argument("-a", "--arg", action="append", default=[], metavar="KEY=VALUE", help="as vspipe's; may be repeated")
    parser.add_argument("--encoder", default="x265", choices=ENCODER_ARGUMENTS, help="whose flags (default: x265)")
    parser.add_argument(
        "--max-cll",
        metavar="MAX,AVERAGE|none",
        help="MaxCLL and MaxFALL in cd/m2, or none to leave them unknown; without it they are measured, "
        "which computes every frame once",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the flags, one line whose words a shell may split at blanks.

    Returns:
        Exit code 0.

    Raises:
        InputError: the script fails, its output is not what `to_hdr10` or `to_hlg` gives, or an argument does not fit.
        vs.Error: a frame could not be computed.
    """
    given = _parse_level(arguments.max_cll)
    with script_output(arguments.script, parse_arguments(arguments.arg, NAME), arguments.output, NAME) as clip:
        with clip.get_frame(0) as frame:
            properties = dict(frame.props)
        kind, signalling = _signalling(arguments.encoder, clip, properties)
        level = _level(clip, properties, kind, given, arguments)
    words = ENCODER_ARGUMENTS[arguments.encoder](
        signalling,
        MasteringDisplay.from_properties(properties) if kind == "pq" else None,
        level,
        _aspect(properties),
        **({"samples": clip.format.name.lower()} if arguments.encoder == "x265" else {}),
    )
    say(" ".join(words))
    return 0


def _parse_level(text: str | None) -> ContentLight | str | None:
    """`--max-cll`: None to measure, `none`, or the two numbers."""
    if text is None or text == "none":
        return text
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise InputError(f"{NAME}: --max-cll is {text!r}; give MAX,AVERAGE in whole cd/m2, or none")
    return ContentLight(int(parts[0]), int(parts[1]))


def _signalling(encoder: str, clip: vs.VideoNode, properties: Mapping[str, Any]) -> tuple[str, Signalling]:
    """The kind of HDR that the first frame says it is, with its own range and chroma location."""
    import vapoursynth as vs

    found = "of variable format" if clip.format is None else clip.format.name
    if found.lower() not in FORMATS[encoder]:
        known = ", ".join(name.upper() for name in FORMATS[encoder])
        raise InputError(f"{NAME}: the output is {found}; {encoder} takes {known}: end the script with to_hdr10 or to_hlg")
    transfer = properties.get("_Transfer")
    kind = next((kind for kind, signalling in SIGNALLING.items() if signalling.transfer == transfer), None)
    if kind is None:
        found = f"_Transfer={transfer}"
        raise InputError(f"{NAME}: the output is neither PQ nor HLG ({found}); end the script with to_hdr10 or to_hlg")
    signalling = SIGNALLING[kind]
    for key, expected in (("_Primaries", signalling.primaries), ("_Matrix", signalling.matrix)):
        if properties.get(key) != expected:
            found = properties.get(key)
            raise InputError(f"{NAME}: the output is not BT.2020 ({key}={found}); set it with core.std.SetFrameProps if it is")
    location = int(properties.get("_ChromaLocation", signalling.chroma_location))
    return kind, dataclasses.replace(signalling, chroma_location=location, full_range=properties.get("_Range") == vs.RANGE_FULL)


def _level(
    clip: vs.VideoNode,
    properties: Mapping[str, Any],
    kind: str,
    given: ContentLight | str | None,
    arguments: argparse.Namespace,
) -> ContentLight | None:
    """MaxCLL and MaxFALL: given, stated by the frames, or measured; None for unknown."""
    if kind == "hlg" and isinstance(given, ContentLight):
        raise InputError(f"{NAME}: --max-cll with an HLG output; HLG has no content light level, leave it out")
    stated = ContentLight.from_properties(properties)
    if given is not None or stated is not None or kind == "hlg":
        _warn_rate([properties], clip.fps)
        return given if isinstance(given, ContentLight) else stated if given is None else None
    say(
        f"{NAME}: measuring MaxCLL and MaxFALL, which computes all {clip.num_frames} frames once more; "
        "--max-cll MAX,AVERAGE or --max-cll none skips it",
        sys.stderr,
    )
    measured = clip if light.MAX_RGB in properties else light.light_level(clip)
    progress = Progress()
    seen: list[Mapping[str, Any]] = []
    try:
        for frame_properties in _properties_of(measured):
            seen.append(frame_properties)
            progress.update(len(seen), clip.num_frames)
    finally:
        progress.close()
    _warn_rate(seen, clip.fps)
    return light.programme_level(seen)


def _properties_of(clip: vs.VideoNode) -> Iterator[dict[str, Any]]:
    """What is wanted of each frame's properties; the frames are let go at once."""
    wanted = (light.MAX_RGB, light.AVERAGE_MAX_RGB, "_DurationNum", "_DurationDen")
    for frame in clip.frames(close=True):
        yield {key: frame.props[key] for key in wanted if key in frame.props}


ROUNDED = Fraction(3, 2000)
"""Seconds that a frame may be from its place: containers that count in milliseconds round each time (`media.timing`)."""


def _warn_rate(frames: list[Mapping[str, Any]], rate: Fraction) -> None:
    """Say so where the frames are not all shown for as long as the one rate of y4m has it."""
    shown = [
        Fraction(int(found["_DurationNum"]), int(found["_DurationDen"]))
        if found.get("_DurationNum") and found.get("_DurationDen")
        else 1 / Fraction(rate or 1)
        for found in frames
    ]
    # Files seldom say how long the last frame is shown; one alone is all that is known.
    ends = accumulate(shown[:-1] or shown)
    if rate and all(abs(end - number / Fraction(rate)) <= ROUNDED for number, end in enumerate(ends, 1)):
        return
    say(
        f"{NAME}: the frame rate varies, and y4m carries one rate only; add --timecodes times.txt to vspipe and give the file to "
        "the muxer (mkvmerge --timestamps 0:times.txt out.hevc)",
        sys.stderr,
    )


def _aspect(properties: Mapping[str, Any]) -> Fraction | None:
    """Pixel aspect ratio, None where the frame does not say it."""
    width, height = int(properties.get("_SARNum", 0)), int(properties.get("_SARDen", 0))
    return Fraction(width, height) if width > 0 and height > 0 else None
