"""What networks do to light: the change of the BT.2408 mapping."""

from __future__ import annotations

import math

import pytest
import torch

from vs_hdrtv.color.gamut import luminance
from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.color.transfer import pq_eotf
from vs_hdrtv.networks.light import changed

COLOR = torch.tensor([0.7, 0.5, 0.4]).reshape(1, 3, 1, 1)


def change(gain=0.0, saturation=0.0, turn=0.0, size=(1, 1)):
    return torch.tensor([gain, saturation, turn]).reshape(1, 3, 1, 1).expand(1, 3, *size).clone()


def light(sdr, by):
    return pq_eotf(changed(sdr.double(), by.double()))


def test_no_change_is_bt2408():
    sdr = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(changed(sdr, torch.zeros_like(sdr)), bt2408(sdr), atol=2e-4, rtol=0)


def test_gain_is_in_stops_and_leaves_chromaticity():
    ratio = light(COLOR, change(gain=1.5)) / light(COLOR, change())
    torch.testing.assert_close(ratio, torch.full_like(ratio, 2**1.5), rtol=1e-6, atol=0)


def test_saturation_multiplies_the_distance_from_grey_of_the_same_luminance():
    before, after = light(COLOR, change()), light(COLOR, change(saturation=math.log(0.5)))
    grey = luminance(before, "bt2020")
    torch.testing.assert_close(after - grey, 0.5 * (before - grey))


def test_turn_leaves_luminance_and_goes_both_ways():
    before = light(COLOR, change())
    turned = [light(COLOR, change(turn=turn)) for turn in (0.2, -0.2)]
    for each in turned:
        torch.testing.assert_close(luminance(each, "bt2020"), luminance(before, "bt2020"))
    torch.testing.assert_close(turned[0] + turned[1], 2 * before)
    assert (turned[0] - turned[1]).abs().max() > 1


@pytest.mark.parametrize("by", [(3.0, 0.5, 2.0), (-20.0, 5.0, -9.0), (20.0, -9.0, 0.3)])
def test_grey_stays_grey_and_black_black(by):
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 1, 256)
    hdr = changed(ramp, change(*by, size=(1, 256)))
    assert torch.isfinite(hdr).all()
    assert float((hdr.amax(1) - hdr.amin(1)).max()) < 1e-4
    assert float(hdr[..., 0].max()) < 0.5 / 1023


@pytest.mark.parametrize("gain", [4.0, 60.0, float("inf")])
def test_gain_is_held(gain):
    assert float(light(torch.ones(1, 3, 1, 1), change(gain=gain)).max()) == pytest.approx(203 * 2**3.3, rel=1e-4)


def test_half_precision_is_decoded_in_single():
    sdr = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).half()
    by = change(0.5, 0.1, 0.1, size=(16, 16))
    found = changed(sdr, by.half())
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), changed(sdr.float(), by), atol=2e-3, rtol=0)


def test_gradients_are_finite_at_the_ends():
    sdr = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [1 / 255, 0.0, 0.0]]).T.reshape(
        1, 3, 1, 5
    )
    by = change(0.3, 0.4, 0.2, size=(1, 5)).requires_grad_()
    changed(sdr, by).sum().backward()
    assert torch.isfinite(by.grad).all()
    assert float(by.grad[0, 0, 0, 1]) > 0  # more gain, more light
