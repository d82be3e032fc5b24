"""Threads of encoders run like all others.

SVT-AV1, as root (a container, an encoder farm), makes its threads and the one that opens it real-time threads (SCHED_FIFO, 99),
for good, and every thread that is started later inherits it: nothing else on the machine runs beside them, and two that wait
actively for a third starve it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_THREADS = Path("/proc/self/task")
"""A folder a thread, named by its number; Linux."""


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Around whatever may open an encoder: afterwards no thread is real-time, unless the caller was before."""
    if not hasattr(os, "sched_setscheduler") or not _THREADS.is_dir() or _real_time(0):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in [int(path.name) for path in _THREADS.iterdir()]:
            # A thread may end meanwhile; a sandbox may forbid the question.
            with contextlib.suppress(OSError):
                if _real_time(thread):
                    os.sched_setscheduler(thread, policy, parameters)


def _real_time(thread: int) -> bool:
    return os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR)
