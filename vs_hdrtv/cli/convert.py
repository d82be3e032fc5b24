"""`vs-hdrtv convert`: an SDR file in, an HDR10 or HLG file out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .. import engines, media, video
from ..errors import InputError
from ..hdr10 import SIGNALLING
from .console import Progress, duration, say

if TYPE_CHECKING:
    import vapoursynth as vs

NAME = "convert"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    parser.add_argument("input", type=Path, metavar="IN", help="SDR video file")
    parser.add_argument("output", type=Path, metavar="OUT", help=f"HDR file to write ({', '.join(video.CONTAINERS)})")
    hdr = parser.add_argument_group("conversion")
    hdr.add_argument("--preset", default="fast", help="what converts: fast, bt2446a, bt2446c, bt2408 (default: fast)")
    hdr.add_argument("--model", metavar="NAME|PATH", help="network to use instead of the preset's own")
    hdr.add_argument("--engine", default="auto", help="auto, cpu, torch ... (default: auto, CUDA where there is one)")
    hdr.add_argument("--device", help="the engine's device, for example cuda:1")
    hdr.add_argument("--peak", type=float, default=1000.0, help="cd/m2 of the mastering display (default: 1000)")
    hdr.add_argument("--hlg", action="store_true", help="HLG instead of PQ (HDR10)")
    hdr.add_argument("--force", action="store_true", help="convert a file that is tagged HDR as if it were SDR")
    source = parser.add_argument_group("source")
    source.add_argument("--start", type=int, default=0, metavar="N", help="first frame, counted from 0 in IN")
    source.add_argument("--end", type=int, metavar="N", help="frame of IN to stop before (default: its end)")
    source.add_argument(
        "--deinterlace",
        action="store_true",
        help="bwdif, doubling the frame rate; top field first where IN does not say",
    )
    encoder = parser.add_argument_group("encoder (x265)")
    encoder.add_argument("--crf", type=float, default=18.0, help="quality, 0 (best) to 51 (smallest) (default: 18)")
    encoder.add_argument("--speed", default="medium", help=f"{video.SPEEDS[0]} to {video.SPEEDS[-1]} (default: medium)")
    encoder.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")


def run(arguments: argparse.Namespace) -> int:
    """Convert a file.

    Returns:
        Exit code 0.

    Raises:
        InputError: an argument or the file does not fit.
        vs.Error: a filter refused, or failed on a frame.
    """
    media.check_input(arguments.input, NAME)
    video.check_output(arguments.output, arguments.input, arguments.overwrite, NAME)
    video.check_quality(arguments.crf, arguments.speed, NAME)
    # An unknown engine, preset or model shows before a long file is indexed. The engine comes first also because OpenVINO
    # refuses to load once VapourSynth has loaded vapoursynth-mlrt-ov, which brings another build of it.
    engines.create(arguments.engine, device=arguments.device)
    _convert(_blank(), arguments)
    source = media.open_source(arguments.input, NAME)
    start, end = _range(arguments, source.clip.num_frames)
    _check_source(source.clip.get_frame(start).props, arguments)
    clip, fields = source.clip, 1
    if arguments.deinterlace:
        clip, fields = _deinterlace(clip), 2
    # The cut comes last: a frame is the same whether it is converted alone or with its neighbours.
    clip = _convert(clip, arguments)[start * fields : end * fields]
    if not arguments.hlg:
        clip = video.with_light_level(clip)
    audio = video.AudioRange(
        arguments.input,
        start=media.frame_time(source, start),
        from_the_start=start == 0,
        to_the_end=end == source.clip.num_frames,
    )
    progress = Progress()
    try:
        written = video.encode(
            clip, arguments.output, crf=arguments.crf, speed=arguments.speed, audio=audio, progress=progress.update
        )
    finally:
        progress.close()
    say(_summary(arguments, written, progress.elapsed), sys.stderr)
    return 0


def _convert(clip: vs.VideoNode, arguments: argparse.Namespace) -> vs.VideoNode:
    from ..filters import sdr_to_hdr

    return sdr_to_hdr(
        clip,
        arguments.preset,
        model=arguments.model,
        engine=arguments.engine,
        device=arguments.device,
        peak=arguments.peak,
        hlg=arguments.hlg,
        force=arguments.force,
    )


def _blank() -> vs.VideoNode:
    """A small SDR clip to try the arguments on."""
    import vapoursynth as vs

    blank = vs.core.std.BlankClip(width=64, height=64, format=vs.YUV420P8, length=1)
    return blank.std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1, _Range=0, _FieldBased=0)


def _range(arguments: argparse.Namespace, frames: int) -> tuple[int, int]:
    """First frame and the one to stop before, inside the file."""
    start: int = arguments.start
    end: int = frames if arguments.end is None else arguments.end
    if not 0 <= start < frames:
        raise InputError(f"{NAME}: --start is {start}; {arguments.input} has frames 0 to {frames - 1}")
    if not start < end <= frames:
        raise InputError(f"{NAME}: --end is {end}; choose {start + 1} to {frames} (the frame to stop before)")
    return start, end


def _check_source(properties: vs.FrameProps, arguments: argparse.Namespace) -> None:
    """The two kinds of source that the filters refuse, said in the command line's own words."""
    if properties.get("_FieldBased", 0) and not arguments.deinterlace:
        raise InputError(f"{NAME}: {arguments.input} is interlaced; add --deinterlace")
    for kind, signalling in SIGNALLING.items():
        if properties.get("_Transfer") == signalling.transfer and not arguments.force:
            raise InputError(f"{NAME}: {arguments.input} is HDR already ({kind.upper()}); --force converts it as if it were SDR")


def _deinterlace(clip: vs.VideoNode) -> vs.VideoNode:
    import vapoursynth as vs

    if not hasattr(vs.core, "bwdif"):
        raise InputError(f"{NAME}: VapourSynth has no bwdif; install it with pip install vapoursynth-bwdif")
    return vs.core.bwdif.Bwdif(clip, field=3)  # 3: a frame for each field, top first unless the frame says otherwise


def _summary(arguments: argparse.Namespace, written: video.Encoded, elapsed: float) -> str:
    parts = [
        f"{arguments.output}: {written.frames} frames ({duration(float(written.duration))})",
        f"HEVC Main 10 {'HLG' if arguments.hlg else 'HDR10'}",
        f"{written.audio} audio stream{'s' * (written.audio != 1)}",
        f"{written.frames / max(elapsed, 1e-9):.1f} frames/s",
    ]
    if written.light is not None:
        parts.append(f"measured MaxCLL {written.light.max}, MaxFALL {written.light.average} cd/m2 (not in the file yet)")
    return ", ".join(parts)
