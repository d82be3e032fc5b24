"""The flow network and what it is made of."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vs_hdrtv.networks import flow, parts, registry
from vs_hdrtv.networks.warping import warp


def texture(height=96, width=128, seed=0):
    """Light (1, 3, H, W), smooth enough for slopes, different everywhere."""
    generator = torch.Generator().manual_seed(seed)
    cells = (torch.rand(1, 3, side, side + 2, generator=generator) for side in (5, 10, 20))
    return sum(functional.interpolate(each, (height, width), mode="bicubic") for each in cells).clamp(min=0.05) / 3


def coded(light, gain):
    return (gain * light).clamp(0, 1) ** (1 / 2.2)


def moved(light, x, y):
    """The reference in which everything lies (x, y) further on."""
    return warp(light, torch.tensor([-x, -y]).reshape(1, 2, 1, 1).expand(1, 2, *light.shape[-2:]))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return registry.create("flow").eval().requires_grad_(False)


def test_correlation_names_its_ways():
    one, other = functional.normalize(torch.randn(2, 6, 9, 11), dim=1), torch.zeros(2, 6, 9, 11)
    dx, dy = 2, -1
    other[:, :, 0:8, 2:] = one[:, :, 1:9, :-2]  # what is at (y, x) lies at (y + dy, x + dx)
    found = flow.correlation(one, other)
    assert found.shape == (2, flow.SIDE**2, 9, 11)
    channel = flow.SIDE * (dx + flow.RADIUS) + dy + flow.RADIUS
    torch.testing.assert_close(found[:, channel, 1:, :-2], torch.full((2, 8, 9), 2.0))
    assert (found.argmax(1)[:, 1:, :-2] == channel).all()
    assert (found[:, channel, 0] == 0).all()  # outside


def test_surroundings_know_no_level_and_little_noise():
    picture = texture(24, 24)
    found = flow.described(picture)
    assert found.shape == (1, flow.PATCH**2, 24, 24)
    torch.testing.assert_close(found, flow.described(picture + 0.3), atol=1e-4, rtol=0)
    assert found.square().sum(1).mean() > 0.5
    noise = 0.5 + 0.003 * torch.randn(1, 3, 24, 24)
    assert flow.described(noise).square().sum(1).max() < 0.2


def test_the_offsets_are_those_of_the_correlation(network):
    dx, dy = 2, -1
    offset = network.estimator.offsets[:, flow.SIDE * (dx + flow.RADIUS) + dy + flow.RADIUS].flatten()
    assert offset.tolist() == [dx, dy]


@pytest.mark.parametrize(("x", "y"), [(0.4, 0.0), (-0.3, 0.5)])
def test_a_gradient_step_finds_a_part_of_a_pixel(x, y):
    picture = texture(48, 48)
    # Colours in steps large enough that the damping does not matter.
    found = flow.gradient_step(5 * picture, 5 * moved(picture, x, y), torch.ones(1, 1, 48, 48))
    inner = found[..., 8:-8, 8:-8].mean((0, 2, 3))
    torch.testing.assert_close(inner, torch.tensor([x, y]), atol=0.12, rtol=0)


def test_a_gradient_step_looks_at_what_counts_alone():
    one, other, weight = texture(32, 32), moved(texture(32, 32), 0.4, 0.0), torch.ones(1, 1, 32, 32)
    weight[..., :16] = 0
    other_left = other.clone()
    other_left[..., :15] = 1.0  # its slopes reach one pixel further
    torch.testing.assert_close(flow.gradient_step(one, other_left, weight), flow.gradient_step(one, other, weight))
    assert (flow.gradient_step(one, other, 0 * weight) == 0).all()


@pytest.mark.parametrize(("gain", "other"), [(1.0, 1.0), (1.0, 0.25), (0.3, 1.2)])
def test_untrained_it_follows_slopes_at_any_exposure(network, gain, other):
    light = texture()
    frame, reference = coded(light, gain), coded(moved(light, 3.0, -2.0), other)
    found = network(frame, reference)
    assert found.shape == (1, 2, 96, 128)
    error = (found - torch.tensor([3.0, -2.0]).reshape(1, 2, 1, 1)).square().sum(1).sqrt()[..., 16:-16, 16:-16]
    assert error.mean() < 0.6 * 13**0.5  # half the way and more, by pixels' slopes alone


@pytest.mark.parametrize("size", [(32, 32), (33, 70), (64, 130)])
def test_sizes(network, size):
    frames = torch.rand(2, 2, 3, *size).unbind(0)
    assert network(*frames).shape == (2, 2, *size)
    sides = [-(-side // flow.MULTIPLE) for side in size]
    levels = network.all_levels(*frames)
    assert [tuple(each.shape[-2:]) for each in levels] == [(sides[0] * k, sides[1] * k) for k in (1, 2, 4, 8, 16)]


def test_levels_are_in_pixels_of_the_frame(network):
    frames = torch.rand(2, 1, 3, 64, 64).unbind(0)
    finest = network.all_levels(*frames)[-1]
    torch.testing.assert_close(network(*frames), functional.interpolate(finest, scale_factor=4.0, mode="bilinear"))


def test_half_precision_gives_places_in_single(network):
    half = registry.create("flow").eval().requires_grad_(False)
    half.load_state_dict(network.state_dict())
    frames = torch.rand(2, 1, 3, 64, 64).unbind(0)
    found = half.bfloat16()(*(each.bfloat16() for each in frames))
    assert found.dtype == torch.float32
    assert (found - network(*frames)).abs().mean() < 0.3 * network(*frames).abs().mean()


def test_every_parameter_learns():
    learning = registry.create("flow")
    levels = learning.all_levels(*torch.rand(2, 2, 3, 64, 128).unbind(0))
    sum(each.square().mean() for each in levels).backward()
    still = [name for name, each in learning.named_parameters() if each.grad is None or not each.grad.abs().max() > 0]
    assert still == []


def test_what_it_reads():
    (part,) = parts.of("flow").values()
    assert (list(part.reads), part.writes, part.statistics) == (["sdr", "reference"], "flow", ())
