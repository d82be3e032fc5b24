"""What a network computes over a whole frame, to be recorded or replaced: the numbers behind `steady=`.

A network asks for each of them by `statistic`, and knows nothing more. Outside the two contexts that is the computation itself.
A statistic is a mean over the frame (global average pools, also those of context blocks and dynamic filters), InstanceNorm's mean
and variance, and MFI's product of values and keys. It is not the context blocks' dynamic filters at 1x1, which are made of a mean
already, nor KPN-MFI's self-attention, whose keys are positions of the frame.

Contexts belong to the thread that enters them.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import torch
from torch import Tensor

from ..errors import InputError


class _Record:
    """Keeps what is computed."""

    def __init__(self, enough: int | None) -> None:
        self.found: list[Tensor] = []
        self._missing = math.inf if enough is None else enough

    def __call__(self, compute: Callable[[], Tensor], shape: tuple[int, ...]) -> Tensor:
        value = compute()
        self.found.append(value.flatten(1))
        self._missing -= math.prod(shape)
        if self._missing <= 0:
            raise _Enough
        return value


class _Replay:
    """Gives slices of a vector, one after the other."""

    def __init__(self, vector: Tensor) -> None:
        self.vector, self.used = vector.flatten(1), 0

    def __call__(self, compute: Callable[[], Tensor], shape: tuple[int, ...]) -> Tensor:
        start, self.used = self.used, self.used + math.prod(shape)
        if self.used > self.vector.shape[1]:
            raise _misfit(self.vector.shape[1], "more")
        return self.vector[:, start : self.used].reshape(-1, *shape)


class _Enough(Exception):  # noqa: N818  # like StopIteration, no error
    """All that was asked for is recorded; the rest of the network is not run."""


_source: ContextVar[_Record | _Replay | None] = ContextVar("statistics", default=None)


def active() -> bool:
    """Whether statistics are recorded or replaced here: a fused operator with its own inside must then be taken apart."""
    return _source.get() is not None


def statistic(compute: Callable[[], Tensor], *shape: int) -> Tensor:
    """A number or several of each whole frame.

    Args:
        compute: gives (N, *shape); not called where the value is replaced.
        shape: of one picture's value.

    Returns:
        (N, *shape).
    """
    source = _source.get()
    return compute() if source is None else source(compute, shape)


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
    if not source.found:
        raise InputError("statistics: this network computes nothing over the whole frame; run it as it is, without steady")
    return torch.cat(source.found, dim=1)[:, :, None, None]


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


def _misfit(given: int, taken: str) -> InputError:
    return InputError(f"statistics: got {given} numbers, but the network takes {taken}; give those of its own statistics graph")


@contextlib.contextmanager
def _installed(source: _Record | _Replay) -> Iterator[None]:
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)
