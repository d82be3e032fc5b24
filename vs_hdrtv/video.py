"""HDR files out, for the command line: PyAV (libx265) encodes a clip, audio is copied beside it as it is.

Nothing is ever half-written under the name that was asked for: `encode` writes to NAME.partial and renames at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .hdr10 import SIGNALLING, ContentLight, MasteringDisplay, Signalling, x265_params
from .media import reason, seconds

if TYPE_CHECKING:
    import vapoursynth as vs

    from .remux import AudioCopy

SPEEDS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium"),
    *("slow", "slower", "veryslow", "placebo"),
)
"""x265's presets, fastest first."""

CRF_RANGE = (0.0, 51.0)
"""x265's range of `crf`."""

SMALLEST = (64, 16)
"""Width and height below which libx265 is not called: 8 x 8 is refused by it, and from 34 to 48 pixels of width x265 4.3 writes
past its buffers (seen with MALLOC_CHECK_)."""

REORDER_FRAMES = 4
"""Clips that are not longer get no B-frames: x265 4.x takes their delay from a frame that never comes, and gives garbage
as decoding time (`m_bframeDelayTime`)."""

CLOCK = 90000
"""Ticks a second that timestamps are at least counted in: the clock of MPEG systems, exact for milliseconds too."""


@dataclass(frozen=True)
class Container:
    """A kind of output file: FFmpeg's name of it, its options, and the code that HEVC goes by inside it."""

    format: str
    options: dict[str, str]
    codec_tag: str | None = None


# Apple's players open HEVC in MP4 as hvc1 only; faststart lets a browser play before the whole file is there.
_MP4 = Container("mp4", {"movflags": "+faststart"}, "hvc1")
CONTAINERS: dict[str, Container] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container("mov", {"movflags": "+faststart"}, "hvc1"),
    ".mkv": Container("matroska", {}),
}
"""Output files by the end of their name."""


def check_output(output: Path, source: Path, overwrite: bool, who: str) -> Container:
    """Find out before any work whether `output` can be written.

    Raises:
        InputError: its kind is unknown, it exists or is the source, or its folder is missing or cannot be written.
    """
    kind = CONTAINERS.get(output.suffix.lower())
    if kind is None:
        raise InputError(f"{who}: {output} ends in {output.suffix!r}; choose one of {', '.join(CONTAINERS)}")
    if output.exists():
        if output.is_dir():
            raise InputError(f"{who}: {output} is a folder; give a file name")
        if source.exists() and output.samefile(source):
            raise InputError(f"{who}: {output} is the input itself; give another name")
        if not overwrite:
            raise InputError(f"{who}: {output} exists; give another name or --overwrite")
    if not output.parent.is_dir():
        raise InputError(f"{who}: folder {output.parent} does not exist; make it first")
    partial = _partial_name(output)
    there = partial.exists()  # another conversion's, perhaps: then it is not ours to remove
    try:
        partial.open("ab").close()
        if not there:
            partial.unlink()
    except OSError as error:
        raise InputError(f"{who}: {output.parent} cannot be written ({reason(error)}); choose another folder") from None
    return kind


def check_quality(crf: float, speed: str, who: str) -> None:
    """Find out before any work whether x265 will take these.

    Raises:
        InputError: `crf` is outside `CRF_RANGE`, or `speed` not in `SPEEDS`.
    """
    low, high = CRF_RANGE
    if not low <= crf <= high:
        raise InputError(f"{who}: crf is {crf:g}; choose {low:g} (best) to {high:g} (smallest)")
    if speed not in SPEEDS:
        raise InputError(f"{who}: unknown speed {speed!r}; choose one of {', '.join(SPEEDS)}")


@contextmanager
def partial_file(output: Path) -> Iterator[Path]:
    """NAME.partial, renamed to NAME when all went well and removed when anything did not, Ctrl-C included."""
    partial = _partial_name(output)
    try:
        yield partial
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class AudioRange:
    """Which audio goes beside the video.

    Attributes:
        path: the file that it is copied from.
        start: time in that file, in seconds, of the first video frame that is encoded.
        to_the_end: all of it is kept, even where it outlasts the video; else it ends with the last frame.
        from_the_start: what comes before the first frame is kept too.
    """

    path: Path
    start: Fraction
    from_the_start: bool = True
    to_the_end: bool = True


@dataclass(frozen=True)
class Encoded:
    """What was written: frames, seconds, audio streams copied, and the light measured (None where it was not)."""

    frames: int
    duration: Fraction
    audio: int
    light: ContentLight | None


def with_light_level(clip: vs.VideoNode) -> vs.VideoNode:
    """A PQ clip with the light of each frame as properties, measured on the very pixels that are encoded.

    `PlaneStatsMax` and `PlaneStatsAverage` are the maximum and the average of max(R, G, B) in units of 100 cd/m2, as
    CTA-861.3, annex P counts them. Chroma is brought to full size linearly, which does not overshoot by itself; what
    4:2:0 itself adds is counted.
    """
    import vapoursynth as vs

    light = clip.resize.Bilinear(format=vs.RGBS, transfer=vs.TRANSFER_LINEAR, nominal_luminance=100)
    brightest = vs.core.std.Expr(light.std.SplitPlanes(), "x y max z max")
    return clip.std.CopyFrameProps(brightest.std.PlaneStats(), props=["PlaneStatsMax", "PlaneStatsAverage"])


def encode(
    clip: vs.VideoNode,
    output: Path,
    *,
    crf: float = 18.0,
    speed: str = "medium",
    audio: AudioRange | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Encoded:
    """Encode to HEVC Main 10 with libx265.

    Colour signalling, mastering display, content light level, aspect ratio and durations are read from the frames'
    properties: the stream says what the clip says. Several frames are computed at a time and encoded in order.

    Args:
        clip: YUV420P10, PQ or HLG, at least 64x16.
        output: file to write; the container goes by its suffix, a key of `CONTAINERS`.
        crf: x265's quality, 0 to 51.
        speed: an entry of `SPEEDS`.
        audio: what to copy beside it.
        progress: called after each frame with frames done and frames in all.

    Returns:
        What was written.

    Raises:
        InputError: an argument is out of range, or the file cannot be written.
        vs.Error: a frame could not be computed.
    """
    import av

    from .remux import AudioCopy

    av.logging.set_level(av.logging.PANIC)
    _check_settings(clip, output, crf, speed)
    container = CONTAINERS[output.suffix.lower()]
    clock = _time_base(clip.fps)
    time, light = Fraction(0), _LightLevel()
    try:
        with ExitStack() as stack:
            partial = stack.enter_context(partial_file(output))
            file = stack.enter_context(av.open(str(partial), "w", format=container.format, container_options=container.options))
            frames = stack.enter_context(closing(clip.frames(close=True)))
            first = next(frames)
            stream = _add_stream(file, clip, first, container, clock, {"crf": str(crf), "preset": speed})
            copy = stack.enter_context(AudioCopy(audio, file, output))
            file.start_encoding()
            for done, frame in enumerate(chain([first], frames), 1):
                duration = _duration(frame, clip.fps)
                _write(file, stream.encode(_to_av(frame, clock, time, duration)), copy)
                light.add(frame.props)
                time += duration
                if progress is not None:
                    progress(done, clip.num_frames)
            _write(file, stream.encode(), copy)
            copy.finish(time)
    except (OSError, av.FFmpegError) as error:
        raise InputError(f"encode: {output} cannot be written ({reason(error)})") from None
    return Encoded(clip.num_frames, time, copy.count, light.result())


def _write(file: Any, packets: list[Any], copy: AudioCopy) -> None:
    """Video packets, each after the audio that comes before it."""
    for packet in packets:
        if packet.dts is not None:
            copy.until(seconds(packet.dts, packet.time_base))
        file.mux_one(packet)


class _LightLevel:
    """MaxCLL and MaxFALL of the frames seen so far, where `with_light_level` measured them."""

    def __init__(self) -> None:
        self.max = self.average = -1.0

    def add(self, properties: Any) -> None:
        self.max = max(self.max, 100 * float(properties.get("PlaneStatsMax", -1)))
        self.average = max(self.average, 100 * float(properties.get("PlaneStatsAverage", -1)))

    def result(self) -> ContentLight | None:
        return ContentLight.measured(self.max, self.average) if self.max >= 0 and self.average >= 0 else None


def _check_settings(clip: vs.VideoNode, output: Path, crf: float, speed: str) -> None:
    import vapoursynth as vs

    if clip.format.id != vs.YUV420P10:
        raise InputError(f"encode: clip is {clip.format.name}; pack it first with to_hdr10 or to_hlg")
    if clip.width < SMALLEST[0] or clip.height < SMALLEST[1]:
        size, least = f"{clip.width}x{clip.height}", f"{SMALLEST[0]}x{SMALLEST[1]}"
        raise InputError(f"encode: clip is {size}; x265 wants at least {least}, enlarge it first")
    if output.suffix.lower() not in CONTAINERS:
        raise InputError(f"encode: {output} ends in {output.suffix!r}; choose one of {', '.join(CONTAINERS)}")
    check_quality(crf, speed, "encode")


def _add_stream(
    file: Any, clip: vs.VideoNode, frame: vs.VideoFrame, container: Container, clock: Fraction, options: dict[str, str]
) -> Any:
    """The video stream, tagged by what the first frame says of itself."""
    rate, signalling = clip.fps, _signalling(frame.props)
    params = x265_params(signalling, MasteringDisplay.from_properties(frame.props), ContentLight.from_properties(frame.props))
    params["log-level"] = "none"
    if clip.num_frames <= REORDER_FRAMES:
        params["bframes"] = "0"
    x265 = ":".join(f"{name}={value}" for name, value in params.items())
    stream = file.add_stream("libx265", rate=rate or 1 / _duration(frame, rate), options={**options, "x265-params": x265})
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p10le"
    context = stream.codec_context
    context.time_base = clock
    context.color_primaries, context.color_trc = signalling.primaries, signalling.transfer
    context.colorspace, context.color_range = signalling.matrix, 1  # AVCOL_RANGE_MPEG
    context.chroma_sample_location = signalling.chroma_location + 1  # AVChromaLocation counts from 1
    aspect = Fraction(int(frame.props.get("_SARNum", 1)) or 1, int(frame.props.get("_SARDen", 1)) or 1)
    context.sample_aspect_ratio = aspect
    if container.codec_tag is not None:
        context.codec_tag = container.codec_tag
    return stream


def _signalling(properties: Any) -> Signalling:
    transfer = properties.get("_Transfer")
    for signalling in SIGNALLING.values():
        if signalling.transfer == transfer:
            return signalling
    raise InputError(f"encode: clip is neither PQ nor HLG (_Transfer={transfer}); pack it with to_hdr10 or to_hlg")


def _time_base(rate: Fraction) -> Fraction:
    """Seconds a tick: 1/90000, or finer where the frame rate needs it to be exact (24000/1001 needs 1/360000)."""
    ticks = math.lcm(CLOCK, rate.numerator) if rate else CLOCK
    return Fraction(1, ticks if ticks <= 10**8 else CLOCK)


def _duration(frame: vs.VideoFrame, rate: Fraction) -> Fraction:
    """Seconds that a frame is shown, by its own properties, which are exact for variable frame rates too."""
    numerator, denominator = frame.props.get("_DurationNum", 0), frame.props.get("_DurationDen", 0)
    if numerator and denominator:
        return Fraction(int(numerator), int(denominator))
    if not rate:
        raise InputError("encode: clip has no frame rate and its frames no duration; set one with core.std.AssumeFPS")
    return 1 / Fraction(rate)


def _to_av(frame: vs.VideoFrame, clock: Fraction, time: Fraction, duration: Fraction) -> Any:
    """A PyAV frame with the same 10-bit samples, shown at `time` seconds."""
    import av
    import numpy as np

    picture = av.VideoFrame(frame.width, frame.height, "yuv420p10le")
    for number, plane in enumerate(picture.planes):
        samples = np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)  # rows are padded
        samples[:, : plane.width] = np.asarray(frame[number])
    picture.time_base = clock
    picture.pts = round(time / clock)
    picture.duration = round((time + duration) / clock) - picture.pts
    return picture


def _partial_name(output: Path) -> Path:
    return output.with_name(output.name + ".partial")
