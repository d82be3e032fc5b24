"""What the command line writes for people to read."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO


def say(text: str, stream: TextIO | None = None) -> None:
    """Write a line, to standard output by default. A full disk behind standard error stops nothing: it loses no answer."""
    stream = sys.stdout if stream is None else stream
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except OSError:
        if stream is sys.stderr:
            return
        # What is left in the buffer would be tried again when Python ends, with its own words and its own exit code.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise


def open_standard_streams() -> None:
    """Give a process whose standard streams are closed empty ones, and let them write any name.

    Else the next file that is opened gets the number of a closed one, and what a library writes to "standard error" goes into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
    sys.stdin = sys.stdin or Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


SIGNALLED: list[int] = []
"""Signals that were to end the command at work.

What their handler raises can be lost: C code drops what Python code that it calls raises. So `Progress.update` raises it again.
"""


class Progress:
    """Frames done, frames a second and time left, on stderr: a bar on a terminal, a line now and then elsewhere."""

    WIDTH = 30
    """Characters of the bar."""

    REDRAW = 0.1
    """Seconds between two drawings of the bar."""

    LINE_EVERY = 10.0
    """Seconds between two lines where there is no terminal."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Start counting.

        Args:
            stream: where to write; stderr by default.
            clock: seconds, for tests.
        """
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._start = self._shown = clock()
        self._drawn = self._before = 0
        self._first: tuple[int, float] | None = None

    def resume(self, done: int) -> None:
        """Say that `done` frames were there already: they count as done, not as quick."""
        self._before = done
        if done:
            say(f"going on at frame {done}", self._stream)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    def rate(self, done: int) -> float:
        """Frames a second since the start, `done` being done by now."""
        return (done - self._before) / max(self.elapsed, 1e-9)

    def update(self, done: int, total: int) -> None:
        """Say that `done` of `total` frames are done, if it is time to say so.

        Raises:
            KeyboardInterrupt: the command was to end (`SIGNALLED`).
        """
        if SIGNALLED:
            raise KeyboardInterrupt
        now = self._clock()
        self._first = self._first or (done, now)
        every = self.REDRAW if self._terminal else self.LINE_EVERY
        if now - self._shown < every and (done < total or not self._terminal):
            return
        self._shown = now
        rate = (done - self._before) / max(now - self._start, 1e-9)
        text = f"{100 * done // total:3d}%  {done}/{total} frames  {rate:.1f} frames/s{self._left(done, total, now)}"
        if not self._terminal:
            say(text, self._stream)
            return
        full = self.WIDTH * done // total
        line = f"[{'#' * full}{'-' * (self.WIDTH - full)}] {text}"
        self._stream.write(f"\r{line}{' ' * (self._drawn - len(line))}")
        self._stream.flush()
        self._drawn = len(line)

    def _left(self, done: int, total: int, now: float) -> str:
        """Time left by the pace since the first frames, once that is as long as these took.

        What compiling and the first key frames take says nothing of the rest.
        """
        assert self._first is not None
        first, then = self._first
        if now - then < then - self._start or (done == first and done < total):
            return ""
        pace = (now - then) / (done - first) if done > first else 0.0
        return f"  {duration((total - done) * pace)} left"

    def close(self) -> None:
        """Leave the bar's line, so that what follows starts on one of its own."""
        if self._drawn:
            self._stream.write("\n")
            self._stream.flush()
            self._drawn = 0


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: `1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
