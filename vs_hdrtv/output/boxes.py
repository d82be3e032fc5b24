"""HDR10 metadata in the container: a stream whose codec parameters carry them, for FFmpeg's own muxers to write.

PyAV cannot set coded side data, but reads it and copies it. A small file in memory is therefore written, `mdcv` and `clli` boxes
are put into its sample entry, and it is opened again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..hdr10 import ContentLight, MasteringDisplay

if TYPE_CHECKING:
    from av.video.stream import VideoStream


@contextmanager
def template(stream: VideoStream, display: MasteringDisplay | None, light: ContentLight | None) -> Iterator[VideoStream]:
    """The same stream, whose parameters also state the mastering display and the content light level.

    To be given to `OutputContainer.add_stream_from_template(template, opaque=True)`: MP4 and MOV get `mdcv` and `clli` boxes,
    Matroska `MasteringMetadata`, `MaxCLL` and `MaxFALL`. `opaque=True` because "libdav1d" names a decoder only.
    Its extradata are stamped (`Stamp.extradata`). `codec_tag` is lost by add_stream_from_template: set it afterwards.

    Args:
        stream: of an open input container, HEVC, AV1, FFV1 or ProRes.
        display: None states none.
        light: None states none.

    Raises:
        InputError: MOV cannot hold this codec.
    """
    yield stream
