"""Patch discriminators: what a score sees."""

import pytest
import torch

from vs_hdrtv.networks.discriminator import ClipPatchDiscriminator, PatchDiscriminator


def seen(network, picture, score):
    """Extent of the input that one score depends on, for each of the last dimensions of `picture`."""
    torch.manual_seed(0)
    for layer in list(network.layers):
        if "InstanceNorm" in type(layer).__name__:  # looks at the whole picture, for its mean and deviation
            network.layers[list(network.layers).index(layer)] = torch.nn.Identity()
    picture.requires_grad_()
    network(picture)[score].backward()
    places = picture.grad.nonzero()
    return tuple((places.max(dim=0).values - places.min(dim=0).values + 1).tolist())


def test_a_score_of_a_picture_sees_34_pixels():
    assert PatchDiscriminator(4)(torch.rand(2, 4, 32, 40)).shape == (2, 1, 6, 8)
    assert seen(PatchDiscriminator(4), torch.rand(1, 4, 64, 64), (0, 0, 7, 7)) == (1, 4, 34, 34)


def test_a_score_of_a_clip_sees_nine_frames_of_34_pixels():
    assert ClipPatchDiscriminator(4)(torch.rand(2, 5, 3, 32, 40)).shape == (2, 1, 5, 6, 8)
    assert seen(ClipPatchDiscriminator(4), torch.rand(1, 11, 3, 64, 64), (0, 0, 5, 7, 7)) == (1, 9, 3, 34, 34)


@pytest.mark.parametrize("size", [16, 17])
def test_smallest(size):
    assert ClipPatchDiscriminator(2, inputs=4)(torch.rand(1, 1, 4, size, size)).shape == (1, 1, 1, 2, 2)


def test_a_score_does_not_depend_on_the_other_clips():
    torch.manual_seed(0)
    network = ClipPatchDiscriminator(4)
    clips = torch.rand(2, 3, 3, 16, 16)
    torch.testing.assert_close(network(clips)[:1], network(clips[:1]))
