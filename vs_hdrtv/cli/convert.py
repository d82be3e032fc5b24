"""`vs-hdrtv convert`: an SDR file in, an HDR10 or HLG file out."""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import engines, media, output
from ..scenes import KINDS
from . import whole
from .console import Progress, duration, say
from .whole import NAME

if TYPE_CHECKING:
    import vapoursynth as vs

    from ..letterbox import Letterbox
    from ..output.mux import Written

logger = logging.getLogger(__name__)


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


def scene_list(text: str) -> str | list[int]:
    """`auto`, `props`, `none`, or the frames that begin scenes with commas between."""
    if text in KINDS:
        return text
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {', '.join(KINDS)} or frame numbers like 0,240,517") from None


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
    Option("preset", str, None, "what converts: fast, kernels, recover, bt2446a, bt2446c, bt2408 (default: fast)"),
    Option("model", str, "NAME|PATH", "network to use instead of the preset's own"),
    Option("engine", str, None, "auto, cpu, torch ... (default: auto, CUDA where there is one)"),
    Option("device", str, None, "the engine's device, for example cuda:1"),
    Option("precision", str, None, "fp32, or fp16 on a GPU (default: fp32)"),
    Option("threads", int, "N", "CPU threads of the network (default: all)"),
    Option(
        "steady", int, "K", "frame-wide statistics of the network from 2K+1 frames: less pumping, twice the time (default: 0)"
    ),
    Option("scenes", scene_list, "auto|props|none|N,N", "where scenes begin, which no network of several frames reads over"),
    Option("stride", int, "N", "preset recover: frames to a key frame (default: 6; more is faster)"),
    Option("references", int, "N", "preset recover: frames that a key frame is compared with, on each side (default: 6)"),
    Option("reference_stride", int, "N", "preset recover: frames from one of those to the next (default: 15)"),
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
    _limit_cache()
    start, end = whole.cut(arguments, source.clip.num_frames)
    clip, rate = whole.pictures(source, start, arguments)
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


CACHE = 1536
"""MB of frames that VapourSynth keeps at most. Its own limit is half of the machine's memory, which a network
wants too: DSLNet at 1080p takes ten GB."""


def _limit_cache() -> None:
    import vapoursynth as vs

    vs.core.max_cache_size = min(vs.core.max_cache_size, CACHE)


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
    models = {model for name in names for model in PRESETS[name].models}
    cards = [weights.find(model) for model in (models if arguments.model is None else models | {arguments.model})]
    return sorted(file.sha256 for card in cards for file in card.files.values())


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
    _convert(tagged, {name: value for name, value in options.items() if name not in {"shots", "ceiling_areas", "scenes"}})
    if arguments.letterbox not in ("auto", "none"):
        Letterbox.parse(arguments.letterbox)
    if arguments.shots is not None:
        from .. import shots

        shots.read(arguments.shots)


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
