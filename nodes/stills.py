"""HDR pictures to files: PNG of 16 bits with cICP, OpenEXR, AVIF of 10 bits."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from .core import InputError, gamut, output, stages, transfer
from .core import hdr10 as signalling
from .images import Floats

_PQ = signalling.SIGNALLING["pq"]
_RGB_MATRIX, _FULL = 0, 2  # H.273, table 4; AVCOL_RANGE_JPEG


def _encode(codec: str, picture: Any, facts: tuple[int, int, int, int], options: Mapping[str, str], muxer: str | None) -> bytes:
    """A picture coded by FFmpeg, tagged as primaries, transfer, matrix and range say."""
    import av

    av.logging.set_level(av.logging.PANIC)
    buffer = io.BytesIO()

    def tag(what: Any) -> None:
        what.color_primaries, what.color_trc, what.colorspace, what.color_range = facts

    tag(picture)
    picture.pts, picture.time_base = 0, Fraction(1, 1)
    with av.open(buffer, "w", format=muxer or "image2pipe") as file:
        stream: Any = file.add_stream(codec, rate=1, options=dict(options))
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = picture.width, picture.height, picture.format.name
        tag(context)
        with output.scheduling.kept():
            packets = [*stream.encode(picture), *stream.encode(None)]
        for packet in packets:
            file.mux_one(packet)
    return buffer.getvalue()


def png(hdr: Floats, alpha: Floats | None, notes: Mapping[str, str]) -> bytes:
    """PNG, 16 bits, BT.2020 PQ said by a cICP chunk (PNG third edition, 11.3.2.6).

    Args:
        hdr: (1, 3, H, W) PQ.
        alpha: (H, W) in [0, 1], or None.
        notes: what is written as text beside the picture.
    """
    import av
    from PIL import PngImagePlugin

    parts = [*np.clip(np.nan_to_num(hdr[0]), 0, 1), *([] if alpha is None else [np.clip(alpha, 0, 1)])]
    words = np.round(np.stack(parts, axis=-1) * 65535).astype(np.uint16)  # (H, W, 3 or 4)
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(words), "rgb48be" if alpha is None else "rgba64be")
    data = _encode("png", picture, (_PQ.primaries, _PQ.transfer, _RGB_MATRIX, _FULL), {}, None)
    info = PngImagePlugin.PngInfo()
    for name, text in notes.items():
        info.add_text(name, text)
    start = data.index(b"IDAT") - 4  # text goes before the picture
    beside = io.BytesIO()
    for chunk in info.chunks:
        PngImagePlugin.putchunk(beside, *chunk[:2])
    return data[:start] + beside.getvalue() + data[start:]


def avif(hdr: Floats, alpha: Floats | None, notes: Mapping[str, str]) -> bytes:
    """AVIF, 10-bit 4:2:0, BT.2020 PQ: lossy, and without alpha and text, which this encoder cannot write.

    Args:
        hdr: (1, 3, H, W) PQ, of 64 pixels a side or more.
        alpha: must be None.
        notes: not written.

    Raises:
        InputError: the picture has alpha, or is too small.
    """
    import av

    if alpha is not None:
        raise InputError("save HDR image: AVIF is written without alpha here; take PNG or EXR, or drop the alpha channel")
    if min(hdr.shape[-2:]) < 64:
        raise InputError(f"save HDR image: {hdr.shape[-1]}x{hdr.shape[-2]} is too small for AVIF (64x64); take PNG or EXR")
    stage = stages.to_hdr10(transfer.PQ_PEAK, transfer.PQ_PEAK)
    assert stage.function is not None
    picture = av.VideoFrame(hdr.shape[-1] + hdr.shape[-1] % 2, hdr.shape[-2] + hdr.shape[-2] % 2, "yuv420p10le")
    for plane, values in zip(picture.planes, stage.function(hdr.astype(np.float32)), strict=True):
        rows = np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)
        rows[:, : plane.width] = values[0, 0].astype(np.uint16)
    import os

    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes around FFmpeg's log
    options = {"crf": "12", "preset": "6", "svtav1-params": "avif=1"}
    return _encode("libsvtav1", picture, (_PQ.primaries, _PQ.transfer, _PQ.matrix, 1), options, "avif")


def exr(hdr: Floats, alpha: Floats | None, notes: Mapping[str, str]) -> bytes:
    """OpenEXR, half floats: BT.2020 light, 1.0 being reference white of 203 cd/m2, which the header says.

    Args:
        hdr: (1, 3, H, W) PQ.
        alpha: (H, W), or None.
        notes: written as header attributes.

    Raises:
        InputError: the package OpenEXR is not installed.
    """
    try:
        import OpenEXR
    except ImportError:
        raise InputError("save HDR image: EXR needs the package OpenEXR; pip install OpenEXR, or take PNG") from None
    from tempfile import TemporaryDirectory

    light = np.asarray(transfer.pq_eotf(hdr[0].astype(np.float32))) / transfer.REFERENCE_WHITE
    planes = [*light, *([] if alpha is None else [alpha])]
    channels = {name: np.ascontiguousarray(plane.astype(np.float16)) for name, plane in zip("RGBA", planes, strict=False)}
    points = tuple(value for point in (*gamut.PRIMARIES["bt2020"], gamut.D65) for value in point)
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "chromaticities": points,
        "whiteLuminance": float(transfer.REFERENCE_WHITE),
        **notes,
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.exr"
        OpenEXR.File(header, channels).write(str(path))
        return path.read_bytes()


FORMATS: dict[str, tuple[str, Callable[[Floats, Floats | None, Mapping[str, str]], bytes]]] = {
    "PNG 16-bit": (".png", png),
    "EXR": (".exr", exr),
    "AVIF 10-bit": (".avif", avif),
}
"""What a picture can be saved as: end of the name, and what makes the bytes."""

__all__ = ["FORMATS", "avif", "exr", "png"]
