"""HDR10 metadata in the container: a stream whose codec parameters carry them, for FFmpeg's own muxers to write.

PyAV 19 cannot set coded side data, but reads it from files and copies it from stream to stream. So the header of a file is
written in memory, `mdcv` and `clli` boxes are put into its sample entry, and it is opened again.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..hdr10 import ContentLight, MasteringDisplay
from .stamp import Stamp

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_FORMATS = {"prores": "mov"}
"""Codec -> FFmpeg's name of the ISO container that takes it; MP4 takes the others."""

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
"""Where sample entries lie. ISO/IEC 14496-12, table 1."""

_SAMPLE_DESCRIPTION, _VISUAL_SAMPLE_ENTRY = 8, 78
"""Bytes of `stsd` and of a `VisualSampleEntry` before the boxes in them. ISO/IEC 14496-12, 8.5.2 and 12.1.3."""


@contextmanager
def template(stream: VideoStream, display: MasteringDisplay | None, light: ContentLight | None) -> Iterator[VideoStream]:
    """The same stream, whose parameters also state the mastering display and the content light level.

    For `OutputContainer.add_stream_from_template(template, opaque=True)`: FFmpeg then writes `mdcv` and `clli` boxes to MP4 and
    MOV, `MasteringMetadata`, `MaxCLL` and `MaxFALL` to Matroska. `opaque=True`, because AV1 is decoded by "libdav1d", which is
    the name of no encoder. Extradata are stamped. Frame rate, `codec_tag` and, for ProRes and FFV1, `pix_fmt` are not kept: set
    them on the new stream.

    Args:
        stream: of an open input container: HEVC, AV1, FFV1 or ProRes.
        display: None states none.
        light: None states none.

    Raises:
        InputError: no ISO container can hold this codec.
    """
    import av

    context: Any = stream.codec_context
    codec = context.codec.canonical_name
    header = io.BytesIO()
    try:
        # empty_moov: the parameters come first, and no packet is needed.
        options = {"movflags": "empty_moov"}
        with av.open(header, "w", format=_FORMATS.get(codec, "mp4"), container_options=options) as file:
            copy: Any = file.add_stream_from_template(stream, opaque=True)
            if context.extradata:
                copy.codec_context.extradata = Stamp(codec, display, light, context.extradata).extradata(context.extradata)
            file.start_encoding()
    except (ValueError, av.FFmpegError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"template: MP4 cannot hold {codec}; choose HEVC, AV1, FFV1 or ProRes") from None
    with av.open(io.BytesIO(with_metadata(header.getvalue(), display, light))) as file:
        yield file.streams.video[0]


def with_metadata(data: bytes, display: MasteringDisplay | None, light: ContentLight | None) -> bytes:
    """An ISO file whose video sample entries hold these `mdcv` and `clli` boxes and no other.

    ISO/IEC 14496-12, 12.1.6 and 12.1.7. Nothing may be addressed absolutely (`stco`), since what follows the entry moves: it is
    for files without media data.

    Raises:
        InputError: a box is cut off.
    """
    stated = ((b"mdcv", display), (b"clli", light))
    return _rebuilt(data, _PARENTS, b"".join(_box(kind, fact.coded()) for kind, fact in stated if fact is not None))


def _rebuilt(data: bytes, path: tuple[bytes, ...], new: bytes) -> bytes:
    """Boxes with `new` in every video sample entry below `path`; sizes follow by themselves."""
    if not path:
        return b"".join(_box(kind, _entry(body, new)) for kind, body in _boxes(data))
    out = []
    for kind, body in _boxes(data):
        if kind == path[0]:
            before = _SAMPLE_DESCRIPTION if kind == b"stsd" else 0
            body = body[:before] + _rebuilt(body[before:], path[1:], new)
        out.append(_box(kind, body))
    return b"".join(out)


def _entry(body: bytes, new: bytes) -> bytes:
    """A sample entry with `new` in place of its `mdcv` and `clli`."""
    kept = (_box(kind, inner) for kind, inner in _boxes(body[_VISUAL_SAMPLE_ENTRY:]) if kind not in (b"mdcv", b"clli"))
    return body[:_VISUAL_SAMPLE_ENTRY] + b"".join(kept) + new


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each box. ISO/IEC 14496-12, 4.2.2; FFmpeg's headers have no box with a 64-bit size."""
    position = 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data.ljust(position + 8, b"\0"), position)
        if size < 8 or position + size > len(data):
            raise InputError(f"template: box {kind!r} of {size} bytes is cut off; the file is damaged")
        yield kind, data[position + 8 : position + size]
        position += size


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body
