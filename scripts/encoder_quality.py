"""What encoding loses: the bits that an encoder takes, and how far its file is from the frames it was given.

    python scripts/encoder_quality.py CLIP.mp4 --end 36
    python scripts/encoder_quality.py CLIP.mp4 --settings x265:18 x265:16 svt-av1:14

CLIP is SDR: it is converted once, into a lossless file of 10-bit 4:2:0, which every setting (ENCODER:CRF) then encodes. Losses of
4:2:0 itself, which all of them share, are not in the numbers. Columns:

    Mb/s, s      of the file, and what encoding took
    PSNR         of PQ, dB
    dE_ITP       ITU-R BT.2124: mean, and the 99th percentile of pixels
    dark colour  mean dE_ITP where there are saturated colours (smallest channel below half of the largest) of 0.5 to 20 cd/m2

`plain-x265` is x265 without `hdr10.CHROMA_OFFSETS`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from vs_hdrtv import cli
from vs_hdrtv.color.gamut import luminance
from vs_hdrtv.color.transfer import pq_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.hdr10 import CHROMA_OFFSETS
from vs_hdrtv.metrics.difference import delta_e_itp_map, psnr
from vs_hdrtv.output import ENCODERS, Settings, choose, write
from vs_hdrtv.output.encoders import Encoder, Look, quiet
from vs_hdrtv.scope import read

WHO = "encoder_quality"
DARK = (0.5, 20.0)
"""cd/m2 between which a saturated colour counts as dark."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; the exit code."""
    with patch.dict(ENCODERS, {"plain-x265": plain_x265()}):
        return measure(argv)


def measure(argv: Sequence[str] | None) -> int:
    """`main`, where there is a `plain-x265`."""
    try:
        arguments = parse(argv)
        wanted = [settings(words) for words in arguments.settings]
        quiet()
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder, "whole.mkv")
            extent = [] if arguments.end is None else ["--end", str(arguments.end)]
            convert = ["convert", arguments.clip, str(whole), "--encoder", "ffv1", "--format", "yuv420p10", *extent]
            if code := cli.main([*convert, "--preset", arguments.preset]):
                return code
            frames = read.open_video(whole, WHO)
            numbers = read.evenly(range(frames.frames), arguments.frames)
            truth = [frames.picture(number)[0] for number in numbers]
            seconds = frames.frames / float(frames.clip.fps)
            size = "x".join(map(str, frames.size))
            print(f"{arguments.clip}: {frames.frames} frames of {size}, {len(numbers)} of them compared")
            print("| encoder | Mb/s | s | PSNR | dE_ITP | 99th percentile | dark colour |")
            print("|---|---|---|---|---|---|---|")
            for each in wanted:
                output = Path(folder, "encoded.mkv")
                output.unlink(missing_ok=True)
                began = time.perf_counter()
                write(frames.clip, output, each, who=WHO)
                took = time.perf_counter() - began
                rate = output.stat().st_size * 8e-6 / seconds
                encoded = read.open_video(output, WHO)
                found = compared(truth, [encoded.picture(number)[0] for number in numbers])
                print(f"| {each} | {rate:.2f} | {took:.1f} | {' | '.join(f'{number:.2f}' for number in found)} |", flush=True)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments.

    Raises:
        InputError: there are to be no frames.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", help="SDR video file")
    parser.add_argument("--settings", nargs="+", default=["plain-x265:18", "x265:18", "x265:16", "svt-av1:24", "svt-av1:14"])
    parser.add_argument("--preset", default="fast", help="what converts (default: fast)")
    parser.add_argument("--end", type=int, help="frame to stop before (default: the end)")
    parser.add_argument("--frames", type=int, default=6, help="frames compared, evenly over the clip (default: 6)")
    arguments = parser.parse_args(argv)
    if arguments.frames < 1:
        raise InputError(f"{WHO}: --frames is {arguments.frames}; give 1 or more")
    return arguments


def plain_x265() -> Encoder:
    """x265 as it is for colours that fill their gamut."""
    encoder = ENCODERS["x265"]

    def parameters(look: Look) -> dict[str, str]:
        words = encoder.parameters(look)["x265-params"].split(":")
        return {"x265-params": ":".join(word for word in words if word.split("=")[0] not in CHROMA_OFFSETS)}

    return replace(encoder, parameters=parameters)


def settings(words: str) -> Settings:
    """`ENCODER:CRF`, or `ENCODER` for its default.

    Raises:
        InputError: there is no such encoder or quality.
    """
    name, _, words_of_quality = words.partition(":")
    try:
        quality = float(words_of_quality) if words_of_quality else None
    except ValueError:
        raise InputError(f"{WHO}: setting is {words!r}; give ENCODER:CRF, for example x265:16") from None
    return choose(".mkv", name, quality, packing="yuv420p10", who=WHO)


def compared(truth: list[NDArray[np.float32]], encoded: list[NDArray[np.float32]]) -> tuple[float, float, float, float]:
    """PSNR, dE_ITP, its 99th percentile, and of dark saturated colours (NaN where there are none)."""
    maps = np.stack([delta_e_itp_map(other, one) for one, other in zip(truth, encoded, strict=True)])  # (N, H, W)
    dark = maps[np.stack([is_dark_color(picture) for picture in truth])]
    mean = float(np.mean([psnr(other, one) for one, other in zip(truth, encoded, strict=True)]))
    return mean, float(maps.mean()), float(np.percentile(maps, 99)), float(dark.mean()) if dark.size else float("nan")


def is_dark_color(picture: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(3, H, W) PQ signal -> (H, W)."""
    light = pq_eotf(picture)
    grey = luminance(light, "bt2020")[0]  # (H, W)
    return (light.min(0) < 0.5 * light.max(0)) & (grey > DARK[0]) & (grey < DARK[1])


if __name__ == "__main__":
    raise SystemExit(main())
