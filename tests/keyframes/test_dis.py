"""DIS between SDR frames: exposure changes nothing, threads change nothing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import vapoursynth

import vs_hdrtv
from vs_hdrtv.errors import InputError
from vs_hdrtv.keyframes import dis

cv2 = pytest.importorskip("cv2")


def texture(height=96, width=120, seed=0):
    rng = np.random.default_rng(seed)
    big = sum(cv2.resize(rng.random((cells, cells, 3)), (width, height)) for cells in (6, 12, 30))
    return np.moveaxis(big / 3, -1, 0).astype(np.float32)  # light, (3, H, W)


def exposed(light, gain):
    return (np.clip(gain * light, 0, 1) ** (1 / 2.2)).astype(np.float32)


def inner(flow):
    return flow[:, 16:-16, 16:-16]


@pytest.mark.parametrize(("mine", "theirs"), [(1.0, 1.0), (1.0, 0.2), (0.2, 1.0), (1.7, 0.4), (0.4, 1.7)])
def test_shifted_by_whole_pixels_at_any_exposure(mine, theirs):
    light = texture()
    moved = np.roll(light, (2, 5), axis=(1, 2))
    flow, agreement = dis.estimate(exposed(light, mine), exposed(moved, theirs))
    assert agreement > dis.AGREED
    assert flow.shape == (2, 96, 120)
    assert flow.dtype == np.float32
    np.testing.assert_allclose(np.median(inner(flow), axis=(1, 2)), [5, 2], atol=0.2)
    assert np.hypot(*(inner(flow) - np.array([5, 2])[:, None, None])).mean() < 0.5


def test_any_number_of_threads_gives_the_same_bytes_and_is_left_as_it_was():
    one, other = exposed(texture(), 1.0), exposed(np.roll(texture(), 3, axis=2), 0.5)
    before, found = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            found.append(dis.estimate(one, other)[0])
            assert cv2.getNumThreads() == threads
    finally:
        cv2.setNumThreads(before)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


@pytest.mark.parametrize("size", [(1, 1), (20, 33), (31, 64)])
def test_small_frames(size):
    flow, agreement = dis.estimate(np.full((3, *size), 0.5, np.float32), np.full((3, *size), 0.25, np.float32))
    assert flow.shape == (2, *size)
    assert np.abs(flow).max() < 1e-3
    assert agreement > 0.999


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_frames_that_show_nothing_give_a_flow(value):
    frame = np.full((3, 40, 50), value, np.float32)
    flow, agreement = dis.estimate(frame, exposed(texture(40, 50), 1.0))
    assert np.isfinite(flow).all()
    assert not agreement >= dis.ALIKE


def test_a_pan_by_more_than_flow_finds_is_registered_first():
    wide = texture(128, 320)
    one, other = exposed(wide[:, :, :160], 1.2), exposed(wide[:, :, 90:250], 0.5)  # 70 of 160 columns are in both
    plain = dis.near(*((255 * each.mean(0)).astype(np.uint8) for each in (one, other)))
    assert abs(np.median(plain[0][:, 100:]) + 90) > 20  # or this would show nothing
    flow, agreement = dis.estimate(one, other)
    assert agreement > dis.AGREED
    np.testing.assert_allclose(flow[:, 16:-16, 106:-8].mean(axis=(1, 2)), [-90, 0], atol=0.5)
    assert dis.trusted(one, other).tobytes() == flow.tobytes()


@pytest.mark.parametrize("seed", range(1, 7))
def test_what_shows_something_else_is_refused(seed):
    one, other = exposed(texture(), 1.0), exposed(texture(seed=seed), 0.5)
    assert dis.estimate(one, other)[1] < dis.ALIKE
    flow = dis.trusted(one, other)
    y, x = np.mgrid[:96, :120]
    assert ((x + flow[0] > 119) & (y + flow[1] > 95)).all()


def test_opencv_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"^dis: OpenCV is not installed; pip install 'vs-hdrtv\[recover\]'"):
        dis.estimate(np.zeros((3, 32, 32), np.float32), np.zeros((3, 32, 32), np.float32))


def test_without_opencv_it_is_refused_before_a_model_is_looked_for(moving_clip, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(vapoursynth.Error, match="OpenCV is not installed"):
        vs_hdrtv.recover_keyframes(moving_clip(), model="no such model")
    assert not caplog.records
