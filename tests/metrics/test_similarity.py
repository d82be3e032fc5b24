import numpy as np
import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics.similarity import sr_sim, ssim

RNG = np.random.default_rng(0)
REFERENCE = np.kron(RNG.random((3, 6, 7)), np.ones((8, 8))) * 0.7
NOISE = RNG.normal(0, 1, REFERENCE.shape)


def noisy(strength):
    return np.clip(REFERENCE + strength * NOISE, 0, 1)


def test_ssim_of_flat_pictures():
    # By hand, Wang et al. 2004, equation 13: without variance only (2ab + C1) / (a^2 + b^2 + C1) is left, C1 = 0.01^2.
    a, b = 0.3, 0.5
    expected = (2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4)
    assert ssim(np.full((3, 16, 16), a), np.full((3, 16, 16), b)) == pytest.approx(expected, rel=1e-5)


def test_ssim_by_its_definition():
    # Equation 13 with scipy's Gaussian (11 taps of sigma 1.5), where the window lies inside the picture.
    from scipy.ndimage import gaussian_filter

    blur = lambda x: gaussian_filter(x, (0, 1.5, 1.5), radius=(0, 5, 5))[:, 5:-5, 5:-5]  # noqa: E731
    x, y = noisy(0.05), REFERENCE
    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    expected = ((2 * mx * my + 1e-4) * (2 * vxy + 9e-4)) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert ssim(x, y) == pytest.approx(expected.mean(), abs=1e-5)


def test_ssim_looks_at_large_pictures_whole():
    # piq would average 2x2 pixels of a picture of 384 lines first, which takes this checkerboard away.
    board = np.broadcast_to(0.5 + 0.1 * (np.indices((384, 384)).sum(axis=0) % 2 * 2 - 1), (3, 384, 384))
    assert ssim(board, np.full_like(board, 0.5)) < 0.2


@pytest.mark.parametrize("function", [ssim, sr_sim])
def test_equal_is_one_and_more_noise_is_worse(function):
    values = [function(noisy(strength), REFERENCE) for strength in (0, 0.02, 0.06, 0.2)]
    assert values[0] == pytest.approx(1, abs=1e-5)
    assert values == sorted(values, reverse=True)
    assert values[1] < 1 - 1e-4


@pytest.mark.parametrize("function", [ssim, sr_sim])
def test_arrays_tensors_and_batches_agree(function):
    alone = function(noisy(0.1), REFERENCE)
    assert function(torch.from_numpy(noisy(0.1)), torch.from_numpy(REFERENCE)) == pytest.approx(alone, abs=1e-6)
    both = function(np.stack([noisy(0.1), REFERENCE]), np.stack([REFERENCE, REFERENCE]))
    assert both == pytest.approx((alone + 1) / 2, abs=1e-5)


@pytest.mark.parametrize("function", [ssim, sr_sim])
def test_signals_outside_the_range_are_clipped(function):
    beyond = np.where(REFERENCE > 0.6, 1.5, REFERENCE)
    beyond[0, 0, 0] = np.nan
    within = np.where(REFERENCE > 0.6, 1.0, REFERENCE)
    within[0, 0, 0] = 0
    assert function(beyond, REFERENCE) == pytest.approx(function(within, REFERENCE), abs=1e-6)


@pytest.mark.parametrize(("function", "smallest"), [(ssim, 11), (sr_sim, 40)])
def test_what_cannot_be_compared_is_refused(function, smallest):
    assert function(np.zeros((3, smallest, smallest)), np.zeros((3, smallest, smallest))) == pytest.approx(1)
    with pytest.raises(InputError, match=f"{function.__name__}: pictures are .*; it needs {smallest} pixels"):
        function(np.zeros((3, smallest, smallest - 1)), np.zeros((3, smallest, smallest - 1)))
    with pytest.raises(InputError, match=f"{function.__name__}: pictures are"):
        function(np.zeros((3, 64, 64)), np.zeros((3, 64, 65)))
