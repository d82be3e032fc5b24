"""Frames as an encoder takes them: samples, and what their properties say of the stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

from ..errors import InputError
from ..hdr10 import SIGNALLING, ContentLight, MasteringDisplay, Signalling
from .clip import Picture

if TYPE_CHECKING:
    import vapoursynth as vs

_KEPT = (
    *("_Primaries", "_Transfer", "_Matrix", "_Range", "_ChromaLocation", "_SARNum", "_SARDen"),
    *(f"MasteringDisplay{what}" for what in ("PrimariesX", "PrimariesY", "WhitePointX", "WhitePointY")),
    *("MasteringDisplayMinLuminance", "MasteringDisplayMaxLuminance", "ContentLightLevelMax", "ContentLightLevelAverage"),
)
"""Frame properties that decide the stream's headers."""

_CHROMA_UNKNOWN = -1
"""`_ChromaLocation` where chroma has full size, or lies where nobody says."""


@dataclass(frozen=True)
class Facts:
    """What all pictures of a stream have in common.

    Attributes:
        width: pixels.
        height: pixels.
        properties: the frame properties of `_KEPT` that are there.
    """

    width: int
    height: int
    properties: Mapping[str, Any]

    @classmethod
    def of(cls, frame: vs.VideoFrame | Picture) -> Self:
        """The facts of a frame."""
        return cls(frame.width, frame.height, {name: _plain(frame.props[name]) for name in _KEPT if name in frame.props})

    @property
    def signalling(self) -> Signalling:
        """How the stream is tagged.

        Raises:
            InputError: it is neither PQ nor HLG.
        """
        transfer = self.properties.get("_Transfer")
        for signalling in SIGNALLING.values():
            if signalling.transfer == transfer:
                return signalling
        raise InputError(f"encode: clip is neither PQ nor HLG (_Transfer={transfer}); pack it with to_hdr10 or to_hlg")

    @property
    def display(self) -> MasteringDisplay | None:
        """The mastering display; HLG has none."""
        return MasteringDisplay.from_properties(self.properties) if self.signalling is SIGNALLING["pq"] else None

    @property
    def light(self) -> ContentLight | None:
        """The content light level that the clip carries already."""
        return ContentLight.from_properties(self.properties) if self.signalling is SIGNALLING["pq"] else None

    @property
    def chroma_location(self) -> int:
        """`chroma_sample_loc_type` of H.273, or -1."""
        return int(self.properties.get("_ChromaLocation", _CHROMA_UNKNOWN))

    @property
    def aspect(self) -> Fraction:
        """Width of a pixel over its height."""
        return Fraction(int(self.properties.get("_SARNum", 1)) or 1, int(self.properties.get("_SARDen", 1)) or 1)


def duration(frame: vs.VideoFrame | Picture, rate: Fraction) -> Fraction:
    """Seconds that a frame is shown, by its own properties, which are exact for variable frame rates too.

    Raises:
        InputError: neither the frame nor the clip says.
    """
    numerator, denominator = frame.props.get("_DurationNum", 0), frame.props.get("_DurationDen", 0)
    if numerator and denominator:
        return Fraction(int(numerator), int(denominator))
    if not rate:
        raise InputError("encode: clip has no frame rate and its frames no duration; set one with core.std.AssumeFPS")
    return 1 / Fraction(rate)


def to_av(frame: vs.VideoFrame | Picture, signalling: Signalling, pixel_format: str) -> Any:
    """A PyAV picture with the same 10-bit samples.

    Args:
        frame: 16-bit words, planar Y'CbCr.
        signalling: of its colour; ProRes takes it from the pictures.
        pixel_format: FFmpeg's name: planar as the frame is, or `p010le`, which holds chroma interleaved and samples in the upper
            ten bits.
    """
    import av
    import numpy as np

    picture = av.VideoFrame(frame.width, frame.height, pixel_format)
    planes = [np.asarray(frame[number]) for number in range(3)]
    if pixel_format == "p010le":
        both = np.stack(planes[1:], axis=-1).reshape(planes[1].shape[0], -1)
        planes = [planes[0] << 6, both << 6]
    for plane, source in zip(picture.planes, planes, strict=True):
        rows = np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)  # rows are padded
        rows[:, : source.shape[1]] = source
    picture.color_primaries, picture.color_trc = signalling.primaries, signalling.transfer
    picture.colorspace, picture.color_range = signalling.matrix, 1  # AVCOL_RANGE_MPEG
    return picture


def _plain(value: Any) -> Any:
    """A property as JSON has it."""
    if isinstance(value, float | int):
        return float(value) if isinstance(value, float) else int(value)
    return [_plain(item) for item in value]
