"""A colourist's controls as functions of pixels."""

import numpy as np
import pytest
import torch

from vs_hdrtv.color import grading
from vs_hdrtv.color.ictcp import ictcp_to_pq, pq_to_ictcp
from vs_hdrtv.color.transfer import pq_eotf, pq_inverse_eotf


def picture(*light):
    """(1, 3, 1, N) PQ signal of grey pixels of some light in cd/m2."""
    return np.broadcast_to(pq_inverse_eotf(np.array(light, dtype=np.float64)), (1, 3, 1, len(light))).copy()


def light_of(hdr):
    return pq_eotf(hdr)[0, :, 0].max(axis=0)


@pytest.fixture
def colours():
    return pq_inverse_eotf(np.random.default_rng(3).uniform(0.01, 900, (1, 3, 24, 40)))


def test_ictcp_round_trip(colours):
    assert np.abs(ictcp_to_pq(pq_to_ictcp(colours)) - colours).max() < 1e-6


def test_blend_ends_and_middle():
    low, high = picture(100.0), picture(400.0)
    assert (grading.blend(high, low, 0.0) == low).all()
    assert np.allclose(grading.blend(high, low, 1.0), high, atol=1e-12)
    assert np.allclose(grading.blend(high, low, 0.5), (low + high) / 2)


def test_scale_light_is_a_gain_on_light():
    assert np.allclose(light_of(grading.scale_light(picture(0.0, 1.0, 203.0), 1.5)), [0, 1.5, 304.5], rtol=1e-6)


@pytest.mark.parametrize("gain", [0.0, 0.5, 1.7, 4.0])
def test_highlights_move_above_white_alone_smoothly_and_in_order(gain):
    light = np.concatenate([np.linspace(0, 203, 50), np.linspace(203, 1000, 400)])
    changed = light_of(grading.scale_highlights(picture(*light), gain))
    assert np.allclose(changed[:50], light[:50], atol=1e-6)
    assert (np.diff(changed) >= -1e-6).all()
    # One step above white is 2 cd/m2: the change there is second order, (gain - 1) * 2**2 / 205.
    assert abs(changed[51] - light[51]) < abs(gain - 1) * 0.03 + 1e-6
    assert np.isclose(changed[-1], grading.highlight_peak(1000.0, gain), rtol=1e-6)


def test_highlights_keep_hue(colours):
    before, after = pq_eotf(colours), pq_eotf(grading.scale_highlights(colours, 2.0))
    gain = after / before
    assert np.allclose(gain, gain[:, :1], rtol=1e-5)


def test_saturation_zero_is_grey_one_is_the_same_and_intensity_stays(colours):
    grey = grading.scale_saturation(colours, 0.0)
    assert np.ptp(grey, axis=1).max() < 1e-6
    assert np.abs(grading.scale_saturation(colours, 1.0) - colours).max() < 1e-6
    half = pq_to_ictcp(grading.scale_saturation(colours, 0.5))
    assert np.abs(half[:, :1] - pq_to_ictcp(colours)[:, :1]).max() < 1e-6


def test_nothing_passes_the_peak_and_what_is_far_below_stays():
    light = np.linspace(0, 1000, 300)
    limited = light_of(grading.limit_peak(picture(*light), 400.0, 1000.0))
    assert limited.max() <= 400.0001
    assert (np.diff(limited) >= -1e-6).all()
    assert np.allclose(limited[light < 100], light[light < 100], rtol=1e-4)
    assert np.allclose(light_of(grading.limit_peak(picture(*light), 1000.0, 1000.0)), light, rtol=1e-6)


def test_areas_are_limited_inside_and_left_outside():
    hdr = np.broadcast_to(pq_inverse_eotf(np.array(800.0)), (1, 3, 100, 120)).copy()
    limited = pq_eotf(grading.limit_areas(hdr, [grading.Area(40, 50, 30, 20)], 203.0, 1000.0))[0, 0]
    assert limited[50:70, 40:70].max() <= 203.001
    assert np.allclose(limited[:30], 800)
    assert np.allclose(limited[:, :20], 800)
    edge = limited[60, 69:90]
    assert (np.diff(edge) >= 0).all()
    assert np.diff(edge).max() < 120  # no step: sixteen pixels share the 600 cd/m2


def test_areas_beyond_the_edge_are_cut():
    mask = grading.area_mask((grading.Area(-10, -10, 20, 20), grading.Area(90, 90, 50, 50)), 100, 100)
    assert mask[0, 0] == mask[99, 99] == 1
    assert mask[50, 50] == 0


def test_numpy_and_torch_agree(colours):
    tensor = torch.from_numpy(colours)
    for function in (
        lambda x: grading.scale_highlights(x, 1.5),
        lambda x: grading.scale_saturation(x, 1.2),
        lambda x: grading.limit_peak(x, 400.0, 1000.0),
        lambda x: grading.limit_areas(x, [grading.Area(3, 4, 10, 10)], 203.0, 1000.0),
    ):
        assert np.abs(function(colours) - function(tensor).numpy()).max() < 1e-9
