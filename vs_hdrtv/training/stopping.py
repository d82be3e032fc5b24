"""How a run ends before its recipe does: after some minutes, or at a signal, always between two steps."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from ..errors import InputError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Asked between two steps whether to go on.

    Args:
        minutes: from now on; None for no limit.
        clock: seconds that only grow.

    Attributes:
        reason: why the run was stopped, in words; None as long as it was not.
        code: exit code of the program: 0 after the minutes, 128 and the signal's number after a signal.
        clock: as given.

    Raises:
        InputError: `minutes` is not above 0.
    """

    def __init__(self, minutes: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        if minutes is not None and not minutes > 0:
            raise InputError(f"train: --minutes is {minutes:g}; give a number above 0")
        self.reason: str | None = None
        self.code = 0
        self.clock = clock
        self._minutes = minutes
        self._end = None if minutes is None else clock() + 60 * minutes
        self._signal: int | None = None

    def wanted(self) -> bool:
        """Whether to stop now."""
        if self._signal is not None:
            self.reason, self.code = signal.Signals(self._signal).name, 128 + self._signal
        elif self._end is not None and self.clock() >= self._end:
            self.reason = f"after {self._minutes:g} minutes"
        return self.reason is not None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take the first SIGINT or SIGTERM as a wish to stop; the second does what it did before. For the main thread."""
        before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def handle(number: int, frame: FrameType | None) -> None:
            self._signal = number
            restore()

        for number in SIGNALS:
            signal.signal(number, handle)
        try:
            yield
        finally:
            restore()


def leave_to_parent(worker: int) -> None:
    """For a loader's process: Ctrl-C and `timeout` signal the whole group, and a step that is to be finished needs its batch.

    It ends when its parent does, or says so.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
