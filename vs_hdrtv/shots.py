"""Per-shot overrides: a small text file that says which frames are converted with other parameters.

    # the lamp scene is too hot, the titles are graphics
    1200-1391 = highlight_gain 0.8, saturation 0.95
    1392 = strength 0.5
    5000- = ceiling 203

Frames are counted from 0, both ends belong to the shot, an open end reaches to the clip's end. Frames that no line names keep the
parameters of the call.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError
from .letterbox import Letterbox

_LINE = re.compile(r"(?P<first>\d{1,12})(?:\s*(?P<open>-)\s*(?P<last>\d{1,12})?)?\s*=\s*(?P<parameters>.+)")


PARAMETERS: dict[str, Callable[[str], object]] = {
    "preset": str,
    "strength": float,
    "reference_white": float,
    "highlight_gain": float,
    "saturation": float,
    "ceiling": float,
    "letterbox": lambda text: None if text == "none" else Letterbox.parse(text.replace("/", ",")),
}
"""What a line may change, by `sdr_to_hdr`'s own names, and how a value is read. What belongs to the whole programme (peak,
format, engine) is not among them. A letterbox is written 140/140 or 140/140/0/0, since a comma ends a parameter."""


@dataclass(frozen=True)
class Shot:
    """Frames `first` to `last`, both included (None: to the end), and what differs for them."""

    first: int
    last: int | None
    parameters: Mapping[str, object]
    line: int


def read(path: Path) -> list[Shot]:
    """Shots of a file, in the order of frames.

    Raises:
        InputError: it cannot be read, a line cannot be understood, or two shots share a frame.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"shots: {path} cannot be read ({why}); give a text file of lines like 0-240 = strength 0.5") from None
    return parse(text, str(path))


def parse(text: str, name: str = "shots") -> list[Shot]:
    """Shots of a text; see `read`."""
    shots = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if content:
            shots.append(_shot(content, number, name))
    shots.sort(key=lambda shot: shot.first)
    for one, other in itertools.pairwise(shots):
        if one.last is None or other.first <= one.last:
            both = f"lines {one.line} and {other.line} both name frame {other.first}"
            raise InputError(f"shots: {name}: {both}; each frame belongs to one shot")
    return shots


def ranges(shots: Sequence[Shot], frames: int) -> list[tuple[int, int, Shot | None]]:
    """First frame, the one to stop before, and shot, of a clip of `frames` frames from its start to its end.

    Raises:
        InputError: a shot lies beyond the clip's end.
    """
    found: list[tuple[int, int, Shot | None]] = []
    at = 0
    for shot in shots:
        last = frames - 1 if shot.last is None else shot.last
        if shot.first >= frames or last >= frames:
            beyond = max(shot.first, last)
            raise InputError(f"shots: line {shot.line} of the file names frame {beyond}; the clip has frames 0 to {frames - 1}")
        if shot.first > at:
            found.append((at, shot.first, None))
        found.append((shot.first, last + 1, shot))
        at = last + 1
    if at < frames:
        found.append((at, frames, None))
    return found


def _shot(content: str, number: int, name: str) -> Shot:
    match = _LINE.fullmatch(content)
    if match is None:
        example = "write FRAMES = PARAMETERS, like 0-240 = strength 0.5"
        raise InputError(f"shots: {name}, line {number}: {content!r} cannot be read; {example}")
    first = int(match["first"])
    last = first if match["open"] is None else int(match["last"]) if match["last"] else None
    if last is not None and last < first:
        raise InputError(f"shots: {name}, line {number}: frames {first}-{last} run backward; give the lower number first")
    parameters: dict[str, object] = {}
    for part in match["parameters"].split(","):
        key, _, value = part.strip().partition(" ")
        if key not in PARAMETERS:
            raise InputError(f"shots: {name}, line {number}: unknown parameter {key!r}; choose one of {', '.join(PARAMETERS)}")
        try:
            parameters[key] = PARAMETERS[key](value.strip())
        except ValueError:
            raise InputError(f"shots: {name}, line {number}: {key} is {value.strip()!r}; give a number") from None
    return Shot(first, last, parameters, number)
