"""HDCFM + MFI: HDCFM before training, a video network after."""

from __future__ import annotations

import pytest
import torch

from vs_hdrtv.networks import registry
from vs_hdrtv.networks.hdcfm import HDCFM
from vs_hdrtv.networks.hdcfm_mfi import HDCFMMFI

SMALL = {"channels": 32, "dropout": 0.0}


def frames(height=33, width=39, n=1):
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(n, 3, height, width, generator=generator) for _ in range(3)]


def test_parameters():
    # HDCFM; P, Q and V of 32 channels, the fusion and the gate of 128 features.
    network = registry.create("hdcfm_mfi")
    assert isinstance(network, HDCFMMFI)
    assert sum(each.numel() for each in network.parameters()) == 100_682 + 3 * 32 * 129 + 128 * 65 + 128 * 129 == 137_898


@pytest.mark.parametrize("size", [(32, 32), (45, 70)])
def test_before_training_it_is_hdcfm_with_hdcfms_weights(size):
    torch.manual_seed(0)
    image, video = HDCFM(**SMALL).eval(), HDCFMMFI(**SMALL).eval()
    found = video.load_state_dict(image.state_dict(), strict=False)
    assert not found.unexpected_keys
    assert all(key.startswith("interaction.") for key in found.missing_keys)
    previous, current, following = frames(*size)
    with torch.no_grad():
        assert torch.equal(video(previous, current, following), image(current))


def test_both_neighbours_count(shaken):
    network = shaken(HDCFMMFI(**SMALL), 0.1)
    previous, current, following = frames(64, 70)
    with torch.no_grad():
        result = network(previous, current, following)
        assert (network(previous.square(), current, following) - result).abs().max() > 1e-6
        assert (network(previous, current, following.square()) - result).abs().max() > 1e-6


def test_windows_of_a_batch_do_not_meet(shaken):
    network = shaken(HDCFMMFI(**SMALL))
    window = frames(n=2)
    with torch.no_grad():
        torch.testing.assert_close(network(*window)[1:], network(*(each[1:] for each in window)))


def test_gradients_reach_the_interaction(shaken):
    network = shaken(HDCFMMFI(**SMALL)).train()
    network(*frames(64, 70)).square().mean().backward()
    for name, parameter in network.interaction.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_onnx_runtime_gives_the_same(exported, shaken):
    # Without the DDFs and context blocks, which take long to export: HDCFM's own export has them.
    network = shaken(HDCFMMFI(**SMALL, transformation=False, context=False))
    window = frames(64, 70)
    _, found = exported(network, window)
    with torch.no_grad():
        torch.testing.assert_close(found, network(*window), rtol=1e-4, atol=1e-5)


def test_all_three_frames_as_a_scene_of_three_has_them(shaken):
    network = shaken(HDCFMMFI(**SMALL), 0.1).eval()
    one, two, three = frames()
    with torch.no_grad():
        every = network.all_frames(one, two, three)
        assert every.shape == (len(one), 3, *one.shape[1:])
        for index, window in enumerate(((one, one, two), (one, two, three), (two, three, three))):
            torch.testing.assert_close(every[:, index], network(*window))
