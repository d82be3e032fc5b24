"""`vs-hdrtv info`: what a file holds, in a few lines."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import media
from ..hdr10 import ContentLight, MasteringDisplay
from .console import duration, say

if TYPE_CHECKING:
    from av.container import InputContainer

NAME = "info"

# Code points of H.273 (tables 2, 3 and 4), those that video files carry.
PRIMARIES = {1: "BT.709", 5: "BT.601 (625)", 6: "BT.601 (525)", 9: "BT.2020", 11: "DCI-P3", 12: "P3-D65"}
TRANSFERS = {1: "BT.709", 4: "gamma 2.2", 5: "gamma 2.8", 6: "BT.601", 8: "linear", 13: "sRGB", 14: "BT.2020 (10 bit)"}
TRANSFERS |= {15: "BT.2020 (12 bit)", 16: "PQ (ST 2084)", 18: "HLG"}
MATRICES = {0: "RGB", 1: "BT.709", 5: "BT.601 (625)", 6: "BT.601 (525)", 9: "BT.2020 non-constant", 10: "BT.2020 constant"}
MATRICES |= {14: "ICtCp"}
RANGES = {1: "limited range", 2: "full range"}  # AVColorRange
CHROMA = {1: "left", 2: "centre", 3: "top-left", 4: "top", 5: "bottom-left", 6: "bottom"}  # AVChromaLocation
UNSAID = {0, 2}
"""Code points that say nothing: reserved and unspecified."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    parser.add_argument("file", type=Path, metavar="FILE", help="any file that FFmpeg can read")


def run(arguments: argparse.Namespace) -> int:
    """Describe a file on standard output.

    Returns:
        Exit code 0.

    Raises:
        InputError: it cannot be read.
    """
    with media.open_media(arguments.file, NAME) as container:
        lines = list(_describe(container, arguments.file))
    for line in lines:
        say(line)
    return 0


def _describe(container: InputContainer, path: Path) -> Iterator[str]:
    length = f", {duration(container.duration / 1e6)}" if container.duration else ""
    yield f"file      {path}: {container.format.long_name or container.format.name}{length}, {path.stat().st_size} bytes"
    stream: Any  # PyAV's common type lacks what each kind has
    for stream in container.streams:
        if stream.type == "video":
            yield from _video(container, stream)
        elif stream.type == "audio":
            yield f"audio     {_name(stream)}, {stream.rate} Hz, {stream.layout.name}{_language(stream)}"
        else:
            yield f"{stream.type:<10}{_name(stream)}{_language(stream)}"


def _video(container: InputContainer, stream: Any) -> Iterator[str]:
    frame = media.first_frame(container, stream, NAME)
    frames = stream.frames or media.count_packets(container, stream)
    profile = f" {stream.profile}" if stream.profile else ""
    aspect = stream.sample_aspect_ratio
    shape = f", pixel aspect {aspect.numerator}:{aspect.denominator}" if aspect and aspect != 1 else ""
    turned = f", rotated by {frame.rotation} degrees" if frame.rotation else ""
    rate = stream.average_rate
    speed = f"{rate.numerator}/{rate.denominator} = {float(rate):.3f} frames/s" if rate else "no frame rate"
    yield f"video     {_name(stream)}{profile}, {frame.width}x{frame.height}{shape}{turned}, {frame.format.name}"
    yield f"rate      {speed}, {frames} frames"
    yield "colour    " + ", ".join(
        [
            _code("primaries", PRIMARIES, frame.color_primaries),
            _code("transfer", TRANSFERS, frame.color_trc),
            _code("matrix", MATRICES, frame.colorspace, UNSAID - {0} if frame.format.name.startswith("gb") else UNSAID),
            RANGES.get(frame.color_range, "range not said"),
            f"chroma {CHROMA.get(frame.chroma_location, 'location not said')}",
        ]
    )
    yield f"scan      {'interlaced' if frame.interlaced_frame else 'progressive'}"
    display, light = media.hdr10_metadata(frame)
    if display is not None:
        yield f"mastering {_display(display)}"
    if display is not None or light is not None:
        yield f"light     {_light(light)}"


def _display(display: MasteringDisplay) -> str:
    points = zip(("red", "green", "blue", "white"), (*display.primaries, display.white), strict=True)
    xy = ", ".join(f"{name} ({x:.4f}, {y:.4f})" for name, (x, y) in points)
    return f"{display.min_luminance:g} to {display.max_luminance:g} cd/m2, {xy}"


def _light(light: ContentLight | None) -> str:
    return f"MaxCLL {light.max}, MaxFALL {light.average} cd/m2" if light else "MaxCLL and MaxFALL unknown"


def _code(what: str, names: dict[int, str], code: int, unsaid: set[int] = UNSAID) -> str:
    return f"{what} {'not said' if code in unsaid else names.get(code, f'code {code}')}"


def _name(stream: Any) -> str:
    return stream.codec_context.name if stream.codec_context is not None else "unknown"


def _language(stream: Any) -> str:
    language = stream.metadata.get("language", "und")
    return "" if language == "und" else f", {language}"
