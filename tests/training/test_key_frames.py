"""Key frames with references: what the camera lost is in the truth, the references have it, and the flow finds it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vs_hdrtv.color.transfer import bt1886_eotf
from vs_hdrtv.keyframes import dis
from vs_hdrtv.networks.warping import warp
from vs_hdrtv.training import clips, key_frames

REFERENCES = 3


@pytest.fixture
def pictures():
    """Light with texture everywhere and a window two hundred times as bright."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:300, :400].astype(np.float32)
    texture = 0.2 + 0.1 * np.sin(x / 7) * np.cos(y / 9) + 0.02 * rng.random((300, 400))
    texture[80:200, 100:300] *= 200
    return [np.repeat(texture[..., None], 3, axis=2).astype(np.float32)]


MOVES = clips.Motion(layers=0.0, cut=0.0, speed=0.5)


def estimate(frame, reference):
    """No flow, but a trace of who was asked."""
    return np.stack([frame[0], reference[0]])


def make(pictures, n):
    return key_frames.make_key_frame(pictures, REFERENCES, 64, np.random.default_rng((7, n)), estimate, MOVES)


def test_shapes_and_repetition(pictures):
    one, again, other = make(pictures, 0), make(pictures, 0), make(pictures, 1)
    assert one.sdr.shape == (1 + REFERENCES, 3, 64, 64)
    assert one.linear.shape == (3, 64, 64)
    assert one.flow.shape == (REFERENCES, 2, 64, 64)
    assert all(each.dtype == np.float32 for each in (one.sdr, one.linear, one.flow, one.estimated))
    np.testing.assert_array_equal(one.estimated[:, 1], one.sdr[1:, 0])
    assert one.sdr.tobytes() == again.sdr.tobytes()
    assert one.flow.tobytes() == again.flow.tobytes()
    assert one.sdr.tobytes() != other.sdr.tobytes()


def test_light_is_the_pictures_own_where_nothing_clips_and_more_where_it_does(pictures):
    for n in range(6):
        made = make(pictures, n)
        seen = bt1886_eotf(made.sdr[0].astype(np.float64))
        open_ = made.sdr[0].max(axis=0) < 0.9
        if open_.any():  # 8 bits and 4:2:0 lie between
            assert np.abs(seen - made.linear)[:, open_].mean() < 0.01
        lost = made.linear.max(axis=0) > 1.2
        assert (made.sdr[0].max(axis=0)[lost] > 0.95).all()


def test_half_of_the_key_frames_can_be_recovered_from_a_reference(pictures):
    found = 0
    for n in range(10):
        lost = (make(pictures, n).sdr.max(axis=1) > 0.95).mean(axis=(1, 2))
        found += lost[0] - lost.min() >= key_frames.RECOVERABLE
    assert found >= 5


def test_flow_aligns_the_references(pictures):
    light = np.stack([np.roll(pictures[0], (0, 3 * n), axis=(0, 1))[20:148, 60:188] for n in range(3)])
    planes = np.moveaxis(light, -1, 1)  # (3, 3, 128, 128)
    flow, agreed = key_frames.true_flow(planes.astype(np.float64))
    assert (agreed > dis.AGREED).all()
    assert flow.shape == (2, 2, 128, 128)
    for n in (0, 1):
        inside = flow[n, :, 20:-20, 20:-20]
        assert abs(np.median(inside[0]) - 3 * (n + 1)) < 0.5
        assert abs(np.median(inside[1])) < 0.5
    warped = warp(torch.from_numpy(planes[1:]).float(), torch.from_numpy(flow)).numpy()
    plain = np.abs(planes[1:] - planes[0])[..., 20:-20, 20:-20].mean()
    assert np.abs(warped - planes[0])[..., 20:-20, 20:-20].mean() < 0.3 * plain


def test_exposure_changes_no_flow(pictures):
    planes = np.moveaxis(np.stack([pictures[0][:128, :128], pictures[0][4:132, 2:130]]), -1, 1).astype(np.float64)
    flow, _ = key_frames.true_flow(planes)
    np.testing.assert_allclose(key_frames.true_flow(planes * 37.0)[0], flow, atol=0.3)


def test_a_segment(pictures):
    made = key_frames.make_segment(pictures, 64, np.random.default_rng(4), estimate, MOVES)
    assert made.sdr.shape == made.linear.shape == (6, 3, 64, 64)
    assert made.keys.shape == (5, 3, 64, 64)
    np.testing.assert_array_equal(made.sdr[3], made.keys[2])  # the group's own key frame is one of its frames
    assert made.references.shape == (2, 3, 64, 64)
    assert made.key_references.shape == (5, 2, 2, 64, 64)
    assert made.to_keys.shape == (6, 5, 2, 64, 64)
    np.testing.assert_array_equal(made.to_keys[1, 4], estimate(made.sdr[1], made.keys[4]))
    np.testing.assert_array_equal(made.to_next[2], estimate(made.sdr[2], made.sdr[3]))
    np.testing.assert_array_equal(made.to_previous[2], estimate(made.sdr[3], made.sdr[2]))
    seen = bt1886_eotf(made.sdr.astype(np.float64))
    open_ = made.sdr.max(axis=1, keepdims=True) < 0.9
    assert (np.abs(seen - made.linear) * open_).sum() / open_.sum() < 0.03
