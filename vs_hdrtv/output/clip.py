"""Packed pictures as a clip that `write` takes, for fronts without a frame server."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame: integer planes, and frame properties that say what they are (`stages.Stage.packed_properties`, light)."""

    planes: tuple[NDArray[np.uint16], ...]
    props: Mapping[str, Any]

    @property
    def height(self) -> int:
        """Of luma, in pixels."""
        return int(self.planes[0].shape[0])

    @property
    def width(self) -> int:
        """Of luma, in pixels."""
        return int(self.planes[0].shape[1])

    def __getitem__(self, plane: int) -> NDArray[np.uint16]:
        return self.planes[plane]


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureClip:
    """Frames that come one after another: as much of a `vs.VideoNode` as encoding asks for.

    Attributes:
        width: pixels of luma.
        height: pixels of luma.
        packing: key of `stages.PACKINGS`.
        num_frames: how many there are.
        fps: frames a second; 0 where each says for itself.
        make: gives all of them, from the first on.
        start: of those, the first that counts: the clip may be a slice.
    """

    width: int
    height: int
    packing: str
    num_frames: int
    fps: Fraction
    make: Callable[[], Iterator[Picture]]
    start: int = 0

    @property
    def format(self) -> Any:
        """With the `name` that VapourSynth gives it."""
        return SimpleNamespace(name=self.packing.upper())

    def __getitem__(self, part: slice) -> PictureClip:
        first, stop, _ = part.indices(self.num_frames)
        return replace(self, start=self.start + first, num_frames=stop - first)

    def frames(self, close: bool = True) -> Generator[Picture]:
        """The frames in order.

        Raises:
            InputError: there are fewer than were said.
        """
        pictures, found = self.make(), 0
        try:
            for picture in islice(pictures, self.start, self.start + self.num_frames):
                found += 1
                yield picture
        finally:
            if close and hasattr(pictures, "close"):
                pictures.close()
        if found < self.num_frames:
            raise InputError(
                f"encode: the video was to have {self.num_frames} frames and {found} could be decoded; "
                "rewrite it first: ffmpeg -i IN -c:v ffv1 OUT.mkv"
            )
