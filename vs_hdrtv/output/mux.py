"""Finished segments, and what comes along from the source, put into one file."""

from __future__ import annotations

import io
import logging
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from ..errors import InputError
from ..hdr10 import SIGNALLING, ContentLight
from ..media import ffmpeg_name, seconds
from .boxes import template
from .companions import Companions, Excerpt
from .encoders import CONTAINERS, Settings
from .matroska import set_display_size
from .pictures import Facts
from .segments import Segment, Store, content_light, set_facts
from .stamp import Stamp

logger = logging.getLogger(__name__)

CLOCK = 90000
"""Ticks a second that timestamps are at least counted in: the clock of MPEG systems, exact for milliseconds too."""

ROUNDED = Fraction(1, 1000)
"""Seconds that Matroska, FLV and others round to: as far as a time may lie from that of a constant rate."""


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        frames: of video.
        duration: seconds of video.
        light: MaxCLL and MaxFALL as the file states them; None where it states none.
        counts: other streams and chapters by kind: `audio`, `subtitle`, `attachment`, `chapter`.
    """

    frames: int
    duration: Fraction
    light: ContentLight | None
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Timeline:
    """When frames are shown and decoded, in ticks.

    Attributes:
        clock: seconds a tick.
        shown: time of each frame in the order of showing, and of the end.
        decoded: time of each packet in the order of decoding.
        order: the frame that each packet shows.
    """

    clock: Fraction
    shown: tuple[int, ...]
    decoded: tuple[int, ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, segments: list[Segment], rate: Fraction, decode_times: bool) -> Timeline:
        """The timeline of segments one after another.

        A packet is decoded when the frame `depth` places before it is shown, `depth` being the furthest that any frame is moved;
        so that decoding times increase over the whole file and never come after the frame is shown.

        Args:
            segments: all of them, in order.
            rate: frames a second; 0 where the clip does not say.
            decode_times: the container stores them: the first ones lie before the first frame then. Else nothing does.
        """
        clock = time_base(rate)
        times = even([Fraction(0), *accumulate(value for segment in segments for value in segment.durations)], rate)
        shown = tuple(round(time / clock) for time in times)
        order = tuple(segment.start + packet.frame for segment in segments for packet in segment.packets)
        depth = max(place - frame for place, frame in enumerate(order))
        step = shown[1] - shown[0] if decode_times else 0
        before = [shown[0] - step * (depth - place) for place in range(min(depth, len(order)))]
        return cls(clock, shown, (*before, *shown[: len(order) - len(before)]), order)


def mux(
    segments: list[Segment], store: Store, settings: Settings, path: Path, rate: Fraction, excerpt: Excerpt | None = None
) -> Written:
    """Write a file.

    Light that was measured is stated in the stream and in the container. The same segments give the same bytes: no dates, no
    random numbers.

    Args:
        segments: all of them, in order.
        store: where their packets are.
        settings: what they were encoded with.
        path: file to write, its suffix a key of `CONTAINERS`.
        rate: frames a second of the clip; 0 where it does not say.
        excerpt: what to copy beside it.

    Raises:
        InputError: a segment is damaged.
        OSError: the file cannot be written (`av.FFmpegError` too).
    """
    suffix = path.suffix.lower()
    container, facts = CONTAINERS[suffix], segments[0].facts
    timeline = Timeline.of(segments, rate, container.decode_times)
    if container.decode_times and (longest := max(end - start for start, end in pairwise(timeline.shown))) >= 2**31:
        # ISO/IEC 14496-12, 8.6.1.2: durations of samples are 32 bits, and FFmpeg takes them as signed.
        raise InputError(
            f"encode: a frame is shown for {float(longest * timeline.clock):.0f} s, longer than {suffix} can say; write .mkv"
        )
    length = timeline.shown[-1] * timeline.clock
    light = (content_light(segments) or facts.light) if facts.signalling is SIGNALLING["pq"] else None
    options = {**container.options, "fflags": "+bitexact"}
    with ExitStack() as stack:
        file = stack.enter_context(av.open(ffmpeg_name(path), "w", format=container.format, container_options=options))
        with av.open(ffmpeg_name(store.stream(segments[0].start))) as first:
            source: Any = first.streams.video[0]
            codec, extradata = source.codec_context.codec.canonical_name, source.codec_context.extradata or b""
            stamp = Stamp(codec, facts.display, light, extradata=extradata)
            with template(source, facts.display, light) as full:
                stream = _add_video(file, full, settings, facts, suffix, rate)
        stream.time_base = timeline.clock
        others = None
        if excerpt is not None:
            others = stack.enter_context(Companions(excerpt, file, container, suffix, length))
            others.tag_video(stream)
        file.start_encoding()
        for packet in _packets(segments, store, stamp, timeline):
            if others is not None:
                others.until(seconds(packet.dts, timeline.clock))
            packet.stream = stream
            file.mux_one(packet)
        if others is not None:
            others.finish()
    if facts.aspect != 1 and not container.decode_times:
        shown = round(facts.width * facts.aspect)
        if not set_display_size(path, shown, facts.height):
            logger.warning("pixels of %s are not written to %s; play it at %dx%d", facts.aspect, suffix, shown, facts.height)
    return Written(len(timeline.order), length, light, others.counts if others is not None else Counter())


def even(times: list[Fraction], rate: Fraction) -> list[Fraction]:
    """`times` of frames in seconds; those of a constant rate that a container rounded to milliseconds, as they were meant.

    Args:
        times: of each frame and of the end, from 0.
        rate: frames a second; 0 where the clip does not say.
    """
    meant = [number / rate for number in range(len(times))] if rate else times
    return meant if all(abs(time - exact) <= ROUNDED for time, exact in zip(times, meant, strict=True)) else times


def time_base(rate: Fraction) -> Fraction:
    """Seconds a tick: 1/90000, or finer where the frame rate needs it to be exact (24000/1001 needs 1/360000)."""
    ticks = math.lcm(CLOCK, rate.numerator) if rate else CLOCK
    return Fraction(1, ticks if ticks <= 10**8 else CLOCK)


def _add_video(file: Any, full: Any, settings: Settings, facts: Facts, suffix: str, rate: Fraction) -> Any:
    """The video stream: all that `full` says, with the container's code and the frame rate.

    PyAV sets the one only on a stream with a codec and the other only on a stream without; so that the parameters go from the
    first kind, in a file that is thrown away, to the second.
    """
    with av.open(io.BytesIO(), "w", format=CONTAINERS[suffix].format) as scratch:
        tagged: Any = scratch.add_stream_from_template(full, opaque=True)
        set_facts(tagged.codec_context, facts, settings.pixel_format)
        if (tag := settings.encoder.tags[suffix]) is not None:
            tagged.codec_context.codec_tag = tag
        scratch.start_encoding()
        stream = file.add_mux_stream(full.codec_context.codec.canonical_name, rate=rate or None)
        BitStreamFilterContext("null", in_stream=tagged, out_stream=stream)
    return stream


def _packets(segments: list[Segment], store: Store, stamp: Stamp, timeline: Timeline) -> Iterator[Any]:
    """The video's packets with their times and their metadata."""
    place = 0
    for segment in segments:
        path, first = store.stream(segment.start), place
        with av.open(ffmpeg_name(path)) as part:  # one by one: a segment of lossless video does not fit into memory
            for old in part.demux(part.streams.video[0]):
                if not old.size or place == first + len(segment.packets):
                    continue
                try:
                    packet = av.Packet(stamp.packet(bytes(old)))
                except InputError:
                    break
                frame = timeline.order[place]
                packet.is_keyframe = segment.packets[place - first].key
                packet.time_base = timeline.clock
                packet.pts, packet.dts = timeline.shown[frame], timeline.decoded[place]
                packet.duration = timeline.shown[frame + 1] - timeline.shown[frame]
                place += 1
                yield packet
        if place != first + len(segment.packets):
            raise InputError(f"encode: {path} is damaged; delete it and go on with --resume")
