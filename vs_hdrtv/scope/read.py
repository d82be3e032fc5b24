"""Files for the scopes: any video as PQ, BT.2020, with the light of each frame, and which of its frames to look at."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import media
from ..color.gamut import rgb_to_xyz
from ..color.transfer import HLG_A, HLG_B, HLG_C, REFERENCE_WHITE, hlg_system_gamma
from ..errors import InputError
from ..hdr10 import ContentLight, MasteringDisplay
from ..letterbox import Letterbox
from ..light import AVERAGE_MAX_RGB, MAX_RGB, light_level
from .measure import Floats, FrameLight

if TYPE_CHECKING:
    import vapoursynth as vs

HLG_PEAK = 1000.0
"""cd/m2 of the display that HLG is measured on. BT.2100-2, table 5."""

READINGS = {
    "PQ": "PQ, absolute cd/m2",
    "HLG": f"HLG as a display of {HLG_PEAK:.0f} cd/m2 shows it (BT.2100)",
    "SDR": f"SDR by its BT.2408 mapping: BT.1886, white at {REFERENCE_WHITE:.0f} cd/m2",
}
"""Kind of video -> what cd/m2 of it are."""

CURVE_FRAMES = 240
"""Frames whose light is measured unless the caller says otherwise."""


@dataclass(frozen=True)
class Video:
    """A file and what the scopes read of it.

    Attributes:
        path: the file.
        who: the command on whose behalf it is read, which messages start with.
        source: the decoded file.
        kind: key of `READINGS`.
        hdr: RGBS, BT.2020, PQ, with the frame properties of `light.light_level`.
        light: frames that have the same properties and nothing else that is of use; cheaper than `hdr`.
        display: what the file says of its mastering display.
        claimed: what the file says of its light.
    """

    path: Path
    who: str
    source: media.Source
    kind: str
    hdr: vs.VideoNode
    light: vs.VideoNode
    display: MasteringDisplay | None
    claimed: ContentLight | None

    @property
    def clip(self) -> vs.VideoNode:
        """The file's own planes."""
        return self.source.clip

    @property
    def frames(self) -> int:
        """How many there are."""
        return int(self.clip.num_frames)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.clip.width, self.clip.height

    @property
    def depth(self) -> int:
        """Bits of a sample."""
        return int(self.clip.format.bits_per_sample)

    @cached_property
    def times(self) -> Sequence[float]:
        """When each frame is shown, in seconds from the first one; variable frame rates included."""
        with media.open_media(self.path, self.who) as container:
            stream = media.first_video(container, self.who, self.source.track)
            timing, base = media.timing(container, stream), stream.time_base
        found: list[float] = []
        if timing.variable:
            # Opened again: not every file can be sought in.
            with media.open_media(self.path, self.who) as container:
                packets = container.demux(container.streams[self.source.track])
                ticks = sorted(packet.pts for packet in packets if packet.size and packet.pts is not None)
            found = [float(media.seconds(tick - ticks[0], base)) for tick in ticks]
        if len(found) == self.frames:
            return found
        rate = timing.average or self.clip.fps or 25
        return [float(number / rate) for number in range(self.frames)]

    @property
    def duration(self) -> float:
        """Seconds, the last frame taken to be as long as the average one."""
        return self.times[-1] + (self.times[-1] / (self.frames - 1) if self.frames > 1 else 1 / float(self.clip.fps or 25))

    def span(self, start: int, end: int | None) -> range:
        """Frames from `start` to before `end`.

        Raises:
            InputError: they are not in the file.
        """
        stop = self.frames if end is None else end
        if not 0 <= start < self.frames:
            raise InputError(f"{self.who}: --start is {start}; {self.path} has frames 0 to {self.frames - 1}")
        if not start < stop <= self.frames:
            raise InputError(f"{self.who}: --end is {stop}; choose {start + 1} to {self.frames} (the frame to stop before)")
        return range(start, stop)

    def at(self, seconds: Sequence[float], span: range) -> list[int]:
        """The frames that are shown at these times.

        Raises:
            InputError: a time is outside the file or the span.
        """
        numbers = []
        for second in seconds:
            if not 0 <= second < self.duration:
                raise InputError(
                    f"{self.who}: --at {second:g} is outside {self.path}; give seconds from 0 to below {self.duration:.3f}"
                )
            number = max(bisect_right(self.times, second + 1e-6) - 1, 0)
            if number not in span:
                raise InputError(
                    f"{self.who}: --at {second:g} is frame {number}, outside --start {span.start} and --end {span.stop}"
                )
            numbers.append(number)
        return sorted(set(numbers))

    def picture(self, number: int) -> tuple[Floats, FrameLight]:
        """A frame as (3, H, W) PQ signal, and its light."""
        from ..sources import read_planes

        with self._decoded(), self.hdr.get_frame(number) as frame:
            return read_planes(frame)[0], self._light(number, frame.props)

    def curve(self, span: range, progress: Callable[[int, int], None] | None = None) -> list[FrameLight]:
        """Light of the frames of `span`, which may have a step."""
        clip = self.light[span.start : span.stop : span.step]
        found = []
        with self._decoded():
            for number, frame in zip(span, clip.frames(close=True), strict=True):
                found.append(self._light(number, frame.props))
                if progress is not None:
                    progress(len(found), len(span))
        return found

    def _light(self, number: int, props: Any) -> FrameLight:
        return FrameLight(number, self.times[number], float(props[MAX_RGB]), float(props[AVERAGE_MAX_RGB]))

    def _decoded(self) -> Any:
        return _one_line(self.who, self.path)


class _one_line:  # noqa: N801  a context manager
    """What a plug-in says of a file that it cannot decode, with the file's name."""

    def __init__(self, who: str, path: Path) -> None:
        self._who, self._path = who, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        import vapoursynth as vs

        if isinstance(error, vs.Error):
            said = str(error).strip().splitlines()[-1]
            raise InputError(f"{self._who}: {self._path} cannot be decoded ({said})") from None


def open_video(path: Path, who: str, letterbox: Letterbox | None = None) -> Video:
    """Open a file and say how its frames become PQ.

    Args:
        path: the file.
        who: the command on whose behalf, which a message starts with.
        letterbox: black bars, which the average light leaves out.

    Raises:
        InputError: it is no video, has no frames, changes its size, or is interlaced.
    """
    media.check_input(path, who)
    with media.open_media(path, who) as container:
        stream = media.first_video(container, who)
        display, claimed = media.hdr10_metadata(media.first_frame(container, stream, who))
    # OpenVINO has to be loaded before VapourSynth's plug-ins are.
    from ..engines import preload

    preload()
    source = media.open_source(path, who)
    with _one_line(who, path):
        kind, hdr = _as_pq(source.clip, f"{who}: {path}")
    # PQ is measured as it is coded, which is what MaxCLL means; the others have to become PQ first.
    if letterbox is not None:
        letterbox.check(who, source.clip.width, source.clip.height)
    light = light_level(source.clip if kind == "PQ" else hdr, letterbox)
    hdr = hdr.std.CopyFrameProps(light, props=[MAX_RGB, AVERAGE_MAX_RGB])
    return Video(path, who, source, kind, hdr, light, display, claimed)


def _as_pq(clip: vs.VideoNode, name: str) -> tuple[str, vs.VideoNode]:
    """Kind of a clip, and it as RGBS, PQ, BT.2020."""
    import vapoursynth as vs

    from ..sources import HDR_TRANSFERS, open_source

    if clip.num_frames < 1:
        raise InputError(f"{name} has no frames")
    props = clip.get_frame(0).props if clip.format is not None else {}
    kind = HDR_TRANSFERS.get(int(props.get("_Transfer", 2)), "SDR")
    if kind == "SDR":
        sdr = open_source(name, clip, "sdr").planes
        # zimg reads BT.709 by BT.1886; reference white is what 1.0 of it becomes.
        return kind, sdr.resize.Bicubic(
            transfer=vs.TRANSFER_ST2084, primaries=vs.PRIMARIES_BT2020, nominal_luminance=REFERENCE_WHITE
        )
    if kind == "HLG":
        if int(props.get("_Matrix", 2)) == vs.MATRIX_ICTCP or int(props.get("_Primaries", 2)) not in (2, vs.PRIMARIES_BT2020):
            raise InputError(f"{name} is HLG, but not BT.2020 in R'G'B' or Y'CbCr, which BT.2100 has; convert it first")
        # Tagged PQ only so that its matrix is taken off as that of any R'G'B'.
        coded = open_source(name, clip.std.SetFrameProps(_Transfer=vs.TRANSFER_ST2084), "hdr").planes
        return kind, _hlg_light(coded).resize.Bicubic(transfer=vs.TRANSFER_ST2084, nominal_luminance=1)
    return kind, open_source(name, clip, "hdr").planes.resize.Bicubic(primaries=vs.PRIMARIES_BT2020)


def _hlg_light(coded: vs.VideoNode) -> vs.VideoNode:
    """HLG signal to light on a display of `HLG_PEAK` cd/m2, as `color.transfer.hlg_ootf` does, inside VapourSynth."""
    import vapoursynth as vs

    signal = "x 0 max 1 min"
    inverse = f"{signal} 0.5 <= {signal} dup * 3 / {signal} {HLG_C} - {HLG_A} / exp {HLG_B} + 12 / ?"
    scene = [vs.core.std.Expr(plane, inverse) for plane in coded.std.SplitPlanes()]
    red, green, blue = rgb_to_xyz("bt2020")[1]
    gain = f"x {red} * y {green} * + z {blue} * + 0 max {hlg_system_gamma(HLG_PEAK) - 1} pow {HLG_PEAK} *"
    gained = vs.core.std.Expr(scene, gain)
    planes = [vs.core.std.Expr([plane, gained], "x y *") for plane in scene]
    return vs.core.std.ShufflePlanes(planes, [0, 0, 0], vs.RGB).std.SetFrameProps(
        _Transfer=vs.TRANSFER_LINEAR, _Primaries=vs.PRIMARIES_BT2020, _Matrix=vs.MATRIX_RGB
    )


def evenly(span: range, count: int) -> list[int]:
    """Frames in the middle of `count` equal parts of a span, or all of a shorter one."""
    total = len(span)
    count = min(count, total)
    return [span[(2 * part + 1) * total // (2 * count)] for part in range(count)]


def stride(span: range, frames: int = CURVE_FRAMES) -> int:
    """Every how many frames to measure, so that about `frames` are."""
    return max(1, math.ceil(len(span) / frames))


def chosen(video: Video, arguments: Any, span: range) -> Iterator[int]:
    """The frames that `--at` or `--frames` ask for.

    Raises:
        InputError: a number is out of range.
    """
    if arguments.frames < 1:
        raise InputError(f"{video.who}: --frames is {arguments.frames}; give 1 or more")
    yield from evenly(span, arguments.frames) if arguments.at is None else video.at(arguments.at, span)
