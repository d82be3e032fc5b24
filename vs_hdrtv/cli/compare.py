"""`vs-hdrtv compare`: two videos beside each other, frame by frame."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import InputError
from . import pictures
from .console import say

NAME = "compare"
FRAMES = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    parser.add_argument("a", type=Path, metavar="A", help="the reference: an SDR source (compared by its BT.2408 mapping) or HDR")
    parser.add_argument("b", type=Path, metavar="B", help="the video to compare with it, of the same size")
    pictures.add_arguments(parser, FRAMES, "the frame looked at whose mean dE_ITP is highest")
    parser.add_argument("--offset", type=int, default=0, metavar="N", help="frame of A that B begins with (default: 0)")


def run(arguments: argparse.Namespace) -> int:
    """Compare two files and draw what was found.

    Returns:
        Exit code 0.

    Raises:
        InputError: an argument or a file does not fit.
    """
    a_path, b_path = arguments.a, arguments.b
    from ..scope import read, report, sheet

    outputs = pictures.outputs(arguments, (a_path, b_path), f"{a_path.stem}-{b_path.stem}-compare.png", NAME)
    a, b = read.open_video(a_path, NAME), read.open_video(b_path, NAME)
    notes: list[str] = []
    both, size = report.common(a, b, arguments.offset, notes)
    asked = a.span(arguments.start, arguments.end)
    span = range(max(both.start, asked.start), min(both.stop, asked.stop))
    if not span:
        frames = f"frames {asked.start} to {asked.stop - 1} of {a_path}"
        raise InputError(f"{NAME}: {frames} are not in {b_path}; change --start, --end or --offset")
    numbers = list(read.chosen(a, arguments, span))
    if a.kind == "SDR" or b.kind == "SDR":
        letters = " and ".join(letter for letter, video in zip("AB", (a, b), strict=True) if video.kind == "SDR")
        say(f"{NAME}: {letters} compared as {read.READINGS['SDR']}", sys.stderr)
    for note in notes:
        say(f"{NAME}: {note}", sys.stderr)
    with pictures.progress() as progress:
        all_facts = pictures.facts(a_path, NAME), pictures.facts(b_path, NAME)
        found = report.compare(a, b, numbers, size, arguments.offset, facts=all_facts, notes=notes, progress=progress)
    for name, of, digits, unit in sheet.NUMBERS:
        say(f"{name}: {sheet.show_number(found.mean(of), digits, unit)}")
    if "png" in outputs:
        pictures.write_picture(outputs["png"], sheet.compare_sheet(found), NAME)
    if "html" in outputs:
        from ..scope.page import compare_page

        pictures.write_page(outputs["html"], compare_page(found), NAME)
    return 0
