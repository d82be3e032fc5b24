"""The exposure of two pictures of one scene."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vs_hdrtv.color import exposure


def scene(seed=0):
    """Signal of a scene that clips nowhere at 1 and is nowhere dark."""
    return np.random.default_rng(seed).uniform(0.1, 0.45, (2, 3, 24, 32)).astype(np.float32)


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
def test_the_ratio_is_the_gain(gain):
    one, other = exposure.levels(scene(), np.float32(gain) * scene())
    assert one.shape == other.shape == (2, 1, 1, 1)
    np.testing.assert_allclose(other / one, gain, rtol=0.03)  # what keeps the logarithm of black finite


def test_what_one_of_them_clips_does_not_count():
    frame = scene()
    frame[:, :, :12] *= 2.2
    brighter = np.clip(3 * frame, 0, 1)  # the upper half is white, or nearly
    one, other = exposure.levels(frame, brighter)
    plain = brighter.mean() / frame.mean()
    assert abs(other / one - 3).max() < 0.5 * abs(plain - 3)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 1.0), (1.0, 1.0)])
def test_with_nothing_in_common_they_are_still_levels(value, expected):
    frame = np.full((1, 3, 8, 8), value, np.float32)
    one, other = exposure.levels(frame, scene()[:1, :, :8, :8])
    assert np.isfinite(one).all() and np.isfinite(other).all()
    assert one.item() > 0
    same = exposure.levels(frame, frame)
    assert same[0] / same[1] == expected


def test_torch_and_numpy_agree():
    frames = scene(), np.clip(2.5 * scene(1), 0, 1)
    found = exposure.levels(*(torch.from_numpy(each) for each in frames))
    for one, other in zip(found, exposure.levels(*frames), strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-5)


def test_underexposure_mask():
    frame = np.array([0.0, exposure.DARK / 2, exposure.DARK, 1.0], np.float32).reshape(1, 1, 1, 4).repeat(3, axis=1)
    np.testing.assert_allclose(exposure.underexposure_mask(frame)[0, 0, 0], [1, 0.5, 0, 0], atol=1e-6)
