"""Which frames go together: groups, their key frames, references, nearest key frames and segments of propagation.

All on the absolute grid of the source's frame numbers, so that what belongs to frame n is a function of the cuts around n and of
nothing else: groups of `stride` frames counted from frame 0 and cut where scenes begin; a group's key frame is its middle one, so
that every scene has one. (VITM-TC, section 3.2, has equal groups over the whole clip and knows no cuts.)

A scene is (first, last), both inside. It need not be known further than `reach` says: the functions give the same for any
`(first, last)` that has been cut off beyond that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError

NEAREST = 5
"""Key frames that a frame is made of. VITM-TC, section 3.4 and equation 9."""

MAX_STRIDE = 60
MAX_REFERENCES = 12
MAX_REACH = 300
"""Frames to each side that references may lie away: cuts are looked for as far, and so much of the clip is read."""

SEGMENT, OVERLAP = 24, 4
"""Frames that are propagated at a time, and beyond each end."""

MAX_SEGMENT = 120
"""All frames of a segment are in memory together; it overlaps half of this at most."""

type Scene = tuple[int, int]
"""First and last frame, as far as they are known."""


@dataclass(frozen=True)
class Grid:
    """Key frames and their references.

    Attributes:
        stride: frames of a group, 1 to `MAX_STRIDE`.
        references: of a key frame on each side, 0 to `MAX_REFERENCES`.
        reference_stride: frames from one reference to the next, from 1; `references` times it is at most `MAX_REACH`.
    """

    stride: int = 6
    references: int = 6
    reference_stride: int = 15

    def check(self, name: str) -> None:
        """Refuse what makes no grid.

        Raises:
            InputError: a number is out of range.
        """
        limits = {"stride": (1, MAX_STRIDE), "references": (0, MAX_REFERENCES), "reference_stride": (1, MAX_REACH)}
        for what, (low, high) in limits.items():
            if not low <= getattr(self, what) <= high:
                raise InputError(f"{name}: {what} is {getattr(self, what)}; give {low} to {high}")
        if self.references * self.reference_stride > MAX_REACH:
            raise InputError(
                f"{name}: {self.references} references every {self.reference_stride} frames reach "
                f"{self.references * self.reference_stride} frames far; at most {MAX_REACH} are read, give fewer or closer ones"
            )

    @property
    def group_reach(self) -> int:
        """Frames to each side of n within which the cuts decide the group of n."""
        return self.stride - 1

    @property
    def reference_reach(self) -> int:
        """Frames to each side of a key frame within which the cuts decide its references."""
        return self.references * self.reference_stride

    @property
    def nearest_reach(self) -> int:
        """Frames to each side of n within which the cuts decide its nearest key frames."""
        return NEAREST * self.stride - 1

    def group(self, n: int, scene: Scene) -> tuple[int, int]:
        """First and last frame of the group of frame n, which lies in `scene`."""
        first = n - n % self.stride
        return max(first, scene[0]), min(first + self.stride - 1, scene[1])

    def key(self, n: int, scene: Scene) -> int:
        """The key frame of the group of frame n: the middle, of an even number the earlier of the two."""
        first, last = self.group(n, scene)
        return (first + last) // 2

    def references_of(self, key: int, scene: Scene) -> tuple[int, ...]:
        """The references of a key frame inside its scene: the nearest first, of two as near the earlier. VITM-TC, section 4.1."""
        steps = (step * self.reference_stride for step in range(1, self.references + 1))
        return tuple(at for step in steps for at in (key - step, key + step) if scene[0] <= at <= scene[1])

    def nearest_keys(self, n: int, scene: Scene) -> tuple[int, ...]:
        """The `NEAREST` key frames nearest to frame n in its scene, the nearest first, of two as near the earlier.

        Where the scene has fewer they are taken again from the nearest on. A scene has one group in every run of `stride` frames
        that it touches, so that those of four runs to each side are enough.
        """
        own = n // self.stride
        runs = range(max(own - NEAREST + 1, scene[0] // self.stride), min(own + NEAREST - 1, scene[1] // self.stride) + 1)
        keys = sorted({self.key(max(run * self.stride, scene[0]), scene) for run in runs}, key=lambda at: (abs(at - n), at))
        return tuple(keys[index % min(len(keys), NEAREST)] for index in range(NEAREST))


@dataclass(frozen=True)
class Segment:
    """Frames that are propagated over together.

    Attributes:
        first: of those that it gives.
        last: of those.
        low: first of those that it takes: `first` and the overlap before, inside the scene.
        high: last of those.
    """

    first: int
    last: int
    low: int
    high: int

    @property
    def frames(self) -> range:
        """Those that it takes."""
        return range(self.low, self.high + 1)


def scene_of(n: int, is_cut: Callable[[int], bool], low: int, high: int) -> Scene:
    """The scene of frame n as far as `low` and `high` (both inside), which are frames of the clip round n."""
    first = last = n
    while first > low and not is_cut(first):
        first -= 1
    while last < high and not is_cut(last + 1):
        last += 1
    return first, last


def segments(block: int, length: int, overlap: int, frames: int, is_cut: Callable[[int], bool]) -> tuple[Segment, ...]:
    """The segments in a block of `length` frames, counted from frame 0: one for each scene in it.

    Args:
        block: which one, from 0.
        length: frames of a block.
        overlap: frames that a segment takes beyond each of its ends, where its scene has them.
        frames: of the clip.
        is_cut: says of a frame whether a scene begins with it; asked for frames from `overlap` - 1 before the block to `overlap`
            after it.
    """
    begin, end = block * length, min((block + 1) * length, frames) - 1
    found: list[Segment] = []
    first = begin
    while first <= end:
        low, last = scene_of(first, is_cut, max(first - overlap, 0), end)
        if first > begin:
            low = first  # a scene begins here
        high = scene_of(last, is_cut, last, min(last + overlap, frames - 1))[1] if last == end else last
        found.append(Segment(first, last, low, high))
        first = last + 1
    return tuple(found)
