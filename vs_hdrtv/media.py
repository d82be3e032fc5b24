"""Files in, for the command line: what a file holds (PyAV) and its frames as a clip (BestSource)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    import vapoursynth as vs
    from av.container import InputContainer
    from av.video.stream import VideoStream


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


def seconds(ticks: int, time_base: Any) -> Fraction:
    """Exact seconds of a number of ticks; `time_base` is PyAV's rational."""
    return Fraction(ticks * time_base.numerator, time_base.denominator)


def reason(error: Exception) -> str:
    """Why the system or FFmpeg refused, in its own words."""
    return getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
