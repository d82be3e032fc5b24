"""What a network computes over a whole frame, to be recorded or replaced: the numbers behind `steady=`.

A network asks for each of them by `statistic`, and knows nothing more. Outside the two contexts that is the computation itself.
A statistic is a mean over the frame (global average pools, also those of context blocks and dynamic filters), InstanceNorm's mean
and variance, and MFI's product of values and keys. It is not the context blocks' dynamic filters at 1x1, which are made of a mean
already, nor KPN-MFI's self-attention, whose keys are positions of the frame.

A frame in pieces (`vs_hdrtv/tiling.py`): a statistic of the whole is measured in each piece, by `measure`, and put together by
`merged`. One that looks at what others have changed needs those first: `groups` says how many can be measured at once.

Contexts belong to the thread that enters them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError

type Compute = Callable[..., Tensor]
"""Gives a statistic of the maps that it is made of."""


class _Record:
    """Keeps what is computed."""

    def __init__(self, enough: int | None) -> None:
        self.found: list[Tensor] = []
        self._missing = math.inf if enough is None else enough

    def __call__(self, compute: Compute, shape: tuple[int, ...], of: tuple[Tensor, ...], variance: bool, whole: bool) -> Tensor:
        value = compute(*of)
        self.found.append(value.flatten(1))
        self._missing -= math.prod(shape)
        if self._missing <= 0:
            raise _Enough
        return value


class _Groups(_Record):
    """Keeps also the maps that it is computed of, which are the same objects for statistics that do not depend on each other."""

    def __init__(self) -> None:
        super().__init__(None)
        self.looked_at: list[tuple[Tensor, ...]] = []

    def __call__(self, compute: Compute, shape: tuple[int, ...], of: tuple[Tensor, ...], variance: bool, whole: bool) -> Tensor:
        self.looked_at.append(of)
        return super().__call__(compute, shape, of, variance, whole)


class _Replay:
    """Gives slices of a vector, one after the other."""

    def __init__(self, vector: Tensor) -> None:
        self.vector, self.used = vector.flatten(1), 0

    def __call__(self, compute: Compute, shape: tuple[int, ...], of: tuple[Tensor, ...], variance: bool, whole: bool) -> Tensor:
        start, self.used = self.used, self.used + math.prod(shape)
        if self.used > self.vector.shape[1]:
            raise _misfit(self.vector.shape[1], "more")
        return self.vector[:, start : self.used].reshape(-1, *shape)


class Measured(NamedTuple):
    """A statistic of a piece of a frame.

    Attributes:
        positions: that it was taken over.
        value: (1, K), float64.
        mean: (1, K), float64, where the statistic is a variance.
    """

    positions: int
    value: Tensor
    mean: Tensor | None


class _Measure:
    """Gives what is known, then measures a piece."""

    def __init__(self, known: Tensor, wanted: int, kept: Callable[[Tensor], Tensor]) -> None:
        self.found: list[Measured] = []
        self._replay, self._missing, self._kept = _Replay(known), wanted, kept

    def __call__(self, compute: Compute, shape: tuple[int, ...], of: tuple[Tensor, ...], variance: bool, whole: bool) -> Tensor:
        if self._replay.used < self._replay.vector.shape[1]:
            return self._replay(compute, shape, of, variance, whole)
        kept = list(of) if whole else [self._kept(each) for each in of]
        value = compute(*kept)
        mean = kept[0].mean((2, 3), keepdim=True).double().flatten(1) if variance else None
        self.found.append(Measured(math.prod(kept[0].shape[2:]), value.double().flatten(1), mean))
        self._missing -= math.prod(shape)
        if self._missing <= 0:
            raise _Enough
        return value


class _Enough(Exception):  # noqa: N818  # like StopIteration, no error
    """All that was asked for is recorded; the rest of the network is not run."""


_source: ContextVar[_Record | _Replay | _Measure | None] = ContextVar("statistics", default=None)


def active() -> bool:
    """Whether statistics are recorded or replaced here: a fused operator with its own inside must then be taken apart."""
    return _source.get() is not None


def statistic(compute: Compute, *shape: int, of: tuple[Tensor, ...] = (), variance: bool = False, whole: bool = False) -> Tensor:
    """A number or several of each whole frame: a mean over its positions, or a variance.

    Args:
        compute: gives (N, *shape) of the maps `of`; not called where the value is replaced.
        shape: of one picture's value.
        of: maps (N, C, H, W) that it is made of.
        variance: it is the biased variance of the one map.
        whole: the maps are the whole frame's in every piece of it.

    Returns:
        (N, *shape).
    """
    source = _source.get()
    return compute(*of) if source is None else source(compute, shape, of, variance, whole)


@contextlib.contextmanager
def suspended() -> Iterator[None]:
    """Inside, nothing is recorded or replaced: for what is made of statistics alone, and is none for its own."""
    token = _source.set(None)
    try:
        yield
    finally:
        _source.reset(token)


def record(run: Callable[[], object], enough: int | None = None) -> Tensor:
    """Every statistic that `run` makes, in its order.

    Args:
        run: a network's forward pass.
        enough: numbers of one picture after which it is stopped; None lets it run to its end.

    Returns:
        (N, S, 1, 1).

    Raises:
        InputError: it makes none.
    """
    source = _Record(enough)
    with _installed(source), contextlib.suppress(_Enough):
        run()
    _require(source)
    return torch.cat(source.found, dim=1)[:, :, None, None]


def groups(run: Callable[[], object]) -> list[int]:
    """How many numbers are known after each round of measuring: those of the same maps do not depend on each other.

    Raises:
        InputError: `run` makes none.
    """
    source = _Groups()
    with _installed(source):
        run()
    _require(source)
    ends: list[int] = [0]
    last: tuple[Tensor, ...] = ()
    for value, of in zip(source.found, source.looked_at, strict=True):
        if len(of) == len(last) and all(one is other for one, other in zip(of, last, strict=True)):
            ends[-1] += value.shape[1]
        else:
            ends.append(ends[-1] + value.shape[1])
        last = of
    return ends[1:]


def measure(run: Callable[[], object], known: Tensor, wanted: int, kept: Callable[[Tensor], Tensor]) -> list[Measured]:
    """The next statistics of a frame, of a piece of it.

    Args:
        run: the forward pass of one piece; stopped when they are there.
        known: (1, S), those of the whole frame that come before.
        wanted: how many numbers they are, of one group.
        kept: what of a map of the piece no other piece has.
    """
    source = _Measure(known, wanted, kept)
    with _installed(source), contextlib.suppress(_Enough):
        run()
    return source.found


def merged(pieces: Sequence[list[Measured]]) -> Tensor:
    """The whole frame's statistics of those of its pieces, all that `measure` gave: (1, K), float64."""
    found = []
    for each in zip(*pieces, strict=True):
        share = each[0].value.new_tensor([piece.positions for piece in each])[:, None]
        share = share / share.sum()  # (pieces, 1)
        value = torch.cat([piece.value for piece in each])  # (pieces, K)
        means = [piece.mean for piece in each if piece.mean is not None]
        if means:
            mean = torch.cat(means)
            value = value + (mean - (share * mean).sum(0)).square()  # within a piece, and between them
        found.append((share * value).sum(0, keepdim=True))
    return torch.cat(found, dim=1)


@contextlib.contextmanager
def replaying(vector: Tensor) -> Iterator[None]:
    """Inside, every statistic is taken from `vector`, (N, S) or (N, S, 1, 1), in the order of `record`.

    Raises:
        InputError: the forward pass takes more or fewer than S.
    """
    source = _Replay(vector)
    with _installed(source):
        yield
    if source.used != source.vector.shape[1]:
        raise _misfit(source.vector.shape[1], str(source.used))


def _require(source: _Record) -> None:
    if not source.found:
        raise InputError("statistics: this network computes nothing over the whole frame; run it as it is, without steady")


def _misfit(given: int, taken: str) -> InputError:
    return InputError(f"statistics: got {given} numbers, but the network takes {taken}; give those of its own statistics graph")


@contextlib.contextmanager
def _installed(source: _Record | _Replay | _Measure) -> Iterator[None]:
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)
