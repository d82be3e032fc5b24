"""Pairs of frames whose optical flow is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks.warping import warp
from vs_hdrtv.training import displacement, material
from vs_hdrtv.training.displacement import Displacement, make_flow_pair

APART = Displacement(far=0.2)


def picture(seed):
    small = np.random.default_rng(seed).lognormal(0, 0.7, (12, 16, 3)).astype(np.float32)
    return cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC).clip(1e-3)


PICTURES = [picture(seed) for seed in range(3)]


def make(index=0, apart=APART, size=64):
    return make_flow_pair(PICTURES, size, np.random.default_rng((3, index)), apart)


@pytest.mark.parametrize("index", range(6))
def test_shapes_and_ranges(index):
    pair = make(index)
    for frame in (pair.sdr, pair.reference):
        assert frame.shape == (3, 64, 64)
        assert 0 <= frame.min() < frame.max() <= 1
    assert pair.flow.shape == (2, 64, 64)
    assert pair.seen.shape == pair.clipped.shape == (1, 64, 64)
    assert {each.dtype for each in vars(pair).values()} == {np.dtype(np.float32)}
    assert set(np.unique(pair.seen)) <= {0, 1}


def test_a_function_of_the_generator():
    for one, other in zip(vars(make(1)).values(), vars(make(1)).values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(make(1).sdr, make(2).sdr)


def test_the_flow_leads_to_what_is_seen():
    plain = Displacement(far=0.2, exposure=0.0, brightest=-0.4)  # nothing clips, one exposure
    left, there = [], []
    for index in range(12):
        pair = make(index, plain)
        found = warp(torch.from_numpy(pair.reference)[None], torch.from_numpy(pair.flow)[None])[0].numpy()
        shown = pair.seen[0] > 0
        there.append(np.abs(found - pair.sdr)[:, shown].mean())
        left.append(np.abs(pair.reference - pair.sdr)[:, shown].mean())
    # Of what is left, noise is a part, and interpolation, and edges of layers.
    assert np.mean(there) < 0.3 * np.mean(left)
    assert np.mean(there) < 0.025


def test_what_is_not_seen():
    shown = [make(index).seen.mean() for index in range(12)]
    assert all(0.2 < each <= 1 for each in shown)
    assert min(shown) < 0.97
    pair = make(4)
    rows, columns = np.mgrid[:64, :64] + pair.flow[::-1]
    outside = (rows < -1) | (rows > 64) | (columns < -1) | (columns > 64)
    assert not pair.seen[0][outside].any()


def test_exposures():
    """Both kinds show one scene and one flow; the exposures differ by up to `stops`, either way."""
    ratios = []
    for index in range(12):
        same, other = (make(index, Displacement(far=0.01, layers=0, exposure=share)) for share in (0.0, 1.0))
        np.testing.assert_array_equal(same.flow, other.flow)
        ratios.append([np.log2(each.sdr.mean() / each.reference.mean()) for each in (same, other)])
    own, others = np.abs(np.array(ratios)).T
    assert own.max() < 0.1
    assert others.max() > 0.4
    assert np.min(np.array(ratios)[:, 1]) < -0.1 < 0.1 < np.max(np.array(ratios)[:, 1])


def test_over_exposure():
    bright = [make(index, Displacement(far=0.1, brightest=3.0)).clipped.mean() for index in range(10)]
    dark = [make(index, Displacement(far=0.1, brightest=-0.4)).clipped.mean() for index in range(10)]
    assert np.mean(bright) > np.mean(dark) + 0.1


def test_homography_flow():
    matrix = np.array([[1, 0, 2.0], [0, 1, -3.0], [0, 0, 1]])
    np.testing.assert_allclose(displacement.homography_flow(matrix, 4), np.broadcast_to([[[2.0]], [[-3.0]]], (2, 4, 4)))
    turned = displacement.homography_flow(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]), 4)
    assert turned[:, 1, 2].tolist() == [-1 - 2, 2 - 1]  # (x, y) = (2, 1) goes to (-1, 2)


def test_without_stills():
    with pytest.raises(InputError, match="there are none; give a folder that has hdr_stills/"):
        material.Material([], PICTURES, []).draw_flow_pair(64, np.random.default_rng(0), APART)
