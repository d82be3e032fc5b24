"""Audio of one file copied into another without decoding it, kept in step with the video that is encoded beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import av
from av.container import InputContainer, OutputContainer

from .media import seconds

if TYPE_CHECKING:
    from .video import AudioRange

logger = logging.getLogger(__name__)

_NEVER = Fraction(10**12)
"""Seconds that no file lasts."""


class AudioCopy:
    """Copies packets as the video advances, so that the two lie beside each other in the file.

    A stream that the container cannot hold is left out, which is logged as a warning that says why.
    """

    def __init__(self, audio: AudioRange | None, file: OutputContainer, output: Path) -> None:
        """Add a stream to `file` for every audio stream of `audio.path`; before the file's header is written."""
        self._audio = audio
        self._file = file
        self._targets: dict[int, Any] = {}
        self._waiting: Any = None
        self._packets: Iterator[Any] = iter(())
        self._source = av.open(str(audio.path)) if audio is not None else None
        if audio is None or self._source is None:
            return
        for stream in self._source.streams.audio:
            name = stream.codec_context.name if stream.codec_context is not None else "an unknown format"
            if name not in file.supported_codecs:
                logger.warning(
                    "audio stream %d left out: %s cannot hold %s; write .mkv to keep it",
                    stream.index,
                    output.suffix,
                    name,
                )
                continue
            target = file.add_stream_from_template(stream)
            for key in ("language", "title"):
                if key in stream.metadata:
                    target.metadata[key] = stream.metadata[key]
            self._targets[stream.index] = target
        self._packets = self._shifted(audio, self._source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            self._source.close()

    @property
    def count(self) -> int:
        """Audio streams that are copied."""
        return len(self._targets)

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
            self._file.mux_one(packet)

    def finish(self, time: Fraction) -> None:
        """Write what is left: all of it, or up to `time` where the range ends with the video."""
        to_the_end = self._audio is not None and self._audio.to_the_end
        self.until(_NEVER if to_the_end else time)

    def _shifted(self, audio: AudioRange, source: InputContainer) -> Iterator[Any]:
        """The packets inside the range, on the video's clock; one that the first frame falls into is kept whole."""
        streams = [source.streams[index] for index in self._targets]
        if not streams:
            return
        for packet in source.demux(streams):
            if packet.pts is None:
                continue
            base = packet.time_base
            ends = seconds(packet.pts + (packet.duration or 0), base)
            if not audio.from_the_start and ends <= audio.start:
                continue
            shift = round(audio.start / seconds(1, base))
            dts = packet.pts if packet.dts is None else packet.dts
            packet.pts, packet.dts = packet.pts - shift, dts - shift
            packet.stream = self._targets[packet.stream.index]
            yield packet
