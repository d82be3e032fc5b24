"""Files in, for the command line: what a file holds (PyAV) and its frames as a clip (BestSource)."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .hdr10 import CHROMATICITY_STEPS, LUMINANCE_STEPS, ContentLight, MasteringDisplay

if TYPE_CHECKING:
    import vapoursynth as vs
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

logger = logging.getLogger(__name__)


def ffmpeg_name(path: Path) -> str:
    """A path as FFmpeg takes it: what stands before a colon would be a protocol (`Film: the end.mkv`), but for a whole path."""
    return str(path.absolute() if ":" in str(path) else path)


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
    if not path.is_file():
        raise InputError(f"{who}: {path} is no plain file, and would be read more than once; save it as a file first")
    if not path.stat().st_size:
        raise InputError(f"{who}: {path} is empty (0 bytes); it may be an unfinished download")
    try:
        container = av.open(ffmpeg_name(path))
    except (OSError, av.FFmpegError) as error:
        raise InputError(f"{who}: {path} is not a video that FFmpeg can read ({reason(error)})") from None
    with container:
        yield container


def first_video(container: InputContainer, who: str, track: int | None = None) -> VideoStream:
    """The stream to convert: the first one that is not a cover picture.

    Args:
        container: the file.
        who: the command on whose behalf, which a message starts with.
        track: index of the stream that is wanted instead.

    Raises:
        InputError: there is none, or it is no video.
    """
    from av.stream import Disposition

    videos = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    for stream in videos:
        if track is None or stream.index == track:
            return stream
    if videos:
        choice = ", ".join(str(stream.index) for stream in videos)
        raise InputError(f"{who}: track is {track}; the video streams of {container.name} are {choice}")
    kinds = ", ".join(sorted({"cover" if stream.type == "video" else stream.type for stream in container.streams})) or "nothing"
    raise InputError(f"{who}: {container.name} holds no video, only {kinds}; give a video file")


def check_input(path: Path, who: str, track: int | None = None) -> None:
    """Find out quickly whether a file holds video.

    Raises:
        InputError: see `open_media` and `first_video`.
    """
    with open_media(path, who) as container:
        first_video(container, who, track)


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


def open_source(path: Path, who: str, track: int | None = None) -> Source:
    """Decode a file with BestSource, which reads it once from end to end to know every frame. It leaves no index file.

    Args:
        path: the file.
        who: the command on whose behalf, which a message starts with.
        track: index of the stream; None for the first video.

    Raises:
        InputError: see `open_media` and `first_video`; or VapourSynth or its plug-in is not installed.
    """
    with open_media(path, who) as container:
        track = first_video(container, who, track).index
    import vapoursynth as vs

    if not hasattr(vs.core, "bs"):
        raise InputError(f"{who}: VapourSynth has no BestSource; install it with pip install vapoursynth-bestsource")
    try:
        clip = vs.core.bs.VideoSource(ffmpeg_name(path), track=track, cachemode=0, showprogress=False)
    except vs.Error as error:
        raise InputError(f"{who}: {path} cannot be decoded ({error}); rewrite it first: ffmpeg -i IN -c:v ffv1 OUT.mkv") from None
    except UnicodeEncodeError:
        raise InputError(f"{who}: the name of {str(path)!a} is not UTF-8; rename it, or set a UTF-8 locale") from None
    return Source(path, clip, track)


def frame_time(source: Source, number: int) -> Fraction:
    """Presentation time in seconds of a frame, on the clock of the file's audio, variable frame rates included.

    Frames are counted from the first that can be decoded: a recording that starts amid a group of pictures holds others before.
    """
    with open_media(source.path, "convert") as container:
        stream: Any = container.streams[source.track]
        base, start = stream.time_base, stream.start_time or 0
        shown = first_frame(container, stream, "convert").pts
    first = start if shown is None else shown
    if not number:
        return seconds(first, base)
    with open_media(source.path, "convert") as container:
        packets = container.demux(container.streams[source.track])
        times = sorted(p.pts for p in packets if p.pts is not None and p.pts >= first)
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


@dataclass(frozen=True)
class Timing:
    """When a stream's pictures are shown.

    Attributes:
        frames: how many there are.
        variable: they are not all shown for as long as each other.
        average: frames a second; None where no picture says when it is shown.
    """

    frames: int
    variable: bool
    average: Fraction | None


def timing(container: InputContainer, stream: VideoStream) -> Timing:
    """Read from the container's index where it lists every picture at even times, else from its packets; nothing is decoded.

    A rate is variable where a picture is further than one and a half ticks from its place on an even grid: containers that
    count in milliseconds round each time. An index holds decoding times, which may be uneven at the start of an even stream.
    """
    rate: Any = stream.average_rate
    known = Fraction(rate.numerator, rate.denominator) if rate else None
    entries = [entry.timestamp for entry in stream.index_entries]
    if stream.frames and len(entries) == stream.frames and _even(entries):
        return Timing(stream.frames, False, known)
    with _again(container, stream) as (fresh, same):
        packets = [packet.pts for packet in _packets(fresh, same) if packet.size]
    found = sorted(time for time in packets if time is not None)
    # VP9's hidden reference pictures are packets of their own in some files, a tick before or after the one that is shown.
    times = found[:1] + [time for before, time in pairwise(found) if not _at_once(time - before, stream)]
    frames = len(packets) - len(found) + len(times)
    if _even(times):
        return Timing(frames, False, known)
    return Timing(frames, True, (len(times) - 1) / seconds(times[-1] - times[0], stream.time_base))


@contextmanager
def _again(container: InputContainer, stream: VideoStream) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The same stream from its start: not every file can be sought in (bare H.264, a start before zero)."""
    import av

    with av.open(container.name) as fresh:
        same: Any = fresh.streams[stream.index]
        yield fresh, same


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream, up to where the file cannot be read on."""
    import av

    try:
        yield from container.demux(stream)
    except (OSError, av.FFmpegError) as error:
        logger.warning("%s cannot be read to its end (%s)", container.name, reason(error))


def _even(times: list[int]) -> bool:
    """Whether all lie on a grid, but for rounding."""
    if len(times) < 3 or times[-1] == times[0]:
        return True
    step = Fraction(times[-1] - times[0], len(times) - 1)
    return all(abs(time - times[0] - place * step) <= Fraction(3, 2) for place, time in enumerate(times))


def _at_once(ticks: int, stream: VideoStream) -> bool:
    """Less than a millisecond and a half apart: two pictures of no video that people watch."""
    return seconds(ticks, stream.time_base) < Fraction(3, 2000)


Hdr10 = tuple[MasteringDisplay | None, ContentLight | None]
"""What is stated of a mastering display and of the light; None for what is not."""

_IN_STREAM = {"hevc", "h264", "av1"}
"""Codecs whose stream has a place for HDR10 metadata."""


def hdr10_metadata(frame: VideoFrame) -> Hdr10:
    """What a decoded frame says of its mastering display and its light, its stream and its container taken together."""
    return _hdr10({data.type.name: bytes(data) for data in frame.side_data.values()})


def container_hdr10(stream: VideoStream) -> Hdr10:
    """What the container says: `mdcv` and `clli` boxes, or Matroska's `MasteringMetadata`, `MaxCLL` and `MaxFALL`."""
    return _hdr10({name.upper(): bytes(data) for name, data in _coded_side_data(stream).items()})


def stream_hdr10(container: InputContainer, stream: VideoStream) -> Hdr10:
    """What the coded pictures say (SEI messages, metadata OBUs), whatever the container says.

    FFmpeg gives a frame what the container says where its own stream is silent. The first picture is therefore decoded by a
    decoder that knows nothing of the container.
    """
    import av

    if stream.codec_context.codec.canonical_name not in _IN_STREAM:
        return None, None
    decoder: Any = av.CodecContext.create(stream.codec_context.name, "r")
    if stream.codec_context.extradata:
        decoder.extradata = stream.codec_context.extradata
    try:
        with _again(container, stream) as (fresh, same):
            for packet in fresh.demux(same):
                for frame in decoder.decode(packet):
                    return hdr10_metadata(frame)
    except av.FFmpegError as error:
        logger.warning("the stream's metadata cannot be read (%s)", reason(error))
    return None, None


def same_display(one: MasteringDisplay, other: MasteringDisplay) -> bool:
    """Whether two displays are the same but for the rounding of their coding.

    Steps of 1/50000 or 1/65536 in a chromaticity, of 1/10000 or 1/16384 cd/m2 in a minimum, of 1/256 cd/m2 in a maximum. H.265,
    D.3.28; AV1 specification, 6.7.4.
    """
    points = zip((*one.primaries, one.white), (*other.primaries, other.white), strict=True)
    return (
        all(abs(a - b) <= 1 / CHROMATICITY_STEPS for first, second in points for a, b in zip(first, second, strict=True))
        and abs(one.min_luminance - other.min_luminance) <= 1 / LUMINANCE_STEPS
        and abs(one.max_luminance - other.max_luminance) <= 1 / 256
    )


@dataclass(frozen=True)
class DolbyVision:
    """What `dvcC` and `dvvC` boxes hold. Dolby Vision Streams Within the ISO Base Media File Format, 3.2.

    Attributes:
        profile: 5, 7, 8, 10 ...
        level: 1 to 13, by size and rate of the pictures.
        compatibility: what the base layer is for other players: 0 nothing, 1 HDR10, 2 SDR, 4 HLG, 6 HDR10 of UHD Blu-ray.
    """

    profile: int
    level: int
    compatibility: int

    def __str__(self) -> str:
        """As the field writes it: `Dolby Vision profile 8.4`."""
        return f"Dolby Vision profile {self.profile}" + (f".{self.compatibility}" if self.compatibility else "")


def dolby_vision(stream: VideoStream) -> DolbyVision | None:
    """The container's configuration record; None where it has none."""
    data = _coded_side_data(stream).get("dovi_conf")
    if data is None:
        return None
    # AVDOVIDecoderConfigurationRecord: a byte each for version (2), profile, level, RPU, enhancement, base, compatibility.
    _, _, profile, level, _, _, _, compatibility = bytes(data)[:8]
    return DolbyVision(profile, level, compatibility)


_DYNAMIC = {
    "HDR10+": {"DYNAMIC_HDR_PLUS", "DYNAMIC_HDR10_PLUS"},  # SMPTE ST 2094-40
    "HDR Vivid": {"DYNAMIC_HDR_VIVID"},  # CUVA 005.1
}
"""Kind of dynamic metadata -> FFmpeg's names of it in frames and packets."""


def dynamic_metadata(stream: VideoStream, frame: VideoFrame) -> list[str]:
    """Metadata that change from scene to scene, and that a conversion would lose or, kept, would contradict.

    Args:
        stream: the video.
        frame: its first picture.

    Returns:
        Names for people, such as "Dolby Vision profile 8.4" and "HDR10+"; empty for none.
    """
    found = {data.type.name for data in frame.side_data.values()} | {name.upper() for name in _coded_side_data(stream)}
    record = dolby_vision(stream)
    names = [str(record)] if record is not None else []
    if record is None and found & {"DOVI_RPU_BUFFER", "DOVI_METADATA"}:
        names.append("Dolby Vision, profile not said by the container")
    return names + [name for name, kinds in _DYNAMIC.items() if kinds & found]


def _coded_side_data(stream: VideoStream) -> dict[str, bytes]:
    """What the container says of a stream, by FFmpeg's names."""
    return {str(name): data for name, data in stream.codec_context.coded_side_data.items()}


def _hdr10(side_data: dict[str, bytes]) -> Hdr10:
    """FFmpeg's structures, which PyAV gives as bytes.

    `AVMasteringDisplayMetadata` is ten fractions (red, green, blue, white as x and y, then minimum and maximum luminance in
    cd/m2) and two flags; `AVContentLightMetadata` is MaxCLL and MaxFALL.
    """
    display, light = None, None
    try:
        if data := side_data.get("MASTERING_DISPLAY_METADATA"):
            numbers = struct.unpack_from("=22i", data)
            (*points, low, high) = (n / d if d else 0.0 for n, d in zip(numbers[0:20:2], numbers[1:20:2], strict=True))
            red, green, blue, white = zip(points[0::2], points[1::2], strict=True)
            if not all(numbers[20:]):
                raise InputError("mastering_display: no primaries or no possible luminance")
            display = MasteringDisplay(primaries=(red, green, blue), white=white, min_luminance=low, max_luminance=high)
    except InputError as error:
        logger.warning("metadata that make no sense are taken for missing: %s", error)
    try:
        if data := side_data.get("CONTENT_LIGHT_LEVEL"):
            most, average = struct.unpack_from("=2I", data)
            light = ContentLight(most, average) if most or average else None
    except InputError as error:
        logger.warning("metadata that make no sense are taken for missing: %s", error)
    return display, light


def seconds(ticks: int, time_base: Any) -> Fraction:
    """Exact seconds of a number of ticks; `time_base` is PyAV's rational."""
    return Fraction(ticks * time_base.numerator, time_base.denominator)


def reason(error: Exception) -> str:
    """Why the system or FFmpeg refused, in its own words."""
    return getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
