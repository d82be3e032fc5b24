"""Recovered highlights: where they go, how bright they are, and that no edge shows."""

import numpy as np
import pytest
import torch

from vs_hdrtv.color.gamut import convert, luminance
from vs_hdrtv.color.highlights import blend, merge_highlights, rim_ratio
from vs_hdrtv.color.overexposure import overexposure_mask
from vs_hdrtv.color.transfer import bt1886_eotf, bt1886_inverse_eotf, pq_eotf, pq_inverse_eotf

GAIN = 260.0
"""cd/m2 of light 1 in the HDR that the tests start from."""


def blob(height=61, width=90, peak=3.0, size=18.0):
    """Light of a smooth bright blob on grey, (1, 3, H, W), and the SDR that clips it."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    bump = np.exp(-((x - width / 2) ** 2 + (y - height / 2) ** 2) / (2 * size**2))
    light = (0.15 + bump * (peak - 0.15)) * np.array([1.0, 0.97, 0.9])[:, None, None]
    return light[None], bt1886_inverse_eotf(np.clip(light[None], 0, 1))


def hdr_of(sdr, gain=GAIN):
    return pq_inverse_eotf(gain * convert(bt1886_eotf(sdr), "bt709", "bt2020"))


def merged(light, sdr, hdr=None, **more):
    mask = overexposure_mask(sdr)
    return merge_highlights(hdr_of(sdr) if hdr is None else hdr, sdr, blend(sdr, light, mask), mask, **more)


def test_blend_is_equation_1():
    light, sdr = blob()
    mask = overexposure_mask(sdr)
    found = blend(sdr, light, mask)
    np.testing.assert_allclose(found, (1 - mask) * bt1886_eotf(sdr) + mask * light)
    outside = np.broadcast_to(mask == 0, sdr.shape)
    assert outside.any()
    assert np.array_equal(found[outside], bt1886_eotf(sdr)[outside])
    assert np.array_equal(blend(sdr, np.full_like(light, np.nan), mask)[outside], bt1886_eotf(sdr)[outside])


def test_the_known_light_comes_back():
    light, sdr = blob()
    mask = overexposure_mask(sdr)
    shown = luminance(pq_eotf(merged(light, sdr)), "bt2020")
    truth = GAIN * luminance(convert(light, "bt709", "bt2020"), "bt2020")
    full = mask == 1
    assert full.sum() > 500
    np.testing.assert_allclose(shown[full], truth[full], rtol=1e-3)


def test_hdr_that_expands_highlights_is_followed_at_the_rim():
    light, sdr = blob()
    curve = 180 + 240 * bt1886_eotf(sdr).max(axis=1, keepdims=True) ** 2  # cd/m2 of light 1: 420 at white
    hdr = pq_inverse_eotf(convert(bt1886_eotf(sdr), "bt709", "bt2020") * curve)
    shown = luminance(pq_eotf(merged(light, sdr, hdr)), "bt2020")[0, 0]
    gain = shown[30, 45] / luminance(light, "bt709")[0, 0, 30, 45]
    assert 330 < gain < 420  # the rim is at light 0.88 and a little below


def test_a_guess_of_what_was_lost_gives_way_to_what_is_known_and_stays_where_nothing_is():
    light, sdr = blob()
    guessed = pq_inverse_eotf(pq_eotf(hdr_of(sdr)) * np.where(overexposure_mask(sdr) >= 1, 3.0, 1.0))
    found = pq_eotf(merged(light, sdr, guessed))
    np.testing.assert_allclose(found[..., 30, 45], GAIN * convert(light, "bt709", "bt2020")[..., 30, 45], rtol=0.02)
    assert np.array_equal(merged(bt1886_eotf(sdr), sdr, guessed), guessed)
    # Two spots, one of which was recovered: the guess about the other one, a third of the frame away, stays.
    wide, both = (np.concatenate([each, each], axis=3) for each in (light, sdr))
    wide[..., light.shape[3] :] = bt1886_eotf(sdr)
    two = np.concatenate([guessed, guessed], axis=3)
    half = merged(wide, both, two)[..., light.shape[3] + 20 :]
    assert np.array_equal(half, two[..., light.shape[3] + 20 :])


@pytest.mark.parametrize("size", [2.0, 6.0, 18.0])
def test_no_step_at_the_edge_of_the_mask(size):
    light, sdr = blob(size=size)
    mask, found = overexposure_mask(sdr), merged(light, sdr)
    before = hdr_of(sdr)
    truth = pq_inverse_eotf(GAIN * convert(light, "bt709", "bt2020"))
    for axis in (2, 3):
        change = np.abs(np.diff(found - before, axis=axis)).max(axis=1)
        inside = mask[:, 0] > 0
        border = np.diff(inside.astype(int), axis=axis - 1) != 0
        assert border.any()
        assert change[border].max() < 0.5 * np.abs(np.diff(truth, axis=axis)).max() + 0.004


def test_bytes_are_equal_where_nothing_is_added():
    light, sdr = blob()
    sdr32, light32 = sdr.astype(np.float32), light.astype(np.float32)
    hdr = hdr_of(sdr32) + np.float32(0.001)
    mask = overexposure_mask(sdr32)
    found = merged(light32, sdr32, hdr)
    assert found.dtype == np.float32
    outside = np.broadcast_to(mask == 0, hdr.shape)
    assert np.array_equal(found[outside], hdr[outside])
    assert (found != hdr).mean() > 0.1
    assert np.array_equal(merged(bt1886_eotf(sdr32), sdr32, hdr), hdr)  # nothing brighter was found
    dark = sdr32 * np.float32(0.5)
    assert merge_highlights(hdr, dark, light32, overexposure_mask(dark)) is hdr


def test_peak_is_approached_and_not_passed():
    light, sdr = blob(peak=40.0)
    hdr = hdr_of(sdr)
    found = pq_eotf(merged(light, sdr, hdr, peak=1000.0))
    assert 990 < found.max() <= 1000 + 1e-6
    faint = merged(1 + (light - 1) * 1e-4, sdr, hdr, peak=1000.0)
    np.testing.assert_allclose(faint, merged(1 + (light - 1) * 1e-4, sdr, hdr), atol=1e-5)
    above = pq_inverse_eotf(pq_eotf(hdr) * 10)  # brighter than the peak already: left alone
    assert np.array_equal(merged(light, sdr, above, peak=1000.0)[..., 30, 45], above[..., 30, 45])


def test_a_frame_clipped_throughout_and_tiny_ones():
    for shape in ((1, 3, 5, 7), (1, 3, 1, 1), (1, 3, 2, 33)):
        sdr = np.ones(shape)
        found = merged(2 * np.ones(shape), sdr)
        np.testing.assert_allclose(luminance(pq_eotf(found), "bt2020"), 2 * GAIN, rtol=1e-6)
    black = np.zeros((1, 3, 4, 4))
    ratio = rim_ratio(black, black, black[:, :1], black[:, :1])
    np.testing.assert_allclose(ratio, 203)


def test_ratio_is_that_of_the_nearest_rim():
    signal = np.full((1, 1, 64, 256), 0.9)
    mask = np.zeros_like(signal)
    mask[..., 20:44, 20:44] = mask[..., 20:44, 200:224] = 1
    light = np.broadcast_to(bt1886_eotf(signal), (1, 3, 64, 256))
    gain = np.where(np.arange(256) < 128, 200.0, 500.0)
    ratio = rim_ratio(light * gain, light, signal, mask)
    np.testing.assert_allclose(ratio[0, 0, 32, 32], 200, rtol=0.02)
    np.testing.assert_allclose(ratio[0, 0, 32, 212], 500, rtol=0.02)


def test_torch_is_numpy():
    light, sdr = blob(height=37, width=50)
    expected = merged(light, sdr, peak=1000.0)
    found = merged(torch.from_numpy(light), torch.from_numpy(sdr), torch.from_numpy(hdr_of(sdr)), peak=1000.0)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
