"""Files in, for the command line: what a file holds (PyAV) and its frames as a clip (BestSource)."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .hdr10 import ContentLight, MasteringDisplay

if TYPE_CHECKING:
    import vapoursynth as vs
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

logger = logging.getLogger(__name__)


@contextmanager
def open_media(path: Path, who: str) -> Iterator[InputContainer]:
    """Open a file for reading.

    Args:
        path: the file.
        who: the command on whose behalf, which a message starts with.

    Raises:
        InputError: it is missing, empty, a folder, unreadable, or nothing that FFmpeg knows.
    """
    import av

    av.logging.set_level(av.logging.PANIC)
    if not path.exists():
        raise InputError(f"{who}: {path} does not exist; check the name")
    if path.is_dir():
        raise InputError(f"{who}: {path} is a folder; give a file")
    if path.is_file() and not path.stat().st_size:
        raise InputError(f"{who}: {path} is empty (0 bytes); it may be an unfinished download")
    try:
        container = av.open(str(path))
    except (OSError, av.FFmpegError) as error:
        raise InputError(f"{who}: {path} is not a video that FFmpeg can read ({reason(error)})") from None
    with container:
        yield container


def first_video(container: InputContainer, who: str) -> VideoStream:
    """The stream to convert: the first one that is not a cover picture.

    Raises:
        InputError: there is none.
    """
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise InputError(f"{who}: {container.name} holds no video, only {kinds}; give a video file")


def check_input(path: Path, who: str) -> None:
    """Find out quickly whether a file holds video.

    Raises:
        InputError: see `open_media` and `first_video`.
    """
    with open_media(path, who) as container:
        first_video(container, who)


@dataclass(frozen=True)
class Source:
    """A decoded file.

    Attributes:
        path: the file.
        clip: its video, upright: rotation is applied while decoding.
        track: index of the stream.
    """

    path: Path
    clip: vs.VideoNode
    track: int


def open_source(path: Path, who: str) -> Source:
    """Decode a file with BestSource, which reads it once from end to end to know every frame. It leaves no index file.

    Raises:
        InputError: see `open_media` and `first_video`; or VapourSynth or its plug-in is not installed.
    """
    with open_media(path, who) as container:
        track = first_video(container, who).index
    import vapoursynth as vs

    if not hasattr(vs.core, "bs"):
        raise InputError(f"{who}: VapourSynth has no BestSource; install it with pip install vapoursynth-bestsource")
    try:
        clip = vs.core.bs.VideoSource(str(path), track=track, cachemode=0, showprogress=False)
    except vs.Error as error:
        raise InputError(f"{who}: {path} cannot be decoded ({error})") from None
    return Source(path, clip, track)


def frame_time(source: Source, number: int) -> Fraction:
    """Presentation time in seconds of a frame, on the clock of the file's audio, variable frame rates included."""
    with open_media(source.path, "convert") as container:
        stream = container.streams[source.track]
        first, base = stream.start_time or 0, stream.time_base
        if not number:
            return seconds(first, base)
        times = sorted(p.pts for p in container.demux(stream) if p.pts is not None and p.pts >= first)
    if number < len(times):
        return seconds(times[number], base)
    return seconds(first, base) + number / Fraction(source.clip.fps)


def first_frame(container: InputContainer, stream: VideoStream, who: str) -> VideoFrame:
    """The first picture of a stream.

    Raises:
        InputError: nothing can be decoded.
    """
    import av

    try:
        for frame in container.decode(stream):
            return frame
    except av.FFmpegError as error:
        raise InputError(f"{who}: {container.name} cannot be decoded ({reason(error)})") from None
    raise InputError(f"{who}: {container.name} holds no picture that can be decoded; it may be cut off")


def count_packets(container: InputContainer, stream: VideoStream) -> int:
    """Pictures of a stream whose container does not say how many it has, counted without decoding."""
    container.seek(0)
    return sum(packet.size > 0 for packet in container.demux(stream))


def hdr10_metadata(frame: VideoFrame) -> tuple[MasteringDisplay | None, ContentLight | None]:
    """What a decoded frame says of its mastering display and its light; None where it says nothing.

    PyAV gives FFmpeg's structures as bytes: `AVMasteringDisplayMetadata` is ten fractions (red, green, blue, white as x and
    y, then minimum and maximum luminance in cd/m2) and two flags; `AVContentLightMetadata` is MaxCLL and MaxFALL.
    """
    display, light = None, None
    side_data = {data.type.name: bytes(data) for data in frame.side_data.values()}
    if data := side_data.get("MASTERING_DISPLAY_METADATA"):
        numbers = struct.unpack_from("=22i", data)
        (*points, low, high) = (n / d if d else 0.0 for n, d in zip(numbers[0:20:2], numbers[1:20:2], strict=True))
        red, green, blue, white = zip(points[0::2], points[1::2], strict=True)
        if all(numbers[20:]):
            try:
                display = MasteringDisplay(primaries=(red, green, blue), white=white, min_luminance=low, max_luminance=high)
            except InputError as error:
                logger.warning("the file's metadata make no sense: %s", error)
    if data := side_data.get("CONTENT_LIGHT_LEVEL"):
        most, average = struct.unpack_from("=2I", data)
        light = ContentLight(most, average) if most or average else None
    return display, light


def seconds(ticks: int, time_base: Any) -> Fraction:
    """Exact seconds of a number of ticks; `time_base` is PyAV's rational."""
    return Fraction(ticks * time_base.numerator, time_base.denominator)


def reason(error: Exception) -> str:
    """Why the system or FFmpeg refused, in its own words."""
    return getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
