"""What a source holds beside its video, copied into the new file: sound, subtitles, fonts, chapters, titles.

Packets are not decoded; only text subtitles that the container cannot hold are rewritten in the form that it can. What cannot
come along is said in one line each.
"""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
from av.codec.codec import Properties
from av.container import OutputContainer
from av.stream import Disposition

from ..errors import InputError
from ..media import ffmpeg_name, reason, seconds
from .encoders import Container

logger = logging.getLogger(__name__)

_NEVER = Fraction(10**12)
"""Seconds that no file lasts."""

_STREAM_TAGS = ("language", "title", "comment")
"""What is copied of a stream's metadata: the rest counts bytes and frames of the file that it comes from."""

_FILE_TAGS_LEFT = frozenset(
    {"encoder", "duration", "creation_time", "major_brand", "minor_version", "compatible_brands", "com.apple.quicktime.make"}
)
"""Metadata that speak of the file that they come from, not of the film."""


@dataclass(frozen=True)
class Excerpt:
    """Which part of a source goes beside the video.

    Attributes:
        path: the file.
        start: time in that file, in seconds, of the first video frame that is encoded.
        track: index of the video stream that is encoded; None for the first.
        from_the_start: what comes before the first frame is kept too.
        to_the_end: all of it is kept, even where it outlasts the video; else it ends with the last frame.
    """

    path: Path
    start: Fraction
    track: int | None = None
    from_the_start: bool = True
    to_the_end: bool = True


class Companions:
    """The other streams of a source, written as the video advances, so that they lie beside it in the file."""

    def __init__(self, excerpt: Excerpt, file: OutputContainer, container: Container, suffix: str, length: Fraction) -> None:
        """Add what comes along to `file`, before its header is written.

        Args:
            excerpt: what is copied.
            file: where to.
            container: its kind.
            suffix: end of its name, for messages.
            length: seconds of video.
        """
        self._excerpt, self._file, self._container, self._suffix = excerpt, file, container, suffix
        self._length = length
        self._writers: dict[int, Callable[[Any], Any]] = {}
        self._waiting: Any = None
        self.counts: Counter[str] = Counter()
        try:
            self._source = av.open(ffmpeg_name(excerpt.path))
        except (OSError, av.FFmpegError) as error:
            raise InputError(f"encode: {excerpt.path} can no longer be read ({reason(error)}); bring it back as it was") from None
        videos = [s.index for s in self._source.streams.video if not s.disposition & Disposition.attached_pic]
        self._track = excerpt.track if excerpt.track is not None else next(iter(videos), None)
        for stream in self._source.streams:
            self._add(stream)
        self._add_chapters()
        self._file.metadata.update(
            {name: value for name, value in self._source.metadata.items() if name.lower() not in _FILE_TAGS_LEFT}
        )
        self._packets = self._shifted()
        self._last: dict[int, int] = {}
        self._damaged: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def tag_video(self, target: Any) -> None:
        """Give the new video stream the language and title of the old one."""
        if self._track is not None:
            _copy_tags(self._source.streams[self._track], target)

    def until(self, time: Fraction) -> None:
        """Write what starts before `time`, in seconds after the first video frame."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            if seconds(packet.pts, packet.time_base) >= time:
                self._waiting = packet
                return
            self._mux(packet)

    def _mux(self, packet: Any) -> None:
        """Write a packet; a damaged one is left out, since hours of video are not worth less for it."""
        index = packet.stream.index
        try:
            self._file.mux_one(packet)
        except (av.error.InvalidDataError, av.error.ArgumentError) as error:
            if index not in self._damaged:
                logger.warning("%s: damaged packets of a stream left out (%s)", self._excerpt.path, reason(error))
            self._damaged.add(index)

    def finish(self) -> None:
        """Write what is left: all of it, or up to the video's end where the range ends before the source."""
        self.until(_NEVER if self._excerpt.to_the_end else self._length)

    def _add(self, stream: Any) -> None:
        if stream.type == "video":
            self._refuse_video(stream)
        elif stream.type == "audio":
            if not self._add_copy(stream):
                self._leave_out(stream)
        elif stream.type == "subtitle":
            if not self._add_copy(stream) and not self._add_rewritten(stream):
                self._leave_out(stream)
        elif stream.type == "attachment" and self._container.attachments:
            _copy_tags(stream, self._file.add_stream_from_template(stream), "filename", "mimetype")
            self.counts["attachment"] += 1
        elif stream.type == "data" and stream.name == "bin_data" and self._source.chapters():
            return  # how MP4 holds its chapters, which are copied as such
        else:
            self._leave_out(stream)

    def _refuse_video(self, stream: Any) -> None:
        if stream.disposition & Disposition.attached_pic:
            logger.warning("video stream %d left out: cover pictures are not copied", stream.index)
        elif stream.index != self._track:
            logger.warning("video stream %d left out: only one is converted; --track chooses which", stream.index)

    def _add_copy(self, stream: Any) -> bool:
        if stream.codec_context is None or not _holds(self._container.format, stream):
            return False
        target: Any = self._file.add_stream_from_template(stream)

        def write(packet: Any) -> Any:
            packet.stream = target
            return packet

        self._register(stream, target, write)
        return True

    def _add_rewritten(self, stream: Any) -> bool:
        """Text subtitles in the container's own form."""
        context, name = stream.codec_context, self._container.subtitles
        if context is None or not Properties(context.codec.properties) & Properties.TEXT_SUB:
            return False
        context.open(strict=False)
        if context.subtitle_header is None:
            return False
        target: Any = self._file.add_stream(name, time_base=Fraction(1, 1000))
        target.codec_context.subtitle_header = context.subtitle_header
        if context.name in ("ass", "ssa"):
            logger.warning(
                "subtitle stream %d (%s) becomes %s: fonts and places are lost; write .mkv to keep them",
                *(stream.index, context.codec.canonical_name, name),
            )

        def write(packet: Any) -> Any:
            found = context.decode2(packet)
            if found is None or not len(found):
                return None
            text = target.codec_context.encode_subtitle(found)
            text.time_base = packet.time_base
            text.pts, text.dts, text.duration, text.stream = packet.pts, packet.pts, packet.duration, target
            return text

        self._register(stream, target, write)
        return True

    def _register(self, stream: Any, target: Any, write: Callable[[Any], Any]) -> None:
        _copy_tags(stream, target)
        self._writers[stream.index] = write
        self.counts[stream.type] += 1

    def _leave_out(self, stream: Any) -> None:
        context = stream.codec_context
        name = context.codec.canonical_name if context is not None else stream.name or "an unknown format"
        if stream.type == "data":
            logger.warning("data stream %d left out: timecode, telemetry and the like are not copied", stream.index)
            return
        advice = "" if self._suffix == ".mkv" else "; write .mkv to keep it"
        logger.warning("%s stream %d left out: %s cannot hold %s%s", stream.type, stream.index, self._suffix, name, advice)

    def _add_chapters(self) -> None:
        chapters: list[Any] = []
        last = _NEVER if self._excerpt.to_the_end else self._length
        for chapter in self._source.chapters():
            base: Any = chapter["time_base"]
            start, end = (seconds(chapter[side], base) - self._excerpt.start for side in ("start", "end"))
            start, end = max(start, Fraction(0)), min(end, last)
            if start < end:
                ticks = {side: round(time * 1000) for side, time in (("start", start), ("end", end))}
                entry = {"id": len(chapters) + 1, **ticks, "time_base": Fraction(1, 1000), "metadata": chapter["metadata"]}
                chapters.append(entry)
        self._file.set_chapters(chapters)
        self.counts["chapter"] = len(chapters)

    def _shifted(self) -> Iterator[Any]:
        """The packets inside the range, on the video's clock; sound that the first frame falls into is kept whole."""
        streams = [self._source.streams[index] for index in self._writers]
        if not streams:
            return
        for packet in self._read(streams):
            if packet.pts is None or not packet.size:
                continue
            base: Any = packet.time_base
            ends = seconds(packet.pts + (packet.duration or 0), base)
            if not self._excerpt.from_the_start and ends <= self._excerpt.start:
                continue
            shift = round(self._excerpt.start / seconds(1, base))
            dts = packet.pts if packet.dts is None else packet.dts
            # Damaged files go back in time, which no muxer takes.
            dts = self._last[packet.stream.index] = max(dts, self._last.get(packet.stream.index, dts - 1) + 1)
            packet.pts, packet.dts = max(packet.pts, dts) - shift, dts - shift
            if packet.stream.type == "subtitle":
                self._cut(packet, base)
            written = self._writers[packet.stream.index](packet)
            if written is not None:
                yield written

    def _read(self, streams: list[Any]) -> Iterator[Any]:
        try:
            yield from self._source.demux(streams)
        except av.FFmpegError as error:
            logger.warning("%s cannot be read to its end (%s): what follows is left out", self._excerpt.path, reason(error))

    def _cut(self, packet: Any, base: Any) -> None:
        """Keep a subtitle inside the video: it may not start before, nor end after a range that stops early."""
        first, last = packet.pts, packet.pts + (packet.duration or 0)
        if first < 0:
            packet.pts = packet.dts = 0
        if not self._excerpt.to_the_end:
            last = min(last, max(packet.pts, round(self._length / seconds(1, base))))
        if packet.duration:
            packet.duration = last - packet.pts


def _holds(container: str, stream: Any) -> bool:
    """Whether a container takes this stream: FFmpeg's lists say less than its muxers ask for, so that a header is written."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _copy_tags(stream: Any, target: Any, *more: str) -> None:
    known = stream.metadata
    if "title" not in known and "name" in known:
        known = {**known, "title": known["name"]}  # FFmpeg's name of it where it reads MP4
    target.metadata.update({key: known[key] for key in (*_STREAM_TAGS, *more) if key in known})
    target.disposition = stream.disposition
