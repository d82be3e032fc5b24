"""VIDEO in, frame by frame: a film is never in memory as a whole."""

from __future__ import annotations

import io
import re
import shutil
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .core import InputError, arrays, gamut, media, planes, scenes, transfer
from .images import SDR, Floats

SD_LINES, NTSC_LINES = 576, 486
"""Untagged video of up to 576 lines is BT.601; of up to 486 lines its 525-line variant: the rule of the VapourSynth front."""

# Code points of H.273, tables 2 to 4.
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_BT1886_TRANSFERS = {0, 1, 2, 6, 14, 15}
_SRGB = 13
_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}
_PRIMARIES = {1: "bt709", 5: "bt601_625", 6: "bt601_525", 7: "bt601_525", 9: "bt2020", 12: "p3_d65"}
_UNSAID = {0, 2}

_LOCATIONS: dict[int, Any] = {1: "left", 2: "center", 3: "top_left", 4: "top"}
"""AVChromaLocation -> `color.planes`."""

_PLANAR = re.compile(r"(yuv[aj]?4(20|22|44)p|gray)(\d+le)?")
"""FFmpeg's names of samples that are read as they are."""

_REPACKED = {"nv12": "yuv420p", "nv16": "yuv422p", "p010le": "yuv420p10le", "p210le": "yuv422p10le"}
"""The same samples in planes of their own; all other formats become `_OTHER` by FFmpeg."""

_OTHER = "yuv444p16le"


@dataclass(frozen=True)
class Shown:
    """When a video's frames are shown.

    Attributes:
        path: the file.
        width: pixels, upright.
        height: pixels, upright.
        frames: how many the file says.
        rate: frames a second; 0 where they are shown for different times.
        start: time of the first frame, in seconds on the file's clock.
        track: index of the stream.
    """

    path: Path
    width: int
    height: int
    frames: int
    rate: Fraction
    start: Fraction
    track: int


def on_disk(stream_source: str | io.BytesIO, spare: Path) -> Path:
    """The file of a VIDEO; one in memory is written to `spare` first."""
    if isinstance(stream_source, (str, Path)):
        return Path(stream_source)
    stream_source.seek(0)
    with spare.open("wb") as file:
        shutil.copyfileobj(stream_source, file)
    return spare


def look(path: Path, name: str) -> Shown:
    """What a file says of its video, which is not decoded but for its first frame.

    Raises:
        InputError: it is no video, interlaced, or HDR already.
    """
    with media.open_media(path, name) as container:
        stream = media.first_video(container, name)
        times = media.timing(container, stream)
    with media.open_media(path, name) as container:
        stream = media.first_video(container, name)
        frame = media.first_frame(container, stream, name)
        start = media.seconds(frame.pts or 0, stream.time_base)
        track = stream.index
        turned = bool(getattr(frame, "rotation", 0) % 180)
    _check(name, frame)
    width, height = (frame.height, frame.width) if turned else (frame.width, frame.height)
    rate = Fraction(0) if times.variable else times.average or Fraction(25)
    return Shown(path, width, height, times.frames, rate, start, track)


def _check(name: str, frame: Any) -> None:
    if frame.interlaced_frame:
        raise InputError(
            f"{name}: the video is interlaced; deinterlace it first, for example with vs-hdrtv convert --deinterlace"
        )
    if frame.color_trc in _HDR_TRANSFERS:
        kind = _HDR_TRANSFERS[frame.color_trc]
        raise InputError(f"{name}: the video is {kind}, which is HDR already; this node takes SDR")


@dataclass(frozen=True, eq=False)
class Decoded:
    """A frame: its samples in planes, and what it says of them by H.273 and of itself."""

    picture: Any
    matrix: int
    transfer: int
    primaries: int
    full_range: bool
    location: int
    rotation: int
    pts: int
    duration: int
    time_base: Any

    @classmethod
    def of(cls, frame: Any) -> Decoded:
        """A frame of PyAV."""
        kind, picture = frame.format.name, frame
        if frame.format.is_rgb:
            picture = frame.reformat(format="gbrp16le")
        elif not _PLANAR.fullmatch(kind):
            picture = frame.reformat(format=_REPACKED.get(kind, _OTHER))
        return cls(
            picture=picture,
            matrix=int(frame.colorspace),
            transfer=int(frame.color_trc),
            primaries=int(frame.color_primaries),
            full_range=int(frame.color_range) == 2 or kind.startswith("yuvj"),  # AVCOL_RANGE_JPEG
            location=int(getattr(frame, "chroma_location", 0)),
            rotation=round(getattr(frame, "rotation", 0) / 90),
            pts=frame.pts or 0,
            duration=frame.duration or 0,
            time_base=frame.time_base,
        )

    @property
    def depth(self) -> int:
        """Bits a sample."""
        return int(self.picture.format.components[0].bits)

    @property
    def planes(self) -> list[NDArray[Any]]:
        """(H, W) each, of 8- or 16-bit words, in the order of the format's components: R, G, B or Y, Cb, Cr."""
        found = []
        for component in self.picture.format.components[:3]:
            plane = self.picture.planes[component.plane]
            kind = np.dtype(np.uint8 if component.bits == 8 else np.uint16)
            rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)  # rows are padded
            found.append(rows[:, : plane.width])
        return found


class VideoFrames:
    """The frames of a file as `sdr`, decoded once, in order; what was decoded stays until it is forgotten.

    Args:
        shown: of `look`.
        name: node that asks; messages start with it.
    """

    def __init__(self, shown: Shown, name: str) -> None:
        self._shown, self._name = shown, name
        self.size = shown.width, shown.height
        self.expected = shown.frames
        self._kept: deque[Decoded] = deque()
        self._first = 0
        self._decoder: Generator[Decoded] | None = self._decode()

    def _decode(self) -> Generator[Decoded]:
        with media.open_media(self._shown.path, self._name) as container:
            stream = media.first_video(container, self._name, self._shown.track)
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                _check(self._name, frame)
                yield Decoded.of(frame)

    def last(self, wanted: int) -> int:
        """See `clips.Frames.last`."""
        while self._decoder is not None and self._first + len(self._kept) <= wanted:
            found = next(self._decoder, None)
            if found is None:
                self.close()
            else:
                self._kept.append(found)
        return min(wanted, self._first + len(self._kept) - 1)

    def close(self) -> None:
        """Decode no further."""
        if self._decoder is not None:
            self._decoder.close()
        self._decoder = None

    def _at(self, frame: int) -> Decoded:
        frame = self.last(frame)
        assert frame >= self._first, f"frame {frame} is forgotten"
        return self._kept[frame - self._first]

    def read(self, frame: int) -> Floats:
        """See `clips.Frames.read`."""
        sdr = to_sdr(self._name, self._at(frame))
        if sdr.shape[-2:] != (self.size[1], self.size[0]):
            found = f"{sdr.shape[-1]}x{sdr.shape[-2]}"
            raise InputError(f"{self._name}: frame {frame} is {found}, not as before; cut the video into parts that are alike")
        return sdr

    def signature(self, frame: int) -> NDArray[np.uint8]:
        """See `clips.Frames.signature`."""
        decoded = self._at(frame)
        plane = decoded.planes[1 if decoded.picture.format.is_rgb else 0]  # green is most of luma
        return scenes.signature(plane / np.float32(2.0 ** (decoded.depth - 8)))

    def forget(self, before: int) -> None:
        """See `clips.Frames.forget`."""
        while self._first < before and len(self._kept) > 1:
            self._kept.popleft()
            self._first += 1

    def duration(self, frame: int) -> Fraction | None:
        """Seconds that a frame is shown; None where the file does not say."""
        decoded = self._at(frame)
        following = self.last(frame + 1)
        length = decoded.duration if following == frame else self._at(following).pts - decoded.pts
        return media.seconds(length, decoded.time_base) if length > 0 else None


def to_sdr(name: str, frame: Decoded) -> Floats:
    """A frame as `sdr`, (1, 3, H, W), upright: BT.709 primaries, BT.1886, its light preserved.

    Args:
        name: node that asks; messages start with it.
        frame: what was decoded.

    Raises:
        InputError: its colour tags are unknown.
    """
    lines = frame.picture.height
    if frame.picture.format.is_rgb:
        rgb = np.stack(frame.planes)[None].astype(np.float32) / np.float32(2.0**frame.depth - 1)  # (1, 3, H, W)
    else:
        untagged = "bt601" if lines <= SD_LINES else "bt709"
        rgb = _from_yuv(frame, _known(name, "matrix", frame.matrix, _MATRICES, untagged))
    if frame.transfer == _SRGB:
        rgb = SDR["sRGB"](rgb)
    elif frame.transfer not in _BT1886_TRANSFERS:
        _known(name, "transfer", frame.transfer, {}, "")
    variant = "bt601_525" if lines <= NTSC_LINES else "bt601_625"
    primaries = _known(name, "primaries", frame.primaries, _PRIMARIES, variant if lines <= SD_LINES else "bt709")
    if primaries != "bt709":
        rgb = transfer.bt1886_inverse_eotf(gamut.convert(transfer.bt1886_eotf(rgb), primaries, "bt709"))
    return arrays.tame(np.ascontiguousarray(np.rot90(rgb, frame.rotation, axes=(-2, -1)), np.float32))


def _known(name: str, what: str, code: int, table: dict[int, str], untagged: str) -> str:
    if code in table:
        return table[code]
    if code not in _UNSAID:
        raise InputError(f"{name}: the video's {what} is {code} of H.273, which is not known here; convert it to BT.709 first")
    return untagged


def _from_yuv(frame: Decoded, matrix: str) -> Floats:
    found = [plane.astype(np.float32)[None, None] for plane in frame.planes]  # (1, 1, H, W)
    if len(found) == 1:
        found += [np.full_like(found[0], 2.0 ** (frame.depth - 1))] * 2
    height, width = found[0].shape[-2:]
    # An odd side has its last chroma sample for one luma sample alone.
    odd = [int(chroma < side and side % 2) for side, chroma in zip((height, width), found[1].shape[-2:], strict=True)]
    luma = np.pad(found[0], ((0, 0), (0, 0), (0, odd[0]), (0, odd[1])), mode="edge")
    rgb = planes.ycbcr_to_rgb(
        (luma, found[1], found[2]),
        matrix=matrix,
        depth=frame.depth,
        full_range=frame.full_range,
        chroma_location=_LOCATIONS.get(frame.location, "left"),
    )
    return np.asarray(rgb[..., :height, :width], np.float32)
