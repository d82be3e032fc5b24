"""A clip encoded in segments, so that a conversion that was cut short can go on where it was.

A segment is an encoder run of its own: the bytes of one depend on its frames, the settings and the machine alone, never on
which others were made in the same session. Two files hold it: `NNNNNN.mkv` with the packets, and `NNNNNN.json`, written last,
which says what they are. The times of the finished file are not in them (Matroska rounds to milliseconds): a packet says which
frame it shows, and a frame how long it lasts.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..errors import InputError
from ..hdr10 import ContentLight
from ..light import AVERAGE_MAX_RGB, MAX_RGB
from ..media import ffmpeg_name, reason
from . import hevc, scheduling
from .clip import Picture, PictureClip
from .encoders import REORDER_FRAMES, Look, Settings, quiet
from .pictures import Facts, duration, to_av

if TYPE_CHECKING:
    import vapoursynth as vs

SEGMENT_FRAMES = 120
"""Frames of a segment: five seconds of film, a usual distance of key frames. A network that does a frame a second loses two
minutes at the most when it is cut short."""

NOMINAL_RATE = Fraction(25)
"""What an encoder's rate control is told of a clip without a frame rate; the file's times come from the frames."""


@dataclass(frozen=True)
class Packet:
    """One coded picture: the frame it shows, counted from the segment's first, and whether decoding can start there."""

    frame: int
    key: bool


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A finished segment.

    Attributes:
        start: its first frame.
        end: the frame to stop before.
        facts: what its pictures say.
        extradata: the stream's headers.
        size: bytes of its file.
        packets: in the order of decoding.
        durations: seconds of each frame, in the order of showing.
        light: cd/m2 of the brightest max(R, G, B) and of their average, for each frame; empty where it was not measured.
    """

    start: int
    end: int
    facts: Facts
    extradata: bytes
    size: int
    packets: tuple[Packet, ...]
    durations: tuple[Fraction, ...]
    light: tuple[tuple[float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """As it lies in the folder."""
        runs = [(key, sum(1 for _ in group)) for key, group in groupby(self.durations)]
        return {
            "start": self.start,
            "end": self.end,
            "width": self.facts.width,
            "height": self.facts.height,
            "properties": self.facts.properties,
            "extradata": self.extradata.hex(),
            "size": self.size,
            "packets": [[packet.frame, int(packet.key)] for packet in self.packets],
            "durations": [[value.numerator, value.denominator, count] for value, count in runs],
            "light": self.light,
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """From what lies in the folder."""
        return cls(
            start=found["start"],
            end=found["end"],
            facts=Facts(found["width"], found["height"], found["properties"]),
            extradata=bytes.fromhex(found["extradata"]),
            size=found["size"],
            packets=tuple(Packet(frame, bool(key)) for frame, key in found["packets"]),
            durations=tuple(Fraction(n, d) for n, d, count in found["durations"] for _ in range(count)),
            light=tuple((most, average) for most, average in found["light"]),
        )


@dataclass(frozen=True)
class Grid:
    """Where a clip is cut: every `length` frames from its first; a last piece that is too short goes with the one before it."""

    frames: int
    length: int = SEGMENT_FRAMES

    def pieces(self) -> list[tuple[int, int]]:
        """First frame and the one to stop before, of each segment."""
        if self.length <= REORDER_FRAMES:
            raise InputError(f"encode: segments of {self.length} frames; give more than {REORDER_FRAMES}")
        starts = list(range(0, self.frames, self.length))
        if len(starts) > 1 and self.frames - starts[-1] <= REORDER_FRAMES:
            starts.pop()
        return list(pairwise([*starts, self.frames]))


class Store:
    """The segments of one conversion in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def stream(self, start: int) -> Path:
        """The packets of the segment that starts at a frame."""
        return self.folder / f"{start:06d}.mkv"

    def load(self, start: int, end: int) -> Segment | None:
        """A finished segment; None where it is missing or was not written to its end."""
        try:
            segment = Segment.from_json(json.loads(self._index(start).read_text("utf-8")))
            whole = self.stream(start).stat().st_size == segment.size
        except (OSError, ValueError, KeyError, TypeError):
            return None
        whole = whole and len(segment.packets) == len(segment.durations) == end - start
        return segment if whole and (segment.start, segment.end) == (start, end) else None

    def save(self, segment: Segment) -> None:
        """Finish a segment whose packets are there: what names it is written last."""
        index = self._index(segment.start)
        with (part := index.with_suffix(".json.tmp")).open("w", encoding="utf-8") as file:
            json.dump(segment.to_json(), file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(index)

    def _index(self, start: int) -> Path:
        return self.folder / f"{start:06d}.json"


def encode_missing(
    clip: vs.VideoNode | PictureClip,
    store: Store,
    settings: Settings,
    grid: Grid,
    progress: Callable[[int, int], None] | None = None,
    resumed: Callable[[int], None] | None = None,
) -> list[Segment]:
    """Encode the segments that are not there yet.

    Args:
        clip: packed as the encoder takes it.
        store: where finished segments lie.
        settings: the encoder.
        grid: where the clip is cut.
        progress: called after each frame with frames done and frames in all.
        resumed: called first with the frames that were done before.

    Returns:
        All segments, in order.

    Raises:
        InputError: the encoder refuses, the frames change their size or colour, or the folder cannot be written.
        vs.Error: a frame could not be computed.
    """
    quiet()
    pieces = grid.pieces()
    found = {piece: store.load(*piece) for piece in pieces}
    done = sum(end - start for (start, end), segment in found.items() if segment is not None)
    if resumed is not None:
        resumed(done)
    for missing, run in groupby(pieces, lambda piece: found[piece] is None):
        if not missing:
            continue
        run_pieces = list(run)
        # One request for all of them: frames of the next segment are computed while the encoder empties itself.
        with closing(clip[run_pieces[0][0] : run_pieces[-1][1]].frames(close=True)) as frames:
            for piece in run_pieces:
                encoder = _Run(store, settings, clip, piece)
                for _ in encoder.encode(frames):
                    done += 1
                    if progress is not None:
                        progress(done, grid.frames)
                found[piece] = encoder.result
    segments = [segment for segment in found.values() if segment is not None]
    for segment in segments[1:]:
        if segment.facts != segments[0].facts or _headers(segment) != _headers(segments[0]):
            raise InputError(
                f"encode: frames from {segment.start} on differ from the first ones in size, colour or metadata; "
                "convert the parts one by one with --start and --end"
            )
    return segments


def _headers(segment: Segment) -> frozenset[bytes]:
    """What a decoder needs to be told. The rest of x265's headers names the machine: its threads, its instruction set."""
    extradata = segment.extradata
    is_hevc = extradata.startswith((b"\0\0\1", b"\0\0\0\1"))  # as libx265 gives them
    return hevc.parameter_sets(extradata) if is_hevc else frozenset((extradata,))


class _Run:
    """One encoder run."""

    def __init__(self, store: Store, settings: Settings, clip: vs.VideoNode | PictureClip, piece: tuple[int, int]) -> None:
        self._store, self._settings, self._rate = store, settings, Fraction(clip.fps)
        self._frames = clip.num_frames
        self._start, self._end = piece
        self._packets: list[Packet] = []
        self.result: Segment | None = None

    def encode(self, frames: Iterator[vs.VideoFrame | Picture]) -> Iterator[None]:
        """Encode the next frames; yields once for each."""
        import av

        path = self._store.stream(self._start)
        part = path.with_name(f"{path.name}.tmp")
        first = next(frames)
        facts = Facts.of(first)
        durations: list[Fraction] = []
        light: list[tuple[float, float]] = []
        try:
            with av.open(ffmpeg_name(part), "w", format="matroska", container_options={"fflags": "+bitexact"}) as file:
                stream = add_encoder(file, self._settings, facts, self._rate, self._frames)
                for number, frame in enumerate(chain([first], _some(frames, self._end - self._start - 1))):
                    if (frame.width, frame.height) != (facts.width, facts.height):
                        raise InputError(f"encode: frame {self._start + number} is {frame.width}x{frame.height}, not as before")
                    picture = to_av(frame, facts.signalling, self._settings.pixel_format)
                    picture.pts, picture.time_base = number, stream.codec_context.time_base
                    with scheduling.kept() if number == 0 else contextlib.nullcontext():  # the first one opens the encoder
                        self._write(file, stream.encode(picture))
                    durations.append(duration(frame, self._rate))
                    if MAX_RGB in frame.props:
                        light.append((float(frame.props[MAX_RGB]), float(frame.props[AVERAGE_MAX_RGB])))
                    yield
                self._write(file, stream.encode())
                extradata = stream.codec_context.extradata or b""
            self._check()
            with part.open("rb+") as written:
                os.fsync(written.fileno())  # until then a power cut may leave the name without the content
                size = written.seek(0, os.SEEK_END)
            part.replace(path)
            self.result = Segment(
                start=self._start,
                end=self._end,
                facts=facts,
                extradata=extradata,
                size=size,
                packets=tuple(self._packets),
                durations=tuple(durations),
                light=tuple(light),
            )
            self._store.save(self.result)
        except (OSError, av.FFmpegError) as error:
            raise InputError(f"encode: {self._store.folder} cannot be written ({reason(error)})") from None
        finally:
            part.unlink(missing_ok=True)

    def _write(self, file: Any, packets: list[Any]) -> None:
        for packet in packets:
            self._packets.append(Packet(packet.pts, packet.is_keyframe))
            file.mux_one(packet)

    def _check(self) -> None:
        """A picture that an encoder swallows or makes twice would shift everything after it."""
        shown = sorted(packet.frame for packet in self._packets)
        if shown != list(range(self._end - self._start)):
            raise InputError(f"encode: {self._settings.name} gave {len(shown)} pictures for {self._end - self._start} frames")


def add_encoder(file: Any, settings: Settings, facts: Facts, rate: Fraction, frames: int) -> Any:
    """A stream and its encoder, whose headers are the same for every segment.

    Args:
        file: container to add it to.
        settings: which one.
        facts: what its pictures say.
        rate: frames a second; 0 where the clip does not say.
        frames: length of the whole clip.
    """
    rate = rate or NOMINAL_RATE
    options = settings.options(Look(facts.signalling, facts.display, facts.light, settings.format, frames))
    stream = file.add_stream(settings.encoder.codec, rate=rate, options=options)
    set_facts(stream.codec_context, facts, settings.pixel_format)
    stream.codec_context.time_base = 1 / rate
    return stream


def set_facts(context: Any, facts: Facts, pixel_format: str) -> None:
    """Tell a codec's context what its pictures say."""
    signalling = facts.signalling
    context.width, context.height, context.pix_fmt = facts.width, facts.height, pixel_format
    context.color_primaries, context.color_trc = signalling.primaries, signalling.transfer
    context.colorspace, context.color_range = signalling.matrix, 1  # AVCOL_RANGE_MPEG
    context.chroma_sample_location = facts.chroma_location + 1  # AVChromaLocation counts from 1, 0 being unknown
    context.sample_aspect_ratio = facts.aspect


def content_light(segments: list[Segment]) -> ContentLight | None:
    """MaxCLL and MaxFALL of the whole; None where a frame was not measured."""
    if any(len(segment.light) != segment.end - segment.start for segment in segments):
        return None
    pairs = [pair for segment in segments for pair in segment.light]
    return ContentLight.measured(*(max(values) for values in zip(*pairs, strict=True)))


def _some(frames: Iterator[vs.VideoFrame | Picture], count: int) -> Iterator[vs.VideoFrame | Picture]:
    for _ in range(count):
        yield next(frames)
