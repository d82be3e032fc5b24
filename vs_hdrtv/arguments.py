"""What the VapourSynth filters take as arguments besides clips and numbers: tags, black bars, rectangles."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence

import vapoursynth as vs

from . import letterbox as letterboxes
from . import sources
from .color.grading import Area
from .errors import InputError
from .letterbox import Letterbox

logger = logging.getLogger(__name__)

type Tag = str | int | None
"""A name or a code point of `sources.TAGS`; None for what the clip says of itself."""

type Bars = Letterbox | Sequence[int] | str | None
"""Black bars: `auto` (`detect_letterbox`), `none` or None, "TOP,BOTTOM,LEFT,RIGHT" or the numbers."""


def one_line_errors[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Bad input becomes `vs.Error`, whose one line is what vspipe and editors show."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            raise vs.Error(str(error)) from None

    return wrapper


def retag(name: str, clip: vs.VideoNode, matrix: Tag, transfer: Tag, primaries: Tag, range: Tag, location: Tag) -> vs.VideoNode:
    """`clip` tagged as the arguments say; see `sources.retag`."""
    tags = {"matrix": matrix, "transfer": transfer, "primaries": primaries, "range": range, "chroma_location": location}
    return sources.retag(name, clip, tags)


def read_letterbox(name: str, clip: vs.VideoNode, bars: Bars, force: bool) -> Letterbox | None:
    """The bars meant, None where there are none.

    Raises:
        InputError: they cannot be read, or leave nothing of the picture.
    """
    if bars is None or isinstance(bars, Letterbox):
        box = bars
    elif not isinstance(bars, str):
        box = Letterbox.parse(",".join(map(str, bars)))
    elif bars == "auto" and name != "light_level":
        box = letterboxes.detect(sources.open_source(name, clip, "sdr", force=force).planes)
        logger.info("%s: letterbox %s", name, box)
    else:
        box = None if bars == "none" else Letterbox.parse(bars)
    if box:
        box.check(name, clip.width, clip.height)
    return box or None


def read_areas(name: str, areas: Sequence[Sequence[int]] | None) -> list[Area]:
    """The rectangles meant.

    Raises:
        InputError: one is not four whole numbers.
    """
    found = []
    for area in areas or ():
        if len(area) != 4 or not all(isinstance(value, int) for value in area):
            raise InputError(f"{name}: area {area!r}; give left, top, width, height in pixels")
        found.append(Area(*area))
    return found
