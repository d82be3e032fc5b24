"""DIS between SDR frames: exposure changes nothing, threads change nothing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.keyframes import dis


@pytest.fixture
def frames():
    """A texture, and the same moved by (4, -3), at the same exposure: (3, 96, 128) each."""
    y, x = np.mgrid[:120, :160].astype(np.float32)
    wave = np.sin(x / 5) * np.cos(y / 6) + 0.4 * np.sin((x + 2 * y) / 9)
    texture = (0.35 + 0.12 * wave).astype(np.float32)
    return [np.repeat(texture[None, 12 + dy : 108 + dy, 16 + dx : 144 + dx], 3, axis=0) for dx, dy in ((0, 0), (-4, 3))]


def test_a_known_translation(frames):
    flow = dis.estimate(*frames)
    assert flow.shape == (2, 96, 128)
    assert flow.dtype == np.float32
    inside = flow[:, 16:-16, 16:-16]
    assert np.hypot(inside[0] - 4, inside[1] + 3).mean() < 0.5


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.6])
def test_exposure(frames, factor):
    flow = dis.estimate(frames[0], np.clip(frames[1] * np.float32(factor), 0, 1))
    inside = flow[:, 16:-16, 16:-16]
    assert np.hypot(inside[0] - 4, inside[1] + 3).mean() < 0.8


def test_the_number_of_threads_changes_nothing(frames):
    import cv2

    before = cv2.getNumThreads()
    try:
        found = []
        for threads in (1, 4):
            cv2.setNumThreads(threads)
            found.append(dis.estimate(*frames).tobytes())
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)
    assert found[0] == found[1]


def test_black_frames():
    black = np.zeros((3, 32, 32), np.float32)
    assert np.isfinite(dis.estimate(black, black)).all()


def test_opencv_that_is_not_there(frames, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match="dis: OpenCV is not installed"):
        dis.estimate(*frames)
