"""What `vs-hdrtv scope` and `vs-hdrtv compare` share: which frames, which files to write, and writing them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .. import media
from ..errors import InputError
from ..output.job import check_output
from . import info
from .console import Progress, say

if TYPE_CHECKING:
    from PIL import Image

FACTS = ("file", "video", "rate", "colour", "scan", "mastering", "light", "differ", "dynamic")
"""Lines of `vs-hdrtv info` that a page repeats."""


def add_arguments(parser: argparse.ArgumentParser, frames: int, picture: str) -> None:
    """Add the arguments of both commands.

    Args:
        parser: the command's.
        frames: default of `--frames`.
        picture: which frame the PNG shows.
    """
    out = parser.add_argument_group("what to write (default: a PNG in this folder)")
    out.add_argument("--output", type=Path, metavar="OUT.png", help=f"one picture, of {picture}")
    out.add_argument("--html", type=Path, metavar="OUT.html", help="one page that needs nothing else, with every frame looked at")
    out.add_argument("--overwrite", action="store_true", help="replace files that exist")
    which = parser.add_argument_group("which frames")
    which.add_argument(
        "--frames",
        type=int,
        default=frames,
        metavar="N",
        help="look at N frames, the middles of N equal parts of the file: the same ones each time (default: %(default)s)",
    )
    which.add_argument("--at", type=_times, metavar="SECONDS,..", help="look at the frames shown at these times instead")
    which.add_argument("--start", type=int, default=0, metavar="N", help="first frame, counted from 0")
    which.add_argument("--end", type=int, metavar="N", help="frame to stop before (default: the end)")


def _times(words: str) -> list[float]:
    try:
        return [float(word) for word in words.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{words!r} is not seconds; give for example 12.5 or 1,2.5,60") from None


def outputs(arguments: argparse.Namespace, sources: tuple[Path, ...], default: str, who: str) -> dict[str, Path]:
    """The files to write by their kind, `png` and `html`, all known to be writable.

    Raises:
        InputError: a name ends wrongly, is taken, is that of a source, or cannot be written.
    """
    wanted = {"png": arguments.output, "html": arguments.html}
    found = {kind: path for kind, path in wanted.items() if path is not None} or {"png": Path(default)}
    for kind, path in found.items():
        if path.suffix.lower() != f".{kind}":
            raise InputError(f"{who}: {path} ends in {path.suffix!r}; a {kind.upper()} file ends in .{kind}")
        for source in sources:
            check_output(path, source, arguments.overwrite, who)
    return found


def write_picture(path: Path, picture: Image.Image, who: str) -> None:
    """Save a PNG, under its name only when all of it is there."""
    with _partial(path, who) as partial:
        picture.save(partial, format="PNG", optimize=True)
    say(f"{path}: {picture.width}x{picture.height}")


def write_page(path: Path, page: str, who: str) -> None:
    """Save a page, under its name only when all of it is there."""
    with _partial(path, who) as partial:
        partial.write_text(page, encoding="utf-8")
    say(f"{path}: {path.stat().st_size / 1e6:.1f} MB, open it in a browser")


@contextmanager
def _partial(path: Path, who: str) -> Iterator[Path]:
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{who}: {path} cannot be written ({media.reason(error)})") from None
    finally:
        if partial.is_file():
            partial.unlink()


def facts(path: Path, who: str) -> list[tuple[str, str]]:
    """What a file holds, of its first video: the lines of `vs-hdrtv info`."""
    with media.open_media(path, who) as container:
        found = info.describe(container, path)
    videos = [stream for stream in found["streams"] if stream["type"] == "video"]
    lines = info.lines(found | {"streams": videos[:1]})
    return [(line[:10].strip(), line[10:].strip()) for line in lines if line[:10].strip() in FACTS]


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, which is gone from its line when the work is done."""
    bar = Progress(sys.stderr)
    try:
        yield bar.update
    finally:
        bar.close()
