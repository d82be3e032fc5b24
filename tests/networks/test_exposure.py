"""The camera curve, and the exposure of one frame told from another's."""

from __future__ import annotations

import math

import pytest
import torch

from vs_hdrtv.color.transfer import bt1886_eotf, pq_inverse_eotf
from vs_hdrtv.networks.exposure import agreement, code_of_light, code_of_signal, gain, gain_around, light_of_code, signal_of_code

EVERYWHERE = torch.ones(1, 1, 32, 48)


def picture(low=0.1, high=0.8, n=1):
    return low + (high - low) * torch.rand(n, 3, 32, 48, generator=torch.Generator().manual_seed(4))


def test_codes_are_light_to_the_power_of_one_by_two_point_two():
    signal = torch.tensor([0.0, 0.2, 0.5, 1.0])
    code = code_of_signal(signal)
    torch.testing.assert_close(code[1:], bt1886_eotf(signal[1:]) ** (1 / 2.2))
    torch.testing.assert_close(signal_of_code(code), signal)
    light = torch.tensor([1e-4, 0.3, 7.0])
    torch.testing.assert_close(light_of_code(code_of_light(light)), light)


def test_black_has_a_slope_in_pq():
    code = torch.tensor([-0.5, 0.0, 0.5], requires_grad=True)
    pq_inverse_eotf(light_of_code(code)).sum().backward()
    assert torch.isfinite(code.grad).all()
    light = torch.tensor([0.0, 0.5], requires_grad=True)
    code_of_light(light).sum().backward()
    assert torch.isfinite(light.grad).all()


@pytest.mark.parametrize("factor", [0.4, 1.0, 1.2])
def test_gain_is_the_ratio_of_the_signals(factor):
    sdr = picture()
    found = gain(sdr, factor * sdr, EVERYWHERE)
    assert found.shape == (1, 1, 1, 1)
    assert abs(found.item() * factor - 1) < 0.03


def test_what_clips_or_is_not_there_does_not_count():
    sdr, other = picture(), 0.5 * picture()
    whole = gain(sdr, other, EVERYWHERE).item()
    sdr[..., :10] = 1  # over-exposed in the one
    other[..., 10:20] = 0  # black in the other
    inside = EVERYWHERE.clone()
    inside[..., 30:] = 0
    other[..., 30:] = 0.9
    assert abs(gain(sdr, other, inside).item() / whole - 1) < 0.03
    assert gain(sdr, other, 0 * inside).item() == 1


def test_gain_without_anything_in_common_is_bounded_and_has_no_gradient():
    white, black = torch.ones(1, 3, 32, 48), torch.zeros(1, 3, 32, 48, requires_grad=True)
    found = gain(white, black, EVERYWHERE)
    assert 1 <= found.item() <= 4
    assert not found.requires_grad


def compared(own, other, inside=EVERYWHERE):
    masks = [(each.amax(1, keepdim=True) >= 1).float() for each in (own, other)]
    return agreement(own, other, *masks, inside)


def test_agreement_is_one_for_the_same_and_falls_with_what_is_off():
    code = picture()
    assert torch.equal(compared(code, code), torch.ones(1, 1, 32, 48))
    found = [compared(code, code + off).mean().item() for off in (0.02, 0.05, 0.1, 0.3)]
    assert found == sorted(found, reverse=True)
    assert abs(found[2] - math.exp(-1)) < 0.15  # `DIFFERENT`; the evidence of clipped pixels counts beside
    assert found[3] < 0.01


def test_a_clipped_pixel_fits_what_is_brighter_and_contradicts_what_is_darker():
    code = 0.5 * torch.ones(1, 3, 32, 48)
    code[..., 8:24, 8:32] = 1
    middle = (..., slice(13, 19), slice(13, 27))
    brighter, darker = code.clone(), code.clone()
    brighter[..., 8:24, 8:32] = 2.5
    darker[..., 8:24, 8:32] = 0.5
    assert agreement(code, brighter, (code >= 1)[:, :1].float(), 0 * EVERYWHERE, EVERYWHERE)[middle].min() > 0.99
    assert compared(code, darker)[middle].max() < 0.01
    assert compared(darker, code)[middle].max() < 0.01  # the other way round: the reference is clipped where the frame is not
    surroundings = torch.where(code < 1, 0.1, brighter)
    assert agreement(code, surroundings, (code >= 1)[:, :1].float(), 0 * EVERYWHERE, EVERYWHERE)[middle].max() < 0.2


def test_what_is_outside_tells_nothing_and_there_is_no_gradient():
    code, inside = picture(), EVERYWHERE.clone()
    inside[..., 20:] = 0
    other = code.clone().requires_grad_()
    with torch.no_grad():
        other[..., 20:] = 0.9
    found = compared(code, other, inside)
    assert torch.equal(found, torch.ones(1, 1, 32, 48))
    assert not found.requires_grad
    assert torch.isfinite(compared(code, other, 0 * EVERYWHERE)).all()


@pytest.mark.parametrize("factor", [0.4, 1.0, 1.2])
def test_gain_around_is_the_ratio_and_follows_the_rim_of_what_is_clipped(factor):
    sdr = picture()
    found = gain_around(sdr, factor * sdr, EVERYWHERE)
    assert found.shape == (1, 1, 32, 48)
    torch.testing.assert_close(found * factor, torch.ones(1, 1, 32, 48), rtol=0.05, atol=0)
    # Two halves, the right one twice as bright in the frame; what is clipped in it takes its neighbours' ratio.
    sdr, other = 0.4 * torch.ones(1, 3, 64, 128), 0.3 * torch.ones(1, 3, 64, 128)
    sdr[..., 64:] = 0.8
    sdr[..., 20:40, 100:120] = 1
    around = gain_around(sdr, other, torch.ones(1, 1, 64, 128))
    assert abs(around[..., 28:32, 108:112].mean() / (0.8 / 0.3) - 1) < 0.12
    assert abs(around[..., 30, 10] / (0.4 / 0.3) - 1) < 0.35
    assert not around.requires_grad


def test_gain_around_without_anything_in_common_is_bounded():
    white, black = torch.ones(1, 3, 32, 48), torch.zeros(1, 3, 32, 48)
    for pair in ((white, black), (black, white)):
        found = gain_around(*pair, EVERYWHERE)
        assert 0.25 <= found.min() <= found.max() <= 4
    assert torch.isfinite(gain_around(white, black, 0 * EVERYWHERE)).all()
