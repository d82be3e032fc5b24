"""Losses of clips by hand on small tensors."""

import math

import cv2
import numpy as np
import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import temporal_losses as losses

pytestmark = pytest.mark.usefixtures("one_thread")


def still(frames, size=40):
    """Flow of a clip in which nothing moves."""
    return torch.zeros(1, frames - 2, 2, size, size)


def clip(*levels, size=40):
    """Flat frames."""
    return torch.tensor(levels).reshape(1, -1, 1, 1, 1).expand(1, len(levels), 3, size, size)


def test_tanh_l1_by_hand():
    # Two frames: |tanh(0.5) - tanh(0)| in the first, of one colour of three; the second is right. A sum over the frames.
    result, target = torch.zeros(1, 2, 3, 2, 2), torch.zeros(1, 2, 3, 2, 2)
    result[0, 0, 1] = 0.5
    torch.testing.assert_close(losses.tanh_l1(result, target), torch.tensor(math.tanh(0.5) / 3))


def test_brightness_of_flat_frames_by_hand():
    # A flat frame is its own illumination on every level: 0.1 and 0.2 off, times 1/16 + 1/8 + 1/4 + 1/2 + 1.
    found = losses.brightness_consistency(clip(0.4, 0.5, 0.7), still(3), still(3))
    torch.testing.assert_close(found, torch.tensor((0.1 + 0.2) * (1 + 15 / 16)))


def test_frames_with_two_neighbours_are_summed():
    # Frames 1 and 2 of four: 0.1 + 0.2, and 0.2 + 0.
    found = losses.brightness_consistency(clip(0.4, 0.5, 0.7, 0.7), still(4), still(4))
    torch.testing.assert_close(found, torch.tensor((0.3 + 0.2) * (1 + 15 / 16)))
    steady = losses.brightness_consistency(clip(0.6, 0.6, 0.6, 0.6), still(4), still(4))
    assert steady < 1e-6


def test_motion_that_the_flow_knows_costs_nothing():
    # A smooth wave that moves one pixel a frame to the right, away from the edges, where content comes in.
    x = torch.arange(64).float()
    frames = [0.5 + 0.3 * torch.exp(-((x - 32 - t) ** 2) / 40).expand(3, 64, 64) for t in (-1, 0, 1)]
    moving = torch.stack(frames)[None]
    to_previous, to_next = still(3, 64), still(3, 64)
    blind = losses.brightness_consistency(moving, to_previous, to_next)
    to_previous[:, :, 0], to_next[:, :, 0] = -1, 1
    known = losses.brightness_consistency(moving, to_previous, to_next)
    swapped = losses.brightness_consistency(moving, to_next, to_previous)
    assert known < 1e-3 * blind
    assert swapped > 1.5 * blind


def test_small_levels_weigh_more():
    # A fine grid is gone in the smaller levels, a whole frame's change is not.
    grid = 0.02 * (torch.arange(40) % 2 * 2 - 1)
    flat = clip(0.5, 0.5, 0.5).clone()
    fine, whole = flat.clone(), flat.clone()
    fine[:, 1] += grid
    whole[:, 1] += 0.02
    assert losses.brightness_consistency(fine, still(3), still(3)) < 0.1 * losses.brightness_consistency(
        whole, still(3), still(3)
    )


def test_gradients_reach_every_frame():
    torch.manual_seed(0)
    result = torch.rand(1, 3, 3, 33, 33, requires_grad=True)
    losses.brightness_consistency(result, still(3, 33), still(3, 33)).backward()
    assert torch.isfinite(result.grad).all()
    assert (result.grad.abs().amax(dim=(0, 2, 3, 4)) > 0).all()


@pytest.mark.parametrize(("frames", "size"), [(2, 40), (3, 32)])
def test_clips_that_are_too_short_or_small(frames, size):
    with pytest.raises(
        InputError, match=f"brightness_consistency: the clip has {frames} frames of {size}x{size}; give 3 or more"
    ):
        losses.brightness_consistency(torch.zeros(1, frames, 3, size, size), still(3, size), still(3, size))


def test_illumination_is_opencvs_bilateral_filter():
    rng = np.random.default_rng(0)
    steps = np.where(np.arange(24)[None, :, None] < 11, 0.3, 0.7) + rng.normal(0, 0.02, (20, 24, 3))
    picture = steps.astype(np.float32)
    expected = cv2.bilateralFilter(picture, 9, 10 / 255, 5)
    found = losses.illumination(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() < 1e-4
    assert np.abs(found - picture).max() > 0.01


def test_pyramid_by_hand():
    # An impulse: each level is the Gaussian (9 taps, sigma 1.7) at every second pixel.
    impulse = torch.zeros(1, 1, 64, 64)
    impulse[..., 32, 32] = 1
    levels = losses.pyramid(impulse)
    assert [level.shape[-1] for level in levels] == [64, 32, 16, 8, 4]
    taps = np.exp(-(np.arange(-4, 5) ** 2) / (2 * 1.7**2))
    taps /= taps.sum()
    expected = np.outer(taps[::2], taps[::2])  # offsets -4, -2, 0, 2, 4
    np.testing.assert_allclose(levels[1][0, 0, 14:19, 14:19].numpy(), expected, atol=1e-6)


def test_flow_loss_by_hand():
    result, target = torch.zeros(1, 2, 2, 1, 2), torch.zeros(1, 2, 2, 1, 2)
    result[0, 0, 0] = torch.tensor([3.0, 1.0])  # dx of the first of two references
    torch.testing.assert_close(losses.flow_l1(result, target), torch.tensor(4.0 / 8))
    visible = torch.ones(1, 2, 1, 1, 2)
    visible[0, 0, 0, 0, 0] = 0
    torch.testing.assert_close(losses.flow_l1(result, target, visible), torch.tensor(1.0 / 6))
    assert losses.flow_l1(result, target, torch.zeros_like(visible)) == 0
