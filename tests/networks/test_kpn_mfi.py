"""KPN-MFI: the interaction, the kernels, what the network starts as."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional

from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import kpn_mfi, registry
from vs_hdrtv.networks.blocks import area_matrix
from vs_hdrtv.networks.kpn_mfi import KPNMFI, MultiFrameInteraction


def maps(*shape, count=3):
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(shape, generator=generator) for _ in range(count)]


def frames(height=33, width=39, n=1):
    generator = torch.Generator().manual_seed(3)
    return [torch.rand(n, 3, height, width, generator=generator) for _ in range(3)]


@pytest.fixture
def network(shaken):
    torch.manual_seed(1)
    return shaken(KPNMFI(8, (1, 1, 1, 1, 1)))


def test_parameters():
    network = registry.create("kpn_mfi")
    assert isinstance(network, KPNMFI)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_921_381
    # Without: P, Q and V, the fusion and the gate, of 64 channels each.
    mfi = 3 * 64 * 65 + 64 * 129 + 64 * 65
    assert sum(parameter.numel() for parameter in KPNMFI(interaction=False).parameters()) == 1_921_381 - mfi


def test_linear_form_is_the_direct_one():
    # Equations 4 and 5, position by position, over the number of positions.
    p, q, v = (each.double() for each in maps(2, 5, 4, 6))
    flat_p, flat_q, flat_v = (each.flatten(2).transpose(1, 2) for each in (p, q, v))  # (N, m, C)
    lengths = flat_p.norm(dim=2)[:, :, None] * flat_q.norm(dim=2)[:, None]
    cosines = (flat_p @ flat_q.transpose(1, 2)) / lengths  # (N, m, m)
    direct = (cosines @ flat_v / 24).transpose(1, 2).reshape(2, 5, 4, 6)
    torch.testing.assert_close(MultiFrameInteraction.interaction(p, q, v), direct)


def test_interaction_does_not_grow_with_the_frame():
    small = maps(1, 5, 4, 6)
    wide = [each.repeat(1, 1, 3, 2) for each in small]
    result = MultiFrameInteraction.interaction(*small)
    torch.testing.assert_close(MultiFrameInteraction.interaction(*wide), result.repeat(1, 1, 3, 2))


def test_interaction_of_a_large_map_in_half_precision():
    # 2160p at 1/8: an undivided sum of 129,600 values is beyond half precision's 65,504.
    p, q, v = (torch.full((1, 2, 270, 480), value) for value in (1.0, 2.0, 3.0))
    found = MultiFrameInteraction.interaction(p.half(), q.half(), v.half())
    torch.testing.assert_close(found.float(), MultiFrameInteraction.interaction(p, q, v), rtol=0.02, atol=0)
    torch.testing.assert_close(found.float(), v, rtol=0.02, atol=0)  # every cosine is 1


def test_interaction_starts_as_the_identity_and_is_gated(shaken):
    block = MultiFrameInteraction(6, 4)
    previous, current, following = maps(2, 6, 5, 7)
    assert torch.equal(block(previous, current, following), current)
    shaken(block)
    query, value = block.current(current)[:, :4], block.current(current)[:, 4:]
    z = [block.interaction(block.neighbour(each), query, value) for each in (previous, following)]
    weight = block.gate(current.mean((2, 3)))[:, :, None, None]  # equation 6
    expected = (1 + weight * block.fusion(torch.cat(z, 1))) * current  # equation 7
    torch.testing.assert_close(block(previous, current, following), expected)
    assert not torch.allclose(block(following, current, previous), expected)


@pytest.mark.parametrize(("size", "parts"), [(5, 5), (64, 64), (65, 64), (100, 64), (128, 64), (480, 64)])
def test_pooling_by_areas(size, parts):
    matrix = area_matrix(torch.zeros(size, dtype=torch.float64), kpn_mfi.POSITIONS, at_most=True)
    assert matrix.shape == (parts, size)
    torch.testing.assert_close(matrix.sum(1), torch.ones(parts, dtype=torch.float64), rtol=1e-4, atol=0)
    torch.testing.assert_close(matrix.sum(0), torch.full((size,), parts / size, dtype=torch.float64), rtol=1e-3, atol=0)
    if parts == size:
        torch.testing.assert_close(matrix, torch.eye(size, dtype=torch.float64))
    if size == 128:
        torch.testing.assert_close(matrix, torch.eye(64, dtype=torch.float64).repeat_interleave(2, 1) / 2)


def test_self_attention_by_its_definition(shaken):
    block = kpn_mfi.SelfAttention(16)
    (x,) = maps(2, 16, 5, 7, count=1)
    assert torch.equal(block(x), x)
    shaken(block)
    query, key, value = (each(x).flatten(2) for each in (block.query, block.key, block.value))
    weights = (query.transpose(1, 2) @ key / 2**0.5).softmax(2)  # two channels of query and key
    expected = x + block.gain * (value @ weights.transpose(1, 2)).reshape(x.shape)
    torch.testing.assert_close(block(x), expected)


def test_self_attention_looks_at_64_by_64_positions():
    block = kpn_mfi.SelfAttention(8)
    seen = []
    block.key.register_forward_hook(lambda module, given, result: seen.append(tuple(result.shape)))
    block(torch.rand(1, 8, 70, 40))
    assert seen == [(1, 1, 64, 40)]


def test_kernels_are_applied_as_equation_3_says():
    generator = torch.Generator().manual_seed(4)
    x, kernels = torch.rand(1, 2, 3, 4, generator=generator), torch.rand(1, 50, 3, 4, generator=generator)
    expected = torch.zeros_like(x)
    for c, row, column, tap in itertools.product(range(2), range(3), range(4), range(25)):
        r, s = min(max(row + tap // 5 - 2, 0), 2), min(max(column + tap % 5 - 2, 0), 3)  # edges repeated
        expected[0, c, row, column] += kernels[0, 25 * c + tap, row, column] * x[0, c, r, s]
    torch.testing.assert_close(kpn_mfi.filter_pixelwise(x, kernels), expected)


@pytest.mark.parametrize("size", [(32, 32), (33, 39), (46, 35)])
def test_an_untrained_network_is_the_bt2408_mapping(size):
    previous, current, following = frames(*size)
    with torch.no_grad():
        result = KPNMFI(8)(previous, current, following)
    torch.testing.assert_close(result, bt2408(current), rtol=0, atol=1.3e-4)  # the darkest light
    assert (result - bt2408(current)).abs()[current.amin(1, keepdim=True).expand_as(result) > 0.01].max() < 1e-6


def test_gain_and_offset_of_the_signal_are_in_the_kernels_reach():
    # Kernels that double: light grows by 2^2.4 and nothing else changes.
    network = KPNMFI(8)
    previous, current, following = frames()
    with torch.no_grad():
        network.decoder.kernels.bias.mul_(2)
        torch.testing.assert_close(network(previous, current, following), bt2408(2 * current), rtol=0, atol=2e-4)


def test_sizes_that_eight_does_not_divide_are_extended_by_their_edges(network):
    small = frames(37, 43)
    wide = [functional.pad(each, (0, 5, 0, 3), mode="replicate") for each in small]
    with torch.no_grad():
        torch.testing.assert_close(network(*small), network(*wide)[:, :, :37, :43])


def test_neighbours_count_by_the_interaction_alone(network, shaken):
    previous, current, following = frames()
    alone = shaken(KPNMFI(8, (1, 1, 1, 1, 1), interaction=False))
    with torch.no_grad():
        for each, counts in ((network, True), (alone, False)):
            assert torch.equal(each(previous, current, following), each(1 - previous, current, following)) != counts


def test_all_three_frames(network):
    one, two, three = frames(n=2)
    with torch.no_grad():
        every = network.all_frames(one, two, three)
        assert every.shape == (2, 3, 3, 33, 39)
        for index, window in enumerate(((two, one, three), (one, two, three), (one, three, two))):
            torch.testing.assert_close(every[:, index], network(*window))


def test_windows_of_a_batch_do_not_meet(network):
    window = frames(n=2)
    with torch.no_grad():
        torch.testing.assert_close(network(*window)[1:], network(*(each[1:] for each in window)))


@pytest.mark.parametrize("level", [0.0, 1.0, None])
def test_gradients_are_finite_in_black_and_reach_every_parameter(network, level):
    window = frames() if level is None else [torch.full((1, 3, 33, 39), level)] * 3
    network.train()(*window).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # Black has no light to filter; in a flat picture all keys are alike.
        assert level is not None or parameter.grad.any() or name == "encoder.attention.key.bias", name


def test_dark_light_survives_half_precision():
    signal = torch.linspace(0.02, 0.1, 64).expand(1, 3, 1, 64)
    rendering = kpn_mfi.Rendering()
    with torch.no_grad():
        expected = rendering(signal)
        found = rendering.half()(signal.half())
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), expected, rtol=2e-3, atol=0)


class Parts(torch.nn.Module):
    """What is not plain convolution: exporting the whole network takes three quarters of a minute."""

    def __init__(self):
        super().__init__()
        self.attention, self.interaction = kpn_mfi.SelfAttention(8), MultiFrameInteraction(8, 4)
        self.rendering = kpn_mfi.Rendering()

    def forward(self, previous, current, following):
        """Three maps (N, 8, H, W) -> (N, 3, H, W)."""
        return self.rendering(self.interaction(previous, self.attention(current), following)[:, :3])


def test_onnx_runtime_gives_the_same(exported, shaken):
    parts = shaken(Parts())
    window = maps(1, 8, 33, 70)
    _, found = exported(parts, window)
    with torch.no_grad():
        torch.testing.assert_close(found, parts(*window), rtol=1e-4, atol=2e-5)


def test_a_frame_alone_is_its_own_neighbour(network):
    _, frame, _ = frames()
    torch.testing.assert_close(network(frame), network(frame, frame, frame))
    with pytest.raises(InputError, match="kpn_mfi: got 2 frames; it takes three, or one alone"):
        network(frame, frame)
