"""`vs-hdrtv scope`: a video under the scopes."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from ..letterbox import Letterbox
from . import pictures

NAME = "scope"
FRAMES = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    parser.add_argument("file", type=Path, metavar="FILE", help="HDR10, HLG or SDR video, or a picture, that FFmpeg can read")
    pictures.add_arguments(parser, FRAMES, "the frame looked at whose average MaxRGB is highest")
    light = parser.add_argument_group("light level over time")
    light.add_argument("--every", type=int, metavar="N", help="measure every Nth frame (default: such that about 240 are)")
    light.add_argument(
        "--letterbox", metavar="T,B,L,R", help="black bars, in pixels from each edge, which the average leaves out"
    )
    light.add_argument("--all", action="store_true", help="measure every frame: only then are MaxCLL and MaxFALL the file's")


def run(arguments: argparse.Namespace) -> int:
    """Measure a file and draw what was found.

    Returns:
        Exit code 0.

    Raises:
        InputError: an argument or the file does not fit.
    """
    path: Path = arguments.file
    from ..scope import read, report, sheet

    outputs = pictures.outputs(arguments, (path,), f"{path.stem}-scope.png", NAME)
    if arguments.every is not None and (arguments.every < 1 or arguments.all):
        raise InputError(f"{NAME}: --every is {arguments.every}; give 1 or more, and not together with --all")
    bars = None if arguments.letterbox in (None, "none") else Letterbox.parse(arguments.letterbox)
    video = read.open_video(path, NAME, bars)
    span = video.span(arguments.start, arguments.end)
    numbers = list(read.chosen(video, arguments, span))
    every = 1 if arguments.all else arguments.every or read.stride(span)
    with pictures.progress() as progress:
        found = report.scope(video, span, numbers, every, pictures.facts(path, NAME), progress)
    if "png" in outputs:
        pictures.write_picture(outputs["png"], sheet.scope_sheet(found), NAME)
    if "html" in outputs:
        from ..scope.page import scope_page

        pictures.write_page(outputs["html"], scope_page(found), NAME)
    return 0
