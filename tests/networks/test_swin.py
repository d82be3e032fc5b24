"""Swin blocks: windows, their shift, and that nothing outside the map is looked at."""

from __future__ import annotations

import pytest
import torch

from vs_hdrtv.networks import swin
from vs_hdrtv.networks.swin import SwinBlock, extended, map_of, windows_of


def picture(height, width, channels=8, n=1):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def blocks(shaken):
    """Plain and shifted."""
    torch.manual_seed(1)
    return {shifted: shaken(SwinBlock(8, shifted=shifted), 0.2).requires_grad_(False) for shifted in (False, True)}


@pytest.fixture
def run(blocks):
    """`run(x, shifted)`: a block on a map of any size."""
    return lambda x, shifted: blocks[shifted](*extended(x))[:, :, : x.shape[2], : x.shape[3]]


def test_windows_by_hand():
    x = torch.arange(16 * 24.0).reshape(1, 1, 16, 24)
    windows = windows_of(x)
    assert windows.shape == (1, 2, 3, 64, 1)
    assert windows[0, 1, 2, :9, 0].tolist() == [*(8 * 24 + 16 + column for column in range(8)), 9 * 24 + 16]
    assert torch.equal(map_of(windows), x)


@pytest.mark.parametrize("shifted", [False, True])
def test_a_window_looks_at_its_own_places_alone(run, shifted):
    x = picture(16, 24)
    changed = x.clone()
    changed[:, 0, 9, 13] += 1  # not of all channels alike, which LayerNorm takes out
    moved = (run(changed, shifted) != run(x, shifted)).any(1)[0]
    expected = torch.zeros(16, 24, dtype=torch.bool)
    expected[(slice(4, 12) if shifted else slice(8, 16)), (slice(12, 20) if shifted else slice(8, 16))] = True
    assert not moved[~expected].any()
    assert moved[expected].float().mean() > 0.9


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("size", [(4, 5), (8, 8), (9, 17)])
def test_what_extends_the_map_is_not_seen(blocks, size, shifted):
    x = picture(*size, n=2)
    whole, unseen = extended(x)
    assert (unseen == 0).sum() == size[0] * size[1]
    inside = (..., slice(size[0]), slice(size[1]))
    expected = blocks[shifted](whole, unseen)[inside]
    other = whole + picture(*whole.shape[2:]) * (unseen < 0)
    torch.testing.assert_close(blocks[shifted](other, unseen)[inside], expected, rtol=0, atol=1e-6)
    assert (expected - blocks[shifted](whole, torch.zeros_like(unseen))[inside]).abs().max() > 1e-3 or size == (8, 8)


def test_relative_positions(shaken):
    block = shaken(SwinBlock(8), 0.2)
    apart = block.attention.apart.reshape(64, 64)
    side = 2 * swin.WINDOW - 1
    assert apart[0, 0] == apart[63, 63] == side * 7 + 7
    assert apart[9, 0] - apart[0, 0] == side + 1  # one row and one column further
    x = picture(8, 8)
    before = block(*extended(x))
    with torch.no_grad():
        block.attention.bias[:, side * 7 + 8] += 3  # of the place to the left
    moved = (block(*extended(x)) - before).abs().amax((0, 1, 2))
    assert moved[0] < 1e-6 < moved[1]


@pytest.mark.parametrize("shifted", [False, True])
def test_gradients_reach_every_parameter(shifted):
    torch.manual_seed(1)
    block = SwinBlock(8, shifted=shifted)
    block(*extended(picture(9, 17))).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in block.parameters())
