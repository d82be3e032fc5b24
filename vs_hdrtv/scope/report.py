"""What `vs-hdrtv scope` and `compare` found in files: everything that a picture or a page of it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..color.gamut import luminance
from ..color.transfer import REFERENCE_WHITE, pq_eotf
from ..errors import InputError
from ..hdr10 import ContentLight
from ..metrics.difference import delta_e_itp_map, psnr
from .measure import (
    Floats,
    FrameLight,
    Measured,
    delta_color,
    false_color,
    histogram,
    measure,
    shrink,
    to_bytes,
    tone_map,
)
from .read import Video

VIEW_WIDTH = 960
"""Pixels that the pictures of a report are at most wide; numbers are of all pixels."""

Progress = Callable[[int, int], None]
Facts = list[tuple[str, str]]
"""What a file says of itself: a word and a line."""
Pixels = NDArray[np.uint8]
"""(H, W, 3), sRGB."""


@dataclass(frozen=True, eq=False)
class View:
    """A frame as the scopes show it: its numbers, the frame for an SDR screen, its luminance in false colour."""

    measured: Measured
    picture: Pixels
    false_color: Pixels

    @property
    def light(self) -> FrameLight:
        """Which frame, and its light."""
        return self.measured.light


@dataclass(frozen=True, eq=False)
class Scope:
    """A file under the scopes.

    Attributes:
        name: of the file.
        kind: key of `read.READINGS`.
        facts: what it holds.
        frames: how many it has.
        span: which of them were asked for.
        every: every how many of these the light was measured.
        curve: light of the measured frames, the views' among them.
        views: frames looked at.
        claimed: MaxCLL and MaxFALL that the file states.
        peak: cd/m2 that the pictures were brought to an SDR screen from.
    """

    name: str
    kind: str
    facts: Facts
    frames: int
    span: range
    every: int
    curve: list[FrameLight]
    views: list[View]
    claimed: ContentLight | None
    peak: float

    @property
    def complete(self) -> bool:
        """Whether every frame of the file was measured: only then are the levels those of the programme."""
        return len(self.curve) == self.frames

    @property
    def found(self) -> ContentLight:
        """Highest MaxRGB and highest average of the measured frames, in whole cd/m2."""
        return ContentLight.measured(max(light.max_rgb for light in self.curve), max(light.average for light in self.curve))

    def claim(self, what: str) -> str:
        """What the file states of its `max` or `average`, in whole cd/m2, in words where it states nothing."""
        if self.kind != "PQ":
            return f"nothing: {self.kind}"
        value = getattr(self.claimed, what, 0)
        return str(value) if value else "not stated"

    @property
    def brightest(self) -> int:
        """The view with the highest average MaxRGB."""
        return max(range(len(self.views)), key=lambda index: self.views[index].light.average)

    def share(self, gamut: str) -> float | None:
        """Percent of the counted pixels of all views that are outside a gamut."""
        counted = sum(view.measured.counted for view in self.views)
        return 100 * sum(view.measured.outside[gamut] for view in self.views) / counted if counted else None


def scope(
    video: Video, span: range, numbers: Sequence[int], every: int, facts: Facts | None = None, progress: Progress | None = None
) -> Scope:
    """Measure a file.

    Args:
        video: the file.
        span: frames whose light is of interest.
        numbers: frames to look at.
        every: measure the light of every how many frames of `span`.
        facts: what the file holds.
        progress: called with frames done and frames in all.
    """
    grid = span[::every]
    total = len(grid) + len(numbers)
    report = progress or (lambda done, total: None)
    curve = video.curve(grid, lambda done, _: report(done, total))
    peak = max(REFERENCE_WHITE, max(light.max_rgb for light in curve))
    views = []
    for index, number in enumerate(numbers, 1):
        hdr, light = video.picture(number)
        views.append(_view(hdr, light, video.depth, peak))
        report(len(grid) + index, total)
    lights = {light.number: light for light in (*curve, *(view.light for view in views))}
    ordered = [lights[number] for number in sorted(lights)]
    claimed = video.claimed if video.kind == "PQ" else None
    return Scope(video.path.name, video.kind, facts or [], video.frames, span, every, ordered, views, claimed, peak)


def of_pictures(
    name: str, pictures: Sequence[tuple[Floats, FrameLight]], curve: Sequence[FrameLight], facts: Facts | None = None
) -> Scope:
    """The same of pictures that are in memory.

    Args:
        name: of them all.
        pictures: those to look at, (3, H, W) BT.2020 PQ, and their light.
        curve: light of all of them.
        facts: what they are.
    """
    peak = max(REFERENCE_WHITE, max(light.max_rgb for light in curve))
    views = [_view(hdr, light, 10, peak) for hdr, light in pictures]
    return Scope(name, "PQ", facts or [], len(curve), range(len(curve)), 1, list(curve), views, None, peak)


def _view(hdr: Floats, light: FrameLight, depth: int, peak: float) -> View:
    small = shrink(hdr, VIEW_WIDTH)
    # Not averaged: a colour says what is there.
    factor = max(1, hdr.shape[2] // small.shape[2])
    shown = np.asarray(luminance(pq_eotf(hdr[:, ::factor, ::factor]), "bt2020"))[0]
    return View(measure(hdr, light, depth), to_bytes(tone_map(small, peak)), false_color(shown))


@dataclass(frozen=True, eq=False)
class Pair:
    """The same frame of two videos.

    Attributes:
        lights: of A and of B; the number is that of A.
        psnr: of PQ, in dB; infinite for equal frames.
        delta: mean dE_ITP.
        delta_95: dE_ITP that 95 % of the pixels stay below.
        ratio: mean luminance of B to that of A; None where A is black.
        pictures: A and B for an SDR screen, by the same curve.
        delta_map: dE_ITP in colours.
        histograms: of luminance, A and B.
    """

    lights: tuple[FrameLight, FrameLight]
    psnr: float
    delta: float
    delta_95: float
    ratio: float | None
    pictures: tuple[Pixels, Pixels]
    delta_map: Pixels
    histograms: tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two videos beside each other.

    Attributes:
        names: of the files.
        kinds: keys of `read.READINGS`.
        facts: what each holds.
        pairs: frames looked at.
        notes: what was done to make them comparable.
    """

    names: tuple[str, str]
    kinds: tuple[str, str]
    facts: tuple[Facts, Facts]
    pairs: list[Pair]
    notes: list[str] = field(default_factory=list)

    @property
    def most_different(self) -> int:
        """The pair of the highest mean dE_ITP."""
        return max(range(len(self.pairs)), key=lambda index: self.pairs[index].delta)

    def mean(self, of: Callable[[Pair], float | None]) -> float | None:
        """Mean of a number over the pairs that have it."""
        values = [value for value in map(of, self.pairs) if value is not None]
        return sum(values) / len(values) if values else None


def common(a: Video, b: Video, offset: int, notes: list[str]) -> tuple[range, tuple[int, int]]:
    """Frames of A that B has too, and the size that both have.

    Args:
        a: the one whose frame numbers count.
        b: the other.
        offset: frame of A that B begins with.
        notes: is given what was done about differences.

    Raises:
        InputError: there is no common frame, or the sizes differ by more than an odd side made even.
    """
    even = [tuple(side + side % 2 for side in video.size) for video in (a, b)]
    sizes = ["x".join(map(str, video.size)) for video in (a, b)]
    if even[0] != even[1]:
        raise InputError(
            f"compare: {a.path} is {sizes[0]} and {b.path} {sizes[1]}; scale one of them, for example with core.resize.Spline36"
        )
    size = min(a.size[0], b.size[0]), min(a.size[1], b.size[1])
    if a.size != b.size:
        notes.append(f"A is {sizes[0]} and B {sizes[1]}: an odd side was made even; {size[0]}x{size[1]} is compared")
    if not 0 <= offset < a.frames:
        raise InputError(f"compare: --offset is {offset}; {a.path} has frames 0 to {a.frames - 1}")
    stop = min(a.frames, offset + b.frames)
    if offset:
        notes.append(f"frame 0 of B is compared with frame {offset} of A")
    if a.frames - offset != b.frames:
        notes.append(f"A has {a.frames} frames and B {b.frames}: frames {offset} to {stop - 1} of A are compared")
    if abs(float(a.clip.fps or 0) - float(b.clip.fps or 0)) > 1e-3:
        notes.append(f"A has {float(a.clip.fps):.3f} frames/s and B {float(b.clip.fps):.3f}: frames are matched by their number")
    return range(offset, stop), size


def compare(
    a: Video,
    b: Video,
    numbers: Sequence[int],
    size: tuple[int, int],
    offset: int = 0,
    *,
    facts: tuple[Facts, Facts] | None = None,
    notes: Sequence[str] = (),
    progress: Progress | None = None,
) -> Comparison:
    """Measure how far the frames `numbers` of A are from those of B; arguments as `common` gives them."""
    pairs = []
    for done, number in enumerate(numbers, 1):
        (first, light_a), (second, light_b) = a.picture(number), b.picture(number - offset)
        pairs.append(pair(first[:, : size[1], : size[0]], second[:, : size[1], : size[0]], light_a, light_b))
        if progress is not None:
            progress(done, len(numbers))
    return Comparison((a.path.name, b.path.name), (a.kind, b.kind), facts or ([], []), pairs, list(notes))


def pair(a: Floats, b: Floats, light_a: FrameLight, light_b: FrameLight) -> Pair:
    """How far a frame of B is from that of A, (3, H, W) BT.2020 PQ each."""
    delta = np.asarray(delta_e_itp_map(b, a))
    y = [np.asarray(luminance(pq_eotf(hdr), "bt2020"))[0] for hdr in (a, b)]
    means = [float(part.mean(dtype=np.float64)) for part in y]
    peak = max(REFERENCE_WHITE, light_a.max_rgb, light_b.max_rgb)
    shown = [to_bytes(tone_map(shrink(hdr, VIEW_WIDTH), peak)) for hdr in (a, b)]
    return Pair(
        lights=(light_a, light_b),
        psnr=psnr(b, a),
        delta=float(delta.mean(dtype=np.float64)),
        delta_95=float(np.percentile(delta, 95)),
        ratio=means[1] / means[0] if means[0] > 1e-6 else None,
        pictures=(shown[0], shown[1]),
        delta_map=delta_color(shrink(delta[None], VIEW_WIDTH)[0]),
        histograms=(histogram(y[0]), histogram(y[1])),
    )
