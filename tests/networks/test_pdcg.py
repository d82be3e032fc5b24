"""PDCG: mask, blend, what it must leave alone, size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vs_hdrtv.color.overexposure import overexposure_mask
from vs_hdrtv.networks import registry
from vs_hdrtv.networks.discriminator import PatchDiscriminator
from vs_hdrtv.networks.pdcg import PDCG


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return PDCG(32).eval()


def pictures(height, width, n=1):
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(n, 3, height, width, generator=generator) for _ in range(2)]


def test_mask_by_hand():
    # clamp((max - 0.95) / 0.05, 0, 1): the largest channel decides.
    pixels = np.array([[0.2, 0.95, 0.1], [0.96, 0.0, 0.3], [0.1, 0.2, 0.975], [1.0, 1.0, 1.0], [1.2, 0.0, 0.0], [np.nan] * 3])
    expected = [0.0, 0.2, 0.5, 1.0, 1.0, 0.0]
    sdr = pixels.T.reshape(1, 3, 1, 6)
    for array in (sdr, torch.from_numpy(sdr)):
        mask = np.asarray(overexposure_mask(array))
        assert mask.shape == (1, 1, 1, 6)
        np.testing.assert_allclose(mask[0, 0, 0], expected, atol=1e-12)
    # Other thresholds: (0.96 - 0.9) / 0.1.
    np.testing.assert_allclose(overexposure_mask(sdr, 0.9)[0, 0, 0, 1], 0.6, atol=1e-12)


def test_the_mask_is_zero_up_to_the_threshold_in_single_precision():
    assert float(overexposure_mask(np.full((1, 3, 1, 1), 0.95, np.float32))[0, 0, 0, 0]) == 0
    above = np.nextafter(np.float32(0.95), np.float32(1))
    assert float(overexposure_mask(np.full((1, 3, 1, 1), above))[0, 0, 0, 0]) > 0


@pytest.mark.parametrize("size", [(32, 32), (33, 39), (45, 70), (64, 48)])
def test_any_size(network, size):
    hdr, sdr = pictures(*size)
    with torch.no_grad():
        result = network(hdr, sdr)
    assert result.shape == (1, 3, *size)
    assert torch.isfinite(result).all()


def test_sizes_that_eight_does_not_divide_are_extended_by_their_edges(network):
    hdr, _ = pictures(37, 43)
    mask = torch.rand(1, 1, 37, 43)
    wide_hdr, wide_mask = (torch.nn.functional.pad(each, (0, 5, 0, 3), mode="replicate") for each in (hdr, mask))
    with torch.no_grad():
        torch.testing.assert_close(network.generate(hdr, mask), network.generate(wide_hdr, wide_mask)[:, :, :37, :43])


def test_only_pixels_of_the_mask_change(network):
    hdr, sdr = pictures(41, 53)
    hdr[0, 0, 0, 0] = -0.01  # networks do give negative PQ
    sdr[:, :, 0, 0] = 0.5
    with torch.no_grad():
        result = network(hdr, sdr)
    outside = (overexposure_mask(sdr) == 0).expand_as(hdr)
    assert 0.5 < outside.float().mean() < 0.95
    assert result[outside].numpy().tobytes() == hdr[outside].numpy().tobytes()
    assert (result[~outside] != hdr[~outside]).float().mean() > 0.99


def test_the_blend_is_equation_3(network):
    hdr, sdr = pictures(32, 32)
    sdr = 0.9 + 0.1 * sdr
    mask = overexposure_mask(sdr)
    with torch.no_grad():
        expected = network.generate(hdr, mask) * mask + hdr * (1 - mask)
        torch.testing.assert_close(network(hdr, sdr), expected)
        sdr[:] = 1
        assert torch.equal(network(hdr, sdr), network.generate(hdr, torch.ones(1, 1, 32, 32)))


def test_pictures_of_a_batch_do_not_meet(network):
    hdr, sdr = pictures(32, 40, n=2)
    with torch.no_grad():
        both = network(hdr, sdr)
        torch.testing.assert_close(both[1:], network(hdr[1:], sdr[1:]))


def test_gradients_are_finite_and_reach_every_convolution():
    torch.manual_seed(1)
    network = PDCG(32)
    hdr, sdr = pictures(40, 40)
    network(hdr, 0.8 + 0.25 * sdr).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # The filters' own small branches may be off behind a ReLU.
        assert parameter.grad.any() or "filter" in name or "context" in name, name


def test_nothing_is_learnt_where_nothing_is_overexposed():
    network = PDCG(32)
    hdr, sdr = pictures(32, 32)
    network(hdr, 0.9 * sdr).sum().backward()
    assert not any(parameter.grad.any() for parameter in network.parameters())


def test_parameters():
    # By hand, C = 64. DDF of c channels, h = int(0.2 c) hidden: spatial 9 (c + 1), channel h (c + 1) + 9 c (h + 1).
    def ddf(c):
        hidden = int(0.2 * c)
        return 9 * (c + 1) + hidden * (c + 1) + 9 * c * (hidden + 1)

    context = 16 * 65 + 2 * ddf(16) + 2 * 16 + 64 * 17
    conv = 64 * (9 * 64 + 1)
    expected = 64 * (9 * 4 + 1) + 2 * conv + 16 * (ddf(64) + context + conv) + 2 * conv + 3 * (9 * 64 + 1)
    network = registry.create("pdcg")
    assert isinstance(network, PDCG)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected == 943_827


def test_discriminator_scores_patches_of_34_pixels():
    torch.manual_seed(1)
    discriminator = PatchDiscriminator(8).eval()
    x = torch.rand(1, 4, 64, 72, requires_grad=True)
    assert discriminator(x).shape == (1, 1, 14, 16)
    # Without the normalisation, which sees the whole picture, the gradient of one score is its patch.
    plain = torch.nn.Sequential(*(each for each in discriminator.layers if not isinstance(each, torch.nn.InstanceNorm2d)))
    plain(x)[0, 0, 7, 8].backward()
    rows, columns = (x.grad.abs().sum(axes).nonzero() for axes in ((0, 1, 3), (0, 1, 2)))
    assert (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1) == (34, 34)
