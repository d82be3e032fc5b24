"""What the VapourSynth filters take as arguments besides clips and numbers: tags, black bars, rectangles."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import reprlib
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
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
    """Bad input becomes `vs.Error`, whose one line is what vspipe and editors show; values of a wrong type are bad input.

    NumPy's numbers and arrays are taken as Python's.
    """
    signature = inspect.signature(function)

    @functools.cache
    def hints() -> dict[str, Any]:  # when it is first called: by then its module knows all the names
        return typing.get_type_hints(function)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise vs.Error(f"{function.__name__}: {error}; help(vs_hdrtv.{function.__name__}) lists the arguments") from None
        try:
            for parameter, value in given.arguments.items():
                given.arguments[parameter] = _plain(value)
                if not _fits(given.arguments[parameter], hints()[parameter]):
                    name = f"{function.__name__}: {parameter}"
                    raise InputError(f"{name} is {_shown(value)}; give {_wanted(hints()[parameter])}")
            return function(*given.args, **given.kwargs)
        except InputError as error:
            raise vs.Error(str(error)) from None

    return wrapper


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type of an annotation, `int` being taken for `float` and for `bool` as in any script."""
    hint = getattr(hint, "__value__", hint)  # what a `type` statement names
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is Sequence:
        return isinstance(value, (list, tuple, range)) and all(_fits(_plain(each), part) for each in value for part in parts)
    if hint in _KINDS:
        return isinstance(value, _KINDS[hint]) and not (isinstance(value, bool) and hint is not bool)
    return isinstance(value, kind or hint)


_KINDS: dict[Any, tuple[type, ...]] = {int: (int,), float: (int, float), bool: (int,)}
_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "True or False", str: "text", types.NoneType: "None"}


def _wanted(hint: Any) -> str:
    """An annotation in words."""
    hint = getattr(hint, "__value__", hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_wanted(part) for part in typing.get_args(hint)))
    if typing.get_origin(hint) is Sequence:
        (part,) = typing.get_args(hint)
        of_lists = typing.get_origin(part) is not None
        return f"a list, each {_wanted(part)}" if of_lists else f"a list of {_wanted(part).removeprefix('a ')}s"
    kind = typing.get_origin(hint) or hint
    return _WORDS.get(kind) or ("a path" if kind is os.PathLike else f"a {kind.__module__}.{kind.__name__}")


def _shown(value: Any) -> str:
    value = _plain(value)
    known = isinstance(value, (str, bytes, int, float, list, tuple))
    return reprlib.repr(value) if known else f"a {type(value).__name__}"


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
        box = letterboxes.detect(sources.open_source(name, clip, "sdr", force=force, quiet=True).planes)
        logger.info("%s: letterbox %s", name, box)
    else:
        box = None if bars == "none" else Letterbox.parse(bars)
    if box:
        box.check(name, clip.width, clip.height)
    return box or None


def read_areas(name: str, clip: vs.VideoNode, areas: Sequence[Sequence[int]] | None) -> list[Area]:
    """The rectangles meant.

    Raises:
        InputError: one is not four whole numbers, or reaches out of the picture, as a slip of the hand would.
    """
    found = []
    for area in areas or ():
        if len(area) != 4 or not all(isinstance(value, int) for value in area):
            raise InputError(f"{name}: area {area!r}; give left, top, width, height in pixels")
        left, top, width, height = area
        if min(left, top) < 0 or min(width, height) < 1 or left + width > clip.width or top + height > clip.height:
            size = f"{clip.width}x{clip.height}"
            said = f"{left},{top},{width},{height}"
            raise InputError(f"{name}: area {said} does not lie in the picture of {size}; give left, top, width, height in it")
        found.append(Area(left, top, width, height))
    return found
