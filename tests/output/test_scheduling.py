"""Encoders that make themselves and their caller real-time threads, as SVT-AV1 does for root, are made ordinary again."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from vs_hdrtv.output import scheduling

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="Linux")

THREADS = Path("/proc/self/task")


def real_time():
    found = [os.sched_getscheduler(int(path.name)) for path in THREADS.iterdir()]
    return sum(policy in (os.SCHED_FIFO, os.SCHED_RR) for policy in found)


@pytest.fixture
def may():
    """Whether this user may make real-time threads; skipped where not."""
    parameters = os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pytest.skip("only root may make real-time threads")
    os.sched_setscheduler(0, os.SCHED_OTHER, parameters)


def test_caller_and_new_threads_are_ordinary_again(may):
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    try:
        with scheduling.kept():
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
            thread.start()
            assert real_time() == 2
        assert real_time() == 0
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        end.set()
        thread.join()


def test_a_caller_that_was_real_time_stays_so(may):
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
    try:
        with scheduling.kept():
            pass
        assert real_time() >= 1
        assert os.sched_getparam(0).sched_priority == 5
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    assert real_time() == 0


def test_svt_av1(tmp_path):
    with av.open(str(tmp_path / "out.mkv"), "w") as file:
        stream = file.add_stream("libsvtav1", rate=24)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p10le"
        with scheduling.kept():
            file.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), "yuv420p").reformat(format="yuv420p10le"))
            )
            assert len(list(THREADS.iterdir())) > 4
        assert real_time() == 0
        file.mux(stream.encode())
    assert real_time() == 0


def test_convert_leaves_no_thread_real_time(video_file, tmp_path, run):
    source, target = video_file(size=(64, 64), frames=3, audio=None), tmp_path / "out.mkv"
    options = ("--preset", "bt2408", "--encoder", "svt-av1", "--speed", "12", "--engine", "cpu")
    code, _, error = run("convert", source, target, *options)
    assert (code, target.exists()) == (0, True), error
    assert real_time() == 0
