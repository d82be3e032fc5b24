"""`vs-hdrtv convert`: an SDR file in, an HDR10 or HLG file out."""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import engines, media, output
from ..errors import InputError
from ..hdr10 import SIGNALLING
from ..scan import Scan, recognise
from .console import Progress, duration, say

if TYPE_CHECKING:
    import vapoursynth as vs

    from ..letterbox import Letterbox
    from ..output.mux import Written

logger = logging.getLogger(__name__)

NAME = "convert"

_SDR_TRANSFERS = {1, 4, 5, 6, 7, 13, 14, 15}
"""Transfer characteristics of SDR. H.273, table 3."""

_DOLBY_SDR = 2
"""`dv_bl_signal_compatibility_id` of a base layer in SDR."""


@dataclass(frozen=True)
class Option:
    """An argument of `presets.sdr_to_hdr` that the command line takes by the same name, and hands on where it is given.

    Attributes:
        name: the argument, `--reference-white` being `reference_white`.
        type: how its word is read; bool for a switch.
        metavar: what stands for its value in the help.
        help: for people.
        repeated: it is a list, `ceiling_areas` being given as `--ceiling-area` once for each.
    """

    name: str
    type: Callable[[str], object]
    metavar: str | None
    help: str
    repeated: bool = False

    @property
    def flag(self) -> str:
        """As it is typed."""
        return f"--{(self.name.removesuffix('s') if self.repeated else self.name).replace('_', '-')}"


def area(text: str) -> tuple[int, ...]:
    """`LEFT,TOP,WIDTH,HEIGHT` in pixels."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} is not LEFT,TOP,WIDTH,HEIGHT in pixels")
    return numbers


CONVERSION = (
    Option("preset", str, None, "what converts: fast, bt2446a, bt2446c, bt2408 (default: fast)"),
    Option("model", str, "NAME|PATH", "network to use instead of the preset's own"),
    Option("engine", str, None, "auto, cpu, torch ... (default: auto, CUDA where there is one)"),
    Option("device", str, None, "the engine's device, for example cuda:1"),
    Option("precision", str, None, "fp32, or fp16 on a GPU (default: fp32)"),
    Option("threads", int, "N", "CPU threads of the network (default: all)"),
    Option("peak", float, "CD/M2", "of the mastering display (default: 1000)"),
    Option("hlg", bool, None, "HLG instead of PQ (HDR10)"),
    Option("force", bool, None, "convert a file that is tagged HDR as if it were SDR"),
)
LOOK = (
    Option("strength", float, "0..1", "how much of the network's look over a plain BT.2408 mapping (default: 1)"),
    Option("reference_white", float, "CD/M2", "where SDR white goes (default: 203)"),
    Option("highlight_gain", float, "FACTOR", "of what is brighter than reference white (default: 1)"),
    Option("saturation", float, "FACTOR", "of colour (default: 1)"),
    Option("ceiling", float, "CD/M2", "nothing is brighter, or nothing in the ceiling areas (default: the peak)"),
    Option("ceiling_areas", area, "L,T,W,H", "where the ceiling holds: subtitles, a logo; may be repeated", repeated=True),
    Option("shots", Path, "FILE", "text file of other values of these for some frames, counted from 0 in IN (deinterlaced)"),
)
TAGS = (
    Option("matrix", str, "NAME", "what IN is, whatever it says of itself: 709, 170m, 470bg ..."),
    Option("range", str, "NAME", "limited or full"),
    Option("transfer", str, "NAME", "709, 601, srgb ..."),
    Option("primaries", str, "NAME", "709, 170m, 470bg ..."),
    Option("chroma_location", str, "NAME", "left, center, top_left ..."),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    parser.add_argument("input", type=Path, metavar="IN", help="SDR video file")
    parser.add_argument("output", type=Path, metavar="OUT", help=f"HDR file to write ({', '.join(output.CONTAINERS)})")
    _add_options(parser, "conversion", CONVERSION)
    _add_options(parser, "look", LOOK)
    source = parser.add_argument_group("source")
    source.add_argument("--start", type=int, default=0, metavar="N", help="first frame, counted from 0 in IN")
    source.add_argument("--end", type=int, metavar="N", help="frame of IN to stop before (default: its end)")
    source.add_argument("--track", type=int, metavar="N", help="index of the video stream (default: the first)")
    scan = source.add_mutually_exclusive_group()
    scan.add_argument(
        "--deinterlace",
        action="store_true",
        help="bwdif, doubling the frame rate; top field first where IN does not say",
    )
    scan.add_argument("--detelecine", action="store_true", help="VIVTC, film out of 3:2 pulldown: four frames of five")
    scan.add_argument("--progressive", action="store_true", help="take the frames as they are, though IN is tagged interlaced")
    source.add_argument(
        "--letterbox",
        default="none",
        metavar="auto|none|T,B,L,R",
        help="black bars, in pixels from each edge, that neither the network nor MaxFALL sees (default: none)",
    )
    _add_options(parser, "tags of the source", TAGS)
    encoder = parser.add_argument_group("output")
    encoder.add_argument("--encoder", help=f"{', '.join(output.ENCODERS)} (default: the first that OUT may hold)")
    encoder.add_argument("--crf", type=float, metavar="Q", help=f"quality, low is good: {_qualities()}")
    encoder.add_argument("--speed", metavar="NAME", help=f"the encoder's preset: {_speeds()}")
    encoder.add_argument("--format", metavar="NAME", help="samples: yuv420p10 ... (default: the encoder's first)")
    encoder.add_argument("--overwrite", action="store_true", help="replace OUT, and an unfinished conversion to it")
    encoder.add_argument("--resume", action="store_true", help="go on with an unfinished conversion to OUT, if there is one")


def _add_options(parser: argparse.ArgumentParser, title: str, options: tuple[Option, ...]) -> None:
    group = parser.add_argument_group(title)
    for option in options:
        if option.type is bool:
            group.add_argument(option.flag, action="store_true", default=None, help=option.help)
        else:
            action = "append" if option.repeated else "store"
            flag, name, kind = option.flag, option.name, option.type
            group.add_argument(flag, action=action, dest=name, type=kind, metavar=option.metavar, help=option.help)


def _qualities() -> str:
    known = {name: encoder.quality for name, encoder in output.ENCODERS.items()}
    return "; ".join(f"{name} {q.best:g} to {q.smallest:g}, default {q.default:g}" for name, q in known.items() if q)


def _speeds() -> str:
    known = {name: encoder for name, encoder in output.ENCODERS.items() if encoder.speeds}
    return "; ".join(f"{name} {e.speeds[0]} to {e.speeds[-1]}, default {e.speed}" for name, e in known.items())


def run(arguments: argparse.Namespace) -> int:
    """Convert a file.

    Returns:
        Exit code 0.

    Raises:
        InputError: an argument or the file does not fit.
        vs.Error: a filter refused, or failed on a frame.
    """
    media.check_input(arguments.input, NAME, arguments.track)
    before = arguments.input.stat()
    settings = output.choose(
        arguments.output.suffix, arguments.encoder, arguments.crf, arguments.speed, arguments.format, who=NAME
    )
    output.check_output(arguments.output, arguments.input, arguments.overwrite, NAME)
    options = _given(arguments) | {"format": settings.format}
    # An unknown engine, preset or model shows before a long file is indexed. The engine comes first also because OpenVINO
    # refuses to load once VapourSynth has loaded vapoursynth-mlrt-ov, which brings another build of it.
    _engine(arguments)
    _try(arguments, options)
    source = media.open_source(arguments.input, NAME, arguments.track)
    start, end = _range(arguments, source.clip.num_frames)
    clip, rate = _upright(source, start, arguments)
    bars = _letterbox(clip, arguments)
    # The cut comes last: a frame is the same whether it is converted alone or with its neighbours.
    hdr = _convert(clip, options | {"letterbox": bars})[ceil(start * rate) : ceil(end * rate)]
    if not arguments.hlg:
        from ..light import light_level

        hdr = light_level(hdr, bars)
    written, progress = _write(hdr, arguments, settings, options, bars, source, (start, end))
    after = arguments.input.stat() if arguments.input.exists() else None
    if after is None or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        logger.warning("%s was changed while it was converted; look at the result, or convert it again", arguments.input)
    say(_summary(arguments, settings, written, progress.rate(written.frames)), sys.stderr)
    return 0


def _write(
    clip: vs.VideoNode,
    arguments: argparse.Namespace,
    settings: output.Settings,
    options: dict[str, Any],
    bars: Letterbox | None,
    source: media.Source,
    cut: tuple[int, int],
) -> tuple[Written, Progress]:
    from ..output.companions import Excerpt

    start, end = cut
    excerpt = Excerpt(
        source.path,
        start=media.frame_time(source, start),
        track=source.track,
        from_the_start=start == 0,
        to_the_end=end == source.clip.num_frames,
    )
    progress = Progress()
    try:
        written = output.write(
            clip,
            arguments.output,
            settings,
            excerpt=excerpt,
            job=_job(arguments, options, bars, source, cut),
            resume=arguments.resume,
            overwrite=arguments.overwrite,
            progress=progress.update,
            resumed=progress.resume,
            who=NAME,
        )
    finally:
        progress.close()
    return written, progress


def _job(
    arguments: argparse.Namespace, options: dict[str, Any], bars: Letterbox | None, source: media.Source, cut: tuple[int, int]
) -> dict[str, Any]:
    """All that decides the pixels: an unfinished conversion goes on only with the same."""
    there = arguments.input.stat()
    shots = {"shots": hashlib.sha256(arguments.shots.read_bytes()).hexdigest()} if arguments.shots is not None else {}
    engine = _engine(arguments)
    return {
        "version": importlib.metadata.version("vs-hdrtv"),
        "source": {
            "path": str(arguments.input.resolve()),
            "size": there.st_size,
            "modified": there.st_mtime_ns,
            "track": source.track,
            "frames": list(cut),
            "deinterlaced": arguments.deinterlace,
            "detelecined": arguments.detelecine,
            "progressive": arguments.progressive,
        },
        "arguments": options | shots | {"letterbox": str(bars or "none")},
        "engine": f"{engine.name} {engine.device}, {engine.threads} threads",
        "weights": _weights(arguments),
    }


def _weights(arguments: argparse.Namespace) -> list[str]:
    """Checksums of the networks that the arguments and the shots name."""
    from .. import shots, weights
    from ..presets import PRESETS

    names = [arguments.preset or "fast"] if arguments.model is None else []
    for shot in shots.read(arguments.shots) if arguments.shots is not None else []:
        names += [str(shot.parameters["preset"])] if "preset" in shot.parameters else []
    models = {arguments.model} | {model for name in names for model in (PRESETS[name].model, PRESETS[name].overexposed)}
    return sorted(weights.find(model).safetensors_sha256 for model in models if model is not None)


def _engine(arguments: argparse.Namespace) -> engines.Engine:
    said = arguments
    given = {"device": said.device, "precision": said.precision, "threads": said.threads}
    engine = "auto" if said.engine is None else said.engine
    return engines.create(engine, **{name: value for name, value in given.items() if value is not None})


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of the filters that were given; the others keep the filters' defaults."""
    options = {option.name: getattr(arguments, option.name) for option in (*CONVERSION, *LOOK, *TAGS)}
    return {name: value for name, value in options.items() if value is not None}


def _convert(clip: vs.VideoNode, options: dict[str, Any]) -> vs.VideoNode:
    from ..presets import sdr_to_hdr

    return sdr_to_hdr(clip, **options)


def _try(arguments: argparse.Namespace, options: dict[str, Any]) -> None:
    """The arguments on a small SDR clip, without those that need the real one."""
    import vapoursynth as vs

    from ..letterbox import Letterbox

    blank = vs.core.std.BlankClip(width=64, height=64, format=vs.YUV420P8, length=1)
    tagged = blank.std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1, _Range=0, _FieldBased=0)
    _convert(tagged, {name: value for name, value in options.items() if name not in {"shots", "ceiling_areas"}})
    if arguments.letterbox not in ("auto", "none"):
        Letterbox.parse(arguments.letterbox)
    if arguments.shots is not None:
        from .. import shots

        shots.read(arguments.shots)


def _range(arguments: argparse.Namespace, frames: int) -> tuple[int, int]:
    """First frame and the one to stop before, inside the file."""
    start: int = arguments.start
    end: int = frames if arguments.end is None else arguments.end
    if not 0 <= start < frames:
        raise InputError(f"{NAME}: --start is {start}; {arguments.input} has frames 0 to {frames - 1}")
    if not start < end <= frames:
        raise InputError(f"{NAME}: --end is {end}; choose {start + 1} to {frames} (the frame to stop before)")
    return start, end


def _upright(source: media.Source, start: int, arguments: argparse.Namespace) -> tuple[vs.VideoNode, Fraction]:
    """The source as whole pictures, and how many of them one of its frames makes.

    Raises:
        InputError: it is interlaced and nobody said what to do, or HDR already.
    """
    from ..sources import is_constant

    clip, path = source.clip, arguments.input
    if not is_constant(clip):
        raise InputError(f"{NAME}: {path} changes its size or format midway; cut it into parts that are alike")
    _say_cut(source)
    properties = clip.get_frame(start).props
    for kind, signalling in SIGNALLING.items():
        transfer = properties.get("_Transfer") if arguments.transfer is None else None
        if transfer == signalling.transfer and not arguments.force:
            raise InputError(f"{NAME}: {path} is HDR already ({kind.upper()}); --force converts it as if it were SDR")
    _check_dynamic(source, properties.get("_Transfer"), arguments)
    if arguments.progressive:
        return clip.std.SetFieldBased(0), Fraction(1)
    # What the pictures themselves show: tags are often wrong in both directions.
    found = recognise(clip)
    if arguments.deinterlace and found.kind == "progressive" and not found.tagged and not found.mixed:
        logger.warning("%s looks progressive (%s); --deinterlace doubles its frames all the same", path, found.evidence)
    if arguments.deinterlace:
        return _deinterlace(clip), Fraction(2)
    if arguments.detelecine:
        return _detelecine(clip, found), Fraction(4, 5)
    if found.tagged:
        raise InputError(f"{NAME}: {path} is interlaced; {_REMEDIES[found.kind].format(found.evidence)}")
    if found.kind != "progressive":
        remedy = _REMEDIES[found.kind].format(found.evidence)
        logger.warning("%s looks %s though it is not tagged so; %s", path, found.kind, remedy)
    elif found.mixed:
        logger.warning("%s: %s (%s); --deinterlace", path, found.advice, found.evidence)
    return clip, Fraction(1)


def _say_cut(source: media.Source) -> None:
    """A clip of 4:2:0 has even sides: BestSource leaves out the last row or column of a picture that has not."""
    with media.open_media(source.path, NAME) as container:
        stream: Any = container.streams[source.track]
        coded = (stream.width, stream.height)
    clip = (source.clip.width, source.clip.height)
    if any(side % 2 and side - 1 in clip for side in coded):
        size, kept = f"{coded[0]}x{coded[1]}", f"{clip[0]}x{clip[1]}"
        logger.warning("%s is %s; %s of it is converted, since 4:2:0 has even sides", source.path, size, kept)


_REMEDIES = {
    "interlaced": "add --deinterlace ({})",
    "telecined": "film under 3:2 pulldown ({}): --detelecine gives it back, --deinterlace makes video of it",
    "progressive": "its frames look whole ({}): add --progressive to take them so, or --deinterlace",
}
"""What to do about a file that is tagged interlaced, or looks it, by what its pictures show."""


def _check_dynamic(source: media.Source, transfer: int | None, arguments: argparse.Namespace) -> None:
    """Dolby Vision, HDR10+ and their like: they speak of an HDR picture, and of one that is not what comes out.

    Raises:
        InputError: the picture that they belong to is not SDR.
    """
    with media.open_media(source.path, NAME) as container:
        stream: Any = container.streams[source.track]
        found = media.dynamic_metadata(stream, media.first_frame(container, stream, NAME))
        dolby = media.dolby_vision(stream)
    if not found:
        return
    names, sdr = " and ".join(found), transfer in _SDR_TRANSFERS
    if dolby is not None:
        sdr = dolby.compatibility == _DOLBY_SDR
    if not sdr and not arguments.force:
        raise InputError(f"{NAME}: {source.path} is HDR already ({names}); --force converts its base layer as if it were SDR")
    logger.warning("%s holds %s, left out: it does not fit the new picture", source.path, names)


def _deinterlace(clip: vs.VideoNode) -> vs.VideoNode:
    import vapoursynth as vs

    if not hasattr(vs.core, "bwdif"):
        raise InputError(f"{NAME}: VapourSynth has no bwdif; install it with pip install vapoursynth-bwdif")
    return vs.core.bwdif.Bwdif(clip, field=3)  # 3: a frame for each field, top first unless the frame says otherwise


def _detelecine(clip: vs.VideoNode, found: Scan) -> vs.VideoNode:
    import vapoursynth as vs

    if not hasattr(vs.core, "vivtc"):
        raise InputError(f"{NAME}: VapourSynth has no vivtc; install it with pip install vapoursynth-vivtc")
    # VFM looks at pairs of fields, VDecimate at five frames: what they give depends on the clip alone.
    matched = vs.core.vivtc.VFM(clip, order=int(found.field_order != "bottom"))
    return vs.core.vivtc.VDecimate(matched).std.SetFieldBased(0)


def _letterbox(clip: vs.VideoNode, arguments: argparse.Namespace) -> Letterbox | None:
    """The black bars, found once, for the conversion and for the light alike."""
    from ..arguments import read_letterbox, retag

    if arguments.letterbox == "none":
        return None
    said = arguments
    tagged = retag(NAME, clip, said.matrix, said.transfer, said.primaries, said.range, said.chroma_location)
    bars = read_letterbox(NAME, tagged, arguments.letterbox, bool(arguments.force))
    if arguments.letterbox == "auto":
        say(f"{NAME}: {f'black bars of {bars} pixels (top, bottom, left, right)' if bars else 'no black bars'}", sys.stderr)
    return bars


def _summary(arguments: argparse.Namespace, settings: output.Settings, written: Written, rate: float) -> str:
    parts = [
        f"{arguments.output}: {written.frames} frames ({duration(float(written.duration))})",
        f"{settings.title} {'HLG' if arguments.hlg else 'HDR10'}",
        *(f"{number} {_plural(kind, number)}" for kind, number in _counts(written)),
        f"{rate:.1f} frames/s",
    ]
    if written.light is not None:
        parts.append(f"MaxCLL {written.light.max}, MaxFALL {written.light.average} cd/m2")
    return ", ".join(parts)


def _counts(written: Written) -> list[tuple[str, int]]:
    kinds = ("audio", "subtitle", "attachment", "chapter")
    return [(kind, written.counts[kind]) for kind in kinds if written.counts[kind] or kind == "audio"]


def _plural(kind: str, number: int) -> str:
    word = f"{kind} stream" if kind in ("audio", "subtitle") else kind
    return f"{word}{'s' * (number != 1)}"
