"""FCPM: size, what it starts as, exposures, and how far what it carries goes."""

from __future__ import annotations

import pytest
import torch

from vs_hdrtv.color.transfer import bt1886_eotf, bt1886_inverse_eotf
from vs_hdrtv.networks import registry
from vs_hdrtv.networks.fcpm import FCPM, Combination, halved

SIZE = (64, 80)
STILL = torch.zeros(1, 2, *SIZE)
KEYS = (0, 1, 0, 1, 0)


def frame(seed=2, n=1):
    return 0.1 + 0.8 * torch.rand(n, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def fresh():
    torch.manual_seed(1)
    return FCPM(8)


@pytest.fixture
def network(shaken):
    torch.manual_seed(1)
    return shaken(FCPM(8))


def run(network, frames, keyframes, keys=KEYS, still=STILL):
    """A segment without motion."""
    count = len(frames)
    return network(frames, keyframes, [keys] * count, [[still] * 5] * count, [still] * (count - 1), [still] * (count - 1))


def test_parameters():
    network = registry.create("fcpm")
    assert isinstance(network, FCPM)
    assert sum(parameter.numel() for parameter in network.parameters()) == 222_752


def test_it_starts_as_the_mean_of_the_key_frames(fresh):
    sdr = frame()
    light = bt1886_eotf(sdr)
    a, b = light.clone(), light.clone()
    a[..., :20], b[..., :20] = 2.0, 3.0  # recovered differently where the frame clips
    sdr[..., :20] = 1.0
    with torch.no_grad():
        found = run(fresh, [sdr] * 2, [a, b])
    assert found.shape == (1, 2, 3, *SIZE)
    assert abs(found[..., 4:16].mean() - (3 * 2.0 + 2 * 3.0) / 5) < 0.05
    torch.testing.assert_close(found[:, 0, ..., 20:], light[..., 20:], rtol=0.02, atol=2e-3)


def test_key_frames_come_in_the_frames_exposure(fresh):
    light = bt1886_eotf(frame())
    sdr = bt1886_inverse_eotf(0.5 * light)
    with torch.no_grad():
        found = run(fresh, [sdr], [light, 0.25 * light])
    torch.testing.assert_close(found[:, 0], 0.5 * light, rtol=0.1, atol=5e-3)


def test_a_key_frame_that_the_flow_leaves_has_no_weight(fresh):
    sdr = frame()
    light, away = bt1886_eotf(sdr), STILL + 500
    wrong = light.flip(3)
    with torch.no_grad():
        found = fresh.merge(sdr, light, *[wrong] * 4, STILL, *[away] * 4)
        nothing = fresh.merge(sdr, *[wrong] * 5, *[away] * 5)
    torch.testing.assert_close(found, light, rtol=0.05, atol=5e-3)
    assert torch.equal(nothing, light)  # the frame's own


def test_masks_add_up_to_one(network):
    sdr = frame()
    light = bt1886_eotf(sdr)
    with torch.no_grad():
        found = network.merge(sdr, *[light] * 5, *[STILL] * 5)
    torch.testing.assert_close(found, light, rtol=0.02, atol=1e-3)


def test_a_pixels_square_becomes_channels():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert halved(x)[0, :, 0, 1].tolist() == [2.0, 3.0, 6.0, 7.0]


def test_the_combination_is_local_dilated_and_global(shaken):
    torch.manual_seed(1)
    block = shaken(Combination(4, 8), 0.2)
    x = torch.rand(1, 4, 48, 48, generator=torch.Generator().manual_seed(3))
    changed = x.clone()
    changed[..., 24, 24] += 1
    with torch.no_grad():
        local = (block.local(changed) - block.local(x)).abs().amax((0, 1)) > 0
        dilated = (block.dilated(changed) - block.dilated(x)).abs().amax((0, 1)) > 0
        whole = (block(changed) - block(x)).abs().amax((0, 1)) > 0
    assert local[22:27, 22:27].any() and not local[24, 27:].any()
    assert dilated[24, 24 + 6] and not dilated[24, 24 + 7 :].any()
    assert whole[0, 0] and whole[-1, -1]


def test_everything_reaches_every_frame_of_the_segment(network):
    frames, light = [frame(seed) for seed in range(4)], bt1886_eotf(frame(9))
    for changed in (0, 3):
        others = [each.clone() for each in frames]
        others[changed][..., 30:40, 30:40] = 0.2
        with torch.no_grad():
            off = (run(network, others, [light, light]) - run(network, frames, [light, light])).abs().amax((0, 2, 3, 4))
        assert (off > 0).all()


def test_states_are_warped(network):
    state = torch.rand(1, 8, 32, 40, generator=torch.Generator().manual_seed(3))
    light = bt1886_eotf(frame())
    step = network.part("backward")
    with torch.no_grad():
        moved = step(light, light, state, STILL + torch.tensor([4.0, -2.0]).reshape(1, 2, 1, 1))
        expected = step(light, light, torch.roll(state, (1, -2), (2, 3)), STILL)  # half the size, half as far
    inner = (..., slice(8, -8), slice(8, -8))
    torch.testing.assert_close(moved[inner], expected[inner], rtol=0.05, atol=0.05)
    assert (moved - step(light, light, state, STILL))[inner].abs().mean() > (moved - expected)[inner].abs().mean() * 5


def test_gradients_reach_every_parameter(network):
    frames = [frame(seed) for seed in range(3)]
    keys = [bt1886_eotf(frame(7)), bt1886_eotf(frame(8))]
    run(network, frames, keys).square().mean().backward()
    missing = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.abs().max() > 0]
    assert not missing
