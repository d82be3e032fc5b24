"""8-bit 4:2:0 pictures through a real H.264 or HEVC encoder at some quality, as SDR reaches people.

The same pictures, codec and quality give the same bytes: one thread, fixed settings, one encoder a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..color.arrays import Array, mix_channels, namespace, on_host
from ..color.gamut import ycbcr_matrix
from ..errors import InputError

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""Y' (H, W), Cb and Cr (H/2, W/2), limited range."""

SMALLEST = 64
"""Pixels a side below which x265 fails: smaller pictures are edge-replicated for the encoder and cropped again."""

LUMA_SCALE, LUMA_ZERO = 219, 16
CHROMA_SCALE, CHROMA_ZERO = 224, 128
"""BT.709-6, table 5 (quantisation of 8 bits)."""

_SCALES = ((LUMA_SCALE, LUMA_ZERO), (CHROMA_SCALE, CHROMA_ZERO), (CHROMA_SCALE, CHROMA_ZERO))


@dataclass(frozen=True)
class Codec:
    """An encoder and how it is set.

    Attributes:
        encoder: FFmpeg's name.
        decoder: FFmpeg's name.
        options: of the encoder; `{quality}` and `{distance}` are filled in.
        quality: lowest and highest constant rate factor that is drawn: from all but transparent to plainly visible.
    """

    encoder: str
    decoder: str
    options: dict[str, str]
    quality: tuple[float, float]


CODECS = {
    "h264": Codec(
        "libx264",
        "h264",
        {"preset": "veryfast", "crf": "{quality}", "threads": "1", "x264-params": "log-level=none:keyint={distance}:bframes=0"},
        (16.0, 34.0),
    ),
    "hevc": Codec(
        "libx265",
        "hevc",
        {
            "preset": "ultrafast",
            "x265-params": "log-level=none:pools=none:frame-threads=1:wpp=0:keyint={distance}:bframes=0:crf={quality}",
        },
        (18.0, 36.0),
    ),
}
"""Codecs by name; the speeds are those that a training batch can wait for (4 to 10 ms a picture of 64 pixels on one core)."""


def to_codes(sdr: Array) -> tuple[Array, Array, Array]:
    """8-bit limited-range Y'CbCr 4:2:0 code values, still floating point, chroma averaged over 2x2.

    Args:
        sdr: (3, H, W) BT.709 signal in [0, 1], H and W even.

    Returns:
        Y' (H, W), Cb and Cr (H/2, W/2), whole numbers from 0 to 255, of the kind of `sdr`.
    """
    xp = namespace(sdr)
    y, cb, cr = mix_channels(ycbcr_matrix("bt709"), sdr)
    height, width = y.shape
    small = (xp.mean(xp.reshape(c, (height // 2, 2, width // 2, 2)), axis=(1, 3)) for c in (cb, cr))  # (H/2, W/2)
    planes = zip((y, *small), _SCALES, strict=True)
    return tuple(xp.clip(xp.round(plane * scale + zero), 0, 255) for plane, (scale, zero) in planes)


def from_codes(codes: tuple[Array, Array, Array]) -> Array:
    """The way back: (3, H, W) signal in [0, 1], chroma repeated over 2x2, what lies outside clipped."""
    xp = namespace(codes[0])
    y, cb, cr = ((plane - zero) / scale for plane, (scale, zero) in zip(codes, _SCALES, strict=True))
    full = [y, *(xp.repeat(xp.repeat(chroma, 2, axis=0), 2, axis=1) for chroma in (cb, cr))]
    return xp.clip(mix_channels(np.linalg.inv(ycbcr_matrix("bt709")), xp.stack(full)), 0, 1)


def to_planes(sdr: Array) -> Planes:
    """`to_codes` as bytes on the host."""
    return tuple(on_host(plane).astype(np.uint8) for plane in to_codes(sdr))  # type: ignore[return-value]


def from_planes(planes: Planes) -> NDArray[np.float64]:
    """`from_codes` of bytes."""
    y, cb, cr = (plane.astype(np.float64) for plane in planes)
    return np.asarray(from_codes((y, cb, cr)))


def through_codec(frames: list[Planes], codec: str, quality: float) -> list[Planes]:
    """Encode and decode pictures: one alone as an intra picture, several as a clip with one key frame.

    Args:
        frames: of one size.
        codec: key of `CODECS`.
        quality: constant rate factor of the encoder.

    Returns:
        As many pictures of the same size.

    Raises:
        InputError: the codec is unknown, or PyAV's FFmpeg lacks the encoder.
    """
    import av

    if codec not in CODECS:
        raise InputError(f"through_codec: unknown codec {codec!r}; choose one of {', '.join(CODECS)}")
    chosen = CODECS[codec]
    height, width = frames[0][0].shape
    tall, wide = max(height, SMALLEST), max(width, SMALLEST)
    try:
        encoder = av.CodecContext.create(chosen.encoder, "w")
    except av.FFmpegError:
        raise InputError(f"through_codec: PyAV has no {chosen.encoder}; install PyAV's own wheel (pip install av)") from None
    encoder.width, encoder.height, encoder.pix_fmt = wide, tall, "yuv420p"  # type: ignore[attr-defined]
    encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
    # Pictures in the order they are shown, and nothing that looks at a clock.
    filled = {"quality": f"{quality:.3f}", "distance": str(len(frames))}
    encoder.options = {key: value.format(**filled) for key, value in chosen.options.items()}
    decoder = av.CodecContext.create(chosen.decoder, "r")
    decoder.thread_count = 1
    packets = []
    for number, planes in enumerate(frames):
        picture = av.VideoFrame(wide, tall, "yuv420p")
        picture.pts = number
        for plane, samples in zip(picture.planes, planes, strict=True):
            rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
            rows[:, : plane.width] = _pad(samples, plane.height, plane.width)
        packets += encoder.encode(picture)  # type: ignore[attr-defined]
    packets += encoder.encode(None)  # type: ignore[attr-defined]
    decoded = [picture for packet in [*packets, None] for picture in decoder.decode(packet)]  # type: ignore[attr-defined]
    return [_read(picture, height, width) for picture in decoded]


def _read(picture: object, height: int, width: int) -> Planes:
    sides = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    found = []
    for plane, (tall, wide) in zip(picture.planes, sides, strict=True):  # type: ignore[attr-defined]
        found.append(np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:tall, :wide].copy())
    return found[0], found[1], found[2]


def _pad(samples: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    return np.pad(samples, ((0, height - samples.shape[0]), (0, width - samples.shape[1])), mode="edge")
