"""Black bars of a picture: where they are, and keeping them out of what is computed over a whole frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .color.gamut import ycbcr_matrix
from .errors import InputError

if TYPE_CHECKING:
    import vapoursynth as vs

SAMPLES = 24
"""Frames that detection looks at, spread evenly over the clip: a dark scene alone must not look like bars."""

BLACK = 0.02
"""Signal below which a pixel may belong to a bar, [0, 1]: four 8-bit codes above black, for noise and coding."""

SHARE = 0.7
"""Share of a row's or column's pixels that are black in a bar: subtitles may stand in it."""

SMALLEST = 32
"""Rows and columns of picture that must be left between the bars; with less, nothing is taken for bars."""


@dataclass(frozen=True)
class Letterbox:
    """Black bars, in pixels from each edge.

    Attributes:
        top: rows.
        bottom: rows.
        left: columns.
        right: columns.

    Raises:
        InputError: a number is negative.
    """

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __post_init__(self) -> None:
        if min(self.top, self.bottom, self.left, self.right) < 0:
            raise InputError(f"letterbox: bars of {self}; give pixels from each edge, 0 or more")

    def __bool__(self) -> bool:
        return bool(self.top or self.bottom or self.left or self.right)

    def __str__(self) -> str:
        return f"{self.top},{self.bottom},{self.left},{self.right}"

    @classmethod
    def parse(cls, text: str) -> Letterbox:
        """From `TOP,BOTTOM` or `TOP,BOTTOM,LEFT,RIGHT`.

        Raises:
            InputError: `text` is neither.
        """
        parts = text.split(",")
        if len(parts) not in (2, 4) or not all(part.strip().isdecimal() for part in parts):
            raise InputError(f"letterbox: {text!r}; give auto, none, TOP,BOTTOM or TOP,BOTTOM,LEFT,RIGHT in pixels")
        return cls(*map(int, parts))

    def check(self, name: str, width: int, height: int) -> None:
        """Refuse bars that leave nothing of a picture.

        Raises:
            InputError: they do.
        """
        if self.top + self.bottom >= height or self.left + self.right >= width:
            raise InputError(f"{name}: letterbox {self} leaves nothing of {width}x{height}; give the bars' pixels from each edge")

    def crop(self, clip: vs.VideoNode) -> vs.VideoNode:
        """The picture between the bars; `clip` must not be subsampled where a bar is odd."""
        return clip.std.Crop(self.left, self.right, self.top, self.bottom)

    def active(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the picture."""
        return slice(self.top, height - self.bottom), slice(self.left, width - self.right)


def detect(clip: vs.VideoNode, samples: int = SAMPLES) -> Letterbox:
    """Bars that are black in all of `samples` frames spread evenly over a clip, black frames not counting.

    The frames are chosen by the clip's length alone: the same clip gives the same bars.

    Args:
        clip: SDR signal as float RGB (`sources.open_source(...).planes`).
        samples: how many frames to look at.
    """

    def read(n: int) -> NDArray[np.float32]:
        with clip.get_frame(n) as frame:
            return np.stack([np.asarray(frame[plane]) for plane in range(3)])

    return detect_in(read, clip.num_frames, samples)


def detect_in(read: Callable[[int], NDArray[np.float32]], frames: int, samples: int = SAMPLES) -> Letterbox:
    """`detect` of frames that `read` gives by their number: (3, H, W) SDR signal."""
    count = min(samples, frames)
    found: list[Letterbox] = []
    sides = 0, 0
    for index in range(count):
        picture = read((2 * index + 1) * frames // (2 * count))
        sides = picture.shape[1], picture.shape[2]
        # Luma: upsampled chroma of the picture's edge rings some rows into a bar, luma does not.
        bars = _bars(sum(weight * plane for plane, weight in zip(picture, ycbcr_matrix("bt709")[0], strict=True)))
        if bars is not None:
            found.append(bars)
    if not found:
        return Letterbox()
    box = Letterbox(*(min(getattr(bars, edge) for bars in found) for edge in ("top", "bottom", "left", "right")))
    height, width = sides[0] - box.top - box.bottom, sides[1] - box.left - box.right
    return box if min(height, width) >= SMALLEST else Letterbox()


def _bars(signal: np.ndarray[Any, Any]) -> Letterbox | None:
    """Bars of one (H, W) picture, None where all of it is black."""
    black = signal < BLACK
    rows = np.flatnonzero(black.mean(axis=1) < SHARE)
    if not rows.size:
        return None
    picture = black[rows[0] : rows[-1] + 1]
    columns = np.flatnonzero(picture.mean(axis=0) < SHARE)
    if not columns.size:
        return None
    height, width = signal.shape
    return Letterbox(int(rows[0]), height - 1 - int(rows[-1]), int(columns[0]), width - 1 - int(columns[-1]))
