"""What propagation over a segment reads and gives, whoever holds the frames. Needs neither torch nor VapourSynth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..color.arrays import Array
from ..color.transfer import bt1886_eotf
from .grid import Grid, Scene, Segment, scene_of, segments

if TYPE_CHECKING:
    from .propagation import Propagation


class Made(Sequence[Array]):
    """Pictures that are made when they are asked for: on the device there is no more than what is being worked on."""

    def __init__(self, length: int, make: Callable[[int], Array]) -> None:
        self._length, self._make = length, make

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Array:  # type: ignore[override]  # no slices
        if not 0 <= index < self._length:
            raise IndexError(index)
        return self._make(index)


@dataclass(frozen=True)
class Part:
    """A segment, and the key frames of its frames.

    Attributes:
        segment: frames that are propagated over together.
        nearest: key frames of each of them, nearest first (`Grid.nearest_keys`).
    """

    segment: Segment
    nearest: Mapping[int, tuple[int, ...]]

    @cached_property
    def keys(self) -> tuple[int, ...]:
        """Numbers of all key frames, in their order."""
        return tuple(sorted({key for numbers in self.nearest.values() for key in numbers}))


def scene_around(n: int, is_cut: Callable[[int], bool], reach: int, frames: int) -> Scene:
    """The scene of frame n of a clip of `frames`, as far as `reach` to each side."""
    return scene_of(n, is_cut, max(n - reach, 0), min(n + reach, frames - 1))


def parts_of(block: int, length: int, overlap: int, frames: int, grid: Grid, is_cut: Callable[[int], bool]) -> tuple[Part, ...]:
    """The segments of a block of frames, as `grid.segments`, and their key frames.

    Args:
        block: which one, from 0.
        length: frames of a block.
        overlap: frames that a segment takes beyond each of its ends.
        frames: of the clip.
        grid: where key frames are.
        is_cut: says of a frame whether a scene begins with it; asked for `overlap` and `grid.nearest_reach` around the block.
    """

    def nearest(n: int) -> tuple[int, ...]:
        return grid.nearest_keys(n, scene_around(n, is_cut, grid.nearest_reach, frames))

    return tuple(Part(each, {n: nearest(n) for n in each.frames}) for each in segments(block, length, overlap, frames, is_cut))


def propagate(
    part: Part,
    propagation: Propagation,
    sdr: Callable[[int], Array],
    light: Callable[[int], Array],
    references: Callable[[int], int],
) -> Iterator[tuple[int, Array]]:
    """The light of a segment's own frames, not blended; where no key frame had a reference the frames' own.

    Args:
        part: the segment.
        propagation: runs the networks.
        sdr: a frame of the clip by its number, (1, 3, H, W); asked for again and again.
        light: what was recovered of a key frame by its number, linear (1, 3, H, W).
        references: how many references that had.

    Yields:
        Number and linear (1, 3, H, W), first to last.
    """
    numbers, keys = part.segment.frames, part.keys
    found: Iterable[Array]
    if not any(references(key) for key in keys):
        # Nothing was seen but the frames themselves, so that nothing is recovered: a guess is what other stages are for.
        found = (bt1886_eotf(sdr(n)) for n in numbers)
    else:
        found = propagation.propagate(
            Made(len(numbers), lambda index: sdr(numbers[index])),
            Made(len(keys), lambda index: light(keys[index])),
            Made(len(keys), lambda index: sdr(keys[index])),
            [tuple(keys.index(key) for key in part.nearest[n]) for n in numbers],
        )
    for n, picture in zip(numbers, found, strict=True):
        if part.segment.first <= n <= part.segment.last:
            yield n, picture
