"""Pieces of a frame: where they lie, what of them is kept, and for networks, in which piece of a frame they are run.

What a network computes alike everywhere needs to know nothing of this. What stretches a map to the frame's size does: between
the two sizes there is no whole factor, so that a pixel's place in the map depends on its place in the frame. Needs no torch.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from ..color.arrays import Array
from ..errors import InputError


@dataclass(frozen=True)
class Span:
    """A piece of a row or column of pixels.

    Attributes:
        start: its first pixel.
        stop: the one behind its last.
        first: the first pixel that is kept of it.
        last: the one behind the last that is kept.
        length: pixels of the whole row or column.
    """

    start: int
    stop: int
    first: int
    last: int
    length: int

    def kept(self, count: int) -> slice:
        """What is kept, of a map of `count` positions that the piece was shrunk to by a power of two, rounded up."""
        size, factor = self.stop - self.start, 1
        while -(-size // factor) > count:
            factor *= 2
        return slice((self.first - self.start) // factor, -(-(self.last - self.start) // factor))

    @property
    def margin(self) -> float:
        """Pixels that what is kept can look beyond itself in the piece; behind the frame's own edges there is nothing to see."""
        before = self.first - self.start if self.start else math.inf
        return min(before, self.stop - self.last if self.stop < self.length else math.inf)


@dataclass(frozen=True)
class Window:
    """A piece of a frame."""

    rows: Span
    columns: Span

    def cut(self, frame: Array) -> Array:
        """The piece: (N, C, H, W) -> (N, C, h, w)."""
        return frame[..., self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]

    def kept(self, x: Array) -> Array:
        """What is kept of a map of the piece, which may be smaller than the piece by a power of two: (N, C, h, w)."""
        height, width = x.shape[-2:]
        return x[..., self.rows.kept(height), self.columns.kept(width)]

    def paste(self, frame: Array, piece: Array) -> None:
        """Write what is kept of a piece of the frame's size into the frame: (N, C, H, W), (N, C, h, w)."""
        frame[..., self.rows.first : self.rows.last, self.columns.first : self.columns.last] = self.kept(piece)


def windows(height: int, width: int, side: int, halo: int, step: int) -> list[Window]:
    """Pieces of a frame whose kept parts cover it.

    Args:
        height: of the frame.
        width: of the frame.
        side: pixels of a kept part's side at most, where `step` is no more.
        halo: pixels around a kept part that belong to its piece, the frame's edges permitting; rounded up to `step`.
        step: pieces and kept parts begin at multiples of this.
    """
    rows, columns = (_spans(length, side, halo, step) for length in (height, width))
    return [Window(*spans) for spans in ((row, column) for row in rows for column in columns)]


def _spans(length: int, side: int, halo: int, step: int) -> list[Span]:
    largest = max(side // step, 1) * step
    count = -(-length // largest)
    kept = -(-length // (count * step)) * step  # alike, not one narrow one at the end
    around = -(-halo // step) * step
    found = []
    for first in range(0, length, kept):
        last, start = min(first + kept, length), max(first - around, 0)
        # All but the last of one size where there are many: engines prepare a network for each size anew.
        stop = last + around if count < 3 else start + kept + 2 * around
        found.append(Span(start, length if last == length else min(stop, length), first, last, length))
    return found


class TooFarError(Exception):
    """A network looked beyond its piece of a frame; whoever runs it gives it a wider one.

    Attributes:
        reach: pixels that it looked at around what is kept.
    """

    def __init__(self, reach: int) -> None:
        super().__init__(f"looked {reach} pixels far")
        self.reach = reach


_window: ContextVar[Window | None] = ContextVar("window", default=None)


def active() -> Window | None:
    """The piece that a network is run in here; None for whole frames."""
    return _window.get()


@contextlib.contextmanager
def inside(window: Window) -> Iterator[None]:
    """Inside, networks are run in this piece; in the thread that enters."""
    token = _window.set(window)
    try:
        yield
    finally:
        _window.reset(token)


def check_reach(displacements: Array, beyond: int) -> None:
    """In a piece of a frame, have it be wide enough for what a network has found; of whole frames nothing is asked.

    Args:
        displacements: (N, K, H, W) of the piece's size, pixels, in any direction.
        beyond: pixels around the places that they point to that are looked at too.

    Raises:
        TooFarError: it is not.
        InputError: they are not numbers.
    """
    window = active()
    if window is not None and (margin := min(window.rows.margin, window.columns.margin)) < math.inf:
        farthest = float(abs(window.kept(displacements)).max())
        if not math.isfinite(farthest):
            raise InputError(f"tile: the network looks {farthest} pixels far; give frames without NaN, or precision='fp32'")
        reach = math.ceil(farthest) + beyond
        if reach > margin:
            raise TooFarError(reach)
