"""Two versions of one film, SDR and HDR: where its scenes are, and which frame of the one is which of the other.

Both are looked at as signatures: luma scaled down to 32x18 pixels of 8 bits. Two gradings of a frame share hardly a value, but
a grade raises light where light was raised: the order of the pixels by brightness stays. So signatures are compared by rank
correlation (Spearman), which any monotone grade leaves at 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..scenes import HEIGHT, LEAST, REACH, WIDTH, Signatures, begins_scene, ranks

__all__ = ["HEIGHT", "WIDTH", "Alignment", "Signatures", "Span", "align", "find_scenes", "ranks"]

ALIKE = 0.7
"""Mean rank correlation above which two films show the same pictures. Two gradings reach 0.9 and more, two films 0.3."""

DRIFT = 24
"""Frames by which the offset may move from its most frequent value over a film, by frames missing here and there."""

SWITCH = 0.06
"""Correlation, summed over frames, that another offset must win before it is believed: a still scene fits many."""

LARGEST_LOSS = 0.1
"""Correlation that one frame may lose against its best offset: one odd frame must not move a film."""

CHUNK = 4096
"""Frames compared at a time."""


@dataclass(frozen=True)
class Span:
    """Frames of the HDR film over which the offset is one.

    Attributes:
        start: first frame of the HDR film.
        stop: frame after the last.
        offset: SDR frame number minus HDR frame number.
    """

    start: int
    stop: int
    offset: int


@dataclass(frozen=True)
class Alignment:
    """How two films fit.

    Attributes:
        spans: one after another, none overlapping; one where nothing is missing.
        correlation: mean rank correlation of the frames so paired.
        per_frame: (N,) rank correlation of each HDR frame with its SDR frame; 0 where there is none.
    """

    spans: tuple[Span, ...]
    correlation: float
    per_frame: NDArray[np.float32]

    @property
    def aligned(self) -> bool:
        """Whether frame n of the one is frame n of the other throughout."""
        return len(self.spans) == 1 and self.spans[0].offset == 0

    def offset(self, first: int, last: int, margin: int = 0) -> int | None:
        """Offset of the frames from `first` to `last`, None where it changes within `margin` frames of them."""
        for span in self.spans:
            low = span.start if span is self.spans[0] else span.start + margin
            high = span.stop if span is self.spans[-1] else span.stop - margin
            if low <= first and last < high:
                return span.offset
        return None

    def report(self) -> Iterator[str]:
        """Lines that say by how much the films are apart, and where that changes."""
        first = self.spans[0]
        if self.aligned:
            yield f"frame-aligned (rank correlation {self.correlation:.3f})"
            return
        yield f"SDR frame = HDR frame {first.offset:+d} from frame {first.start} on (rank correlation {self.correlation:.3f})"
        for before, after in pairwise(self.spans):
            change = after.offset - before.offset
            film, count = ("SDR", -change) if change < 0 else ("HDR", change)
            missing = f"{count} frame{'s' * (count > 1)} missing in the {film} film"
            yield f"near HDR frame {after.start}: {missing}; from there on SDR frame = HDR frame {after.offset:+d}"


def find_scenes(signatures: Signatures) -> list[range]:
    """The scenes of a film: runs of frames between cuts; see `scenes.begins_scene`."""
    count = len(signatures)
    if count == 0:
        return []
    likely: list[int] = []
    before = ranks(signatures[:1])
    for start in range(0, count, CHUNK):
        block = ranks(signatures[start : start + CHUNK])
        previous = np.concatenate([before, block[:-1]])
        likely += (start + np.flatnonzero(1 - (block * previous).sum(axis=1) > LEAST)).tolist()
        before = block[-1:]
    around = np.arange(-REACH, REACH)
    cuts = [n for n in likely if n and begins_scene(signatures[np.clip(n + around, 0, count - 1)])]
    return [range(first, last) for first, last in pairwise([0, *cuts, count])]


def align(hdr: Signatures, sdr: Signatures, search: int = 3000, samples: int = 256) -> Alignment:
    """Which SDR frame shows what each HDR frame shows.

    First the one offset that fits frames from all over the film best, then the path of least loss through the offsets near it,
    which leaves its offset only where frames after that fit another one better.

    Args:
        hdr: of every frame of the HDR film.
        sdr: of every frame of the SDR film.
        search: largest offset in frames, either way.
        samples: frames that the first step looks at.

    Raises:
        InputError: a film has no frames, or the two do not show the same pictures.
    """
    if not len(hdr) or not len(sdr):
        raise InputError("dataset: a film has no frames; check the files")
    first, second = ranks(hdr), ranks(sdr)
    coarse = _coarse_offset(first, second, search, samples)
    found = _path(first, second, coarse)
    numbers = np.arange(len(first)) + found
    inside = (numbers >= 0) & (numbers < len(second))
    fits = np.zeros(len(first), dtype=np.float32)
    fits[inside] = (first[inside] * second[numbers[inside]]).sum(axis=1)
    seen = inside & first.any(axis=1)
    correlation = float(fits[seen].mean()) if seen.any() else 0.0
    if correlation < ALIKE:
        raise InputError(
            f"dataset: the films do not show the same pictures: rank correlation {correlation:.2f} at best "
            f"(offset {coarse:+d}), {ALIKE} is needed; give the same cut of the same film, cropped alike"
        )
    return Alignment(tuple(_spans(found, inside)), correlation, fits)


def _coarse_offset(hdr: NDArray[np.float32], sdr: NDArray[np.float32], search: int, samples: int) -> int:
    """Offset of the largest mean correlation over frames spread over the HDR film."""
    count = min(samples, len(hdr))
    chosen = np.unique(np.linspace(0, len(hdr) - 1, count).round().astype(int))
    chosen = chosen[hdr[chosen].any(axis=1)]
    low, high = max(-search, 1 - len(hdr)), min(search, len(sdr) - 1)
    offsets = np.arange(low, high + 1)
    total, met = np.zeros(len(offsets)), np.zeros(len(offsets))
    for number in chosen:
        start, stop = max(0, number + low), min(len(sdr), number + high + 1)
        if start < stop:
            total[start - number - low : stop - number - low] += sdr[start:stop] @ hdr[number]
            met[start - number - low : stop - number - low] += 1
    # An offset at which only the ends overlap proves nothing.
    enough = met >= max(1, 0.25 * met.max(initial=0))
    mean = np.where(enough, total / np.maximum(met, 1), -1)
    # Of equals the smallest: a film of stills fits everywhere.
    best = np.flatnonzero(mean >= mean.max() - 1e-6)
    return int(offsets[best[np.argmin(np.abs(offsets[best]))]])


def _path(hdr: NDArray[np.float32], sdr: NDArray[np.float32], coarse: int) -> NDArray[np.int64]:
    """(N,) offset of each HDR frame: the path of least loss (Viterbi), a change of offset costing `SWITCH`."""
    count, states = len(hdr), np.arange(coarse - DRIFT, coarse + DRIFT + 1)
    cost = np.where(states == coarse, 0.0, SWITCH)
    came = np.empty((count, len(states)), dtype=np.int8)
    for start in range(0, count, CHUNK):
        block = hdr[start : start + CHUNK]
        numbers = np.arange(start, start + len(block))[:, None] + states  # (frames, states)
        inside = (numbers >= 0) & (numbers < len(sdr))
        fits = np.full(numbers.shape, -1.0, dtype=np.float32)
        for state in range(len(states)):
            rows = inside[:, state]
            fits[rows, state] = (block[rows] * sdr[numbers[rows, state]]).sum(axis=1)
        loss = np.minimum(fits.max(axis=1, keepdims=True) - fits, LARGEST_LOSS)
        loss[~inside] = 0  # before its first frame and after its last a film proves nothing
        for n, row in enumerate(loss, start):
            best = int(cost.argmin())
            change = cost > cost[best] + SWITCH
            came[n] = np.where(change, best, np.arange(len(states)))
            cost = np.where(change, cost[best] + SWITCH, cost) + row
        cost -= cost.min()
    state, found = int(cost.argmin()), np.empty(count, dtype=np.int64)
    for n in range(count - 1, -1, -1):
        found[n] = states[state]
        state = int(came[n, state])
    return found


def _spans(offsets: NDArray[np.int64], inside: NDArray[np.bool_]) -> Iterator[Span]:
    """Runs of one offset, over the frames that have a counterpart."""
    numbers = np.flatnonzero(inside)
    breaks = np.flatnonzero(np.diff(offsets[numbers])) + 1
    for run in np.split(numbers, breaks):
        yield Span(int(run[0]), int(run[-1]) + 1, int(offsets[run[0]]))
