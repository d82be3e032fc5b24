"""Expected numbers are worked out by hand from the definitions."""

import math

import numpy as np
import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics.temporal import flicker, flicker_detrended, mabd

KINDS = [np.asarray, torch.from_numpy]


def greys(*levels):
    return np.stack([np.full((3, 4, 6), level) for level in levels])


@pytest.mark.parametrize("kind", KINDS)
def test_mabd_of_greys(kind):
    # Vectors in 255ths: result (0.1, 0.1) x 255, reference (0.1, 0.2) x 255; the mean squared error is (0 + 25.5^2) / 2.
    value = mabd(kind(greys(0.2, 0.3, 0.2)), kind(greys(0.5, 0.6, 0.8)))
    assert value == pytest.approx(25.5**2 / 2, rel=1e-6)


def test_mabd_counts_luma():
    # BT.2020 luma: 0.2627 of red.
    red = greys(0.2, 0.2)
    red[1, 0] = 0.4
    assert mabd(red, greys(0.2, 0.2)) == pytest.approx((0.2 * 0.2627 * 255) ** 2, rel=1e-4)


def test_mabd_does_not_care_where_brightness_changes():
    left, right = greys(0.2, 0.2), greys(0.2, 0.2)
    left[1, :, :, :3] = 0.5
    right[1, :, :, 3:] = 0.5
    assert mabd(left, right) == pytest.approx(0, abs=1e-9)
    assert mabd(left, left) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_flicker_is_what_still_pixels_do(kind):
    reference, result = greys(0.5, 0.5, 0.5), greys(0.6, 0.6, 0.6)
    reference[1:, :, :, 0] = 0.9  # one of six columns moves once: it counts in the second step only
    result[1, :, :, 0] = 0.1
    result[1, :, :, 1] += 0.02
    # Column 1 changes by 0.02 twice, column 0 by 0.5 while it stands still; 5 + 6 columns stand still.
    assert flicker(kind(result), kind(reference)) == pytest.approx(1023 * (2 * 0.02 + 0.5) / 11, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_drift_is_no_detrended_flicker(kind):
    still = greys(*[0.5] * 5)
    assert flicker_detrended(kind(greys(0.1, 0.2, 0.3, 0.4, 0.5)), kind(still)) == pytest.approx(0, abs=1e-9)
    there_and_back = greys(0.2, 0.3, 0.2, 0.3, 0.2)
    for measure in (flicker, flicker_detrended):
        assert measure(kind(there_and_back), kind(still)) == pytest.approx(102.3, rel=1e-6)
    # One step up: a second difference of 0.1 on either side of it, halved, in 2 of 3 frames. Two frames have none.
    assert flicker_detrended(kind(greys(0.2, 0.2, 0.3, 0.3, 0.3)), kind(still)) == pytest.approx(102.3 / 3, rel=1e-6)
    assert math.isnan(flicker_detrended(kind(still[:2]), kind(still[:2])))
    # What moves once is left out of two second differences: column 0 stands still for no three frames here.
    moving = still[:4].copy()
    moving[2:, :, :, 0] = 0.9
    result = moving.copy()
    result[1, :, :, 0] = 0.1
    assert flicker_detrended(kind(result), kind(moving)) == pytest.approx(0, abs=1e-9)


def test_flicker_of_more_noise_is_worse_and_of_none_is_zero():
    reference = greys(0.5, 0.5, 0.5, 0.5)
    noise = np.random.default_rng(0).normal(0, 1, reference.shape)
    values = [flicker(reference + strength * noise, reference) for strength in (0, 0.001, 0.01)]
    assert values[0] == 0
    assert values == sorted(values)
    assert values[1] > 0


def test_one_code_value_is_still_and_two_are_not():
    # In float32 too, where 500 / 1023 - 499 / 1023 is not exactly one step.
    for dtype in (np.float32, np.float64):
        codes = [greys(499 / 1023, code / 1023).astype(dtype) for code in (500, 501)]
        assert flicker(greys(0.5, 0.6), codes[0]) == pytest.approx(102.3, rel=1e-5)
        assert math.isnan(flicker(greys(0.5, 0.6), codes[1]))


@pytest.mark.parametrize("function", [mabd, flicker, flicker_detrended])
@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 3, 4, 4)])
def test_less_than_two_frames_are_refused(function, shape):
    with pytest.raises(InputError, match=f"{function.__name__}: the clip is .*two or more consecutive frames"):
        function(np.zeros(shape), np.zeros(shape))
    with pytest.raises(InputError, match=f"{function.__name__}: pictures are"):
        function(np.zeros((2, 3, 4, 4)), np.zeros((3, 3, 4, 4)))
