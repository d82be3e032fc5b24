"""DSLNet: size, stages, what each of them starts as and must not do."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import dslnet, registry
from vs_hdrtv.networks.dslnet import DSLNet


def frames(height=33, width=39, n=1, count=3):
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(n, 3, height, width, generator=generator) for _ in range(count)]


@pytest.fixture
def network(shaken):
    torch.manual_seed(1)
    return shaken(DSLNet(channels=8))


@pytest.mark.parametrize(
    ("arguments", "parameters", "paper"),
    [
        ({}, 973_505, 0.93e6),  # Table 1
        ({"alignment": False}, 1_041_763, 1.03e6),  # Table 4
        ({"modulation": False}, 1_010_401, 1.03e6),  # Table 5
    ],
)
def test_parameters(arguments, parameters, paper):
    network = registry.create("dslnet", **arguments)
    assert isinstance(network, DSLNet)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert abs(parameters / paper - 1) < 0.05


@pytest.mark.parametrize("arguments", [{}, {"alignment": False}, {"modulation": False}])
@pytest.mark.parametrize("radius", [0, 1])
def test_it_starts_near_the_current_frame(arguments, radius):
    torch.manual_seed(1)
    network = DSLNet(radius, **arguments)
    window = frames(count=2 * radius + 1)
    with torch.no_grad():
        off = (network(*window) - dslnet.WHITE * window[radius]).abs()
    assert off.mean() < 0.02


@pytest.mark.parametrize("size", [(32, 32), (33, 39), (46, 35)])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_any_size_and_radius(size, radius):
    network = DSLNet(radius, 4)
    result = network(*frames(*size, count=2 * radius + 1))
    assert result.shape == (1, 3, *size)
    assert torch.isfinite(result).all()


def test_number_of_frames():
    with pytest.raises(InputError, match="dslnet: got 2 frames; this network takes 3, the current one in the middle"):
        DSLNet(channels=4)(*frames(count=2))


def test_the_network_is_its_stages(network):
    window = frames()
    with torch.no_grad():
        aligned = network.align(*window)
        modulated = network.modulate(aligned, *window)
        assert aligned.shape == modulated.shape == (1, 8, 33, 39)
        assert torch.equal(network.enhance(modulated), network(*window))


def test_modulation_by_hand():
    x = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 5)
    vector = torch.tensor([0.5, -1.0, 3.0, 4.0]).reshape(1, 4, 1, 1)  # two scales, two shifts
    expected = torch.tensor([1 * 1.5 + 3, 2 * 0 + 4.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 5)
    assert torch.equal(dslnet.feature_modulation(x, vector), expected)
    torch.testing.assert_close(dslnet.spatial_feature_modulation(x, vector), expected)


def test_zero_modulation_is_the_identity():
    x = torch.randn(2, 8, 33, 39, generator=torch.Generator().manual_seed(1))
    assert torch.equal(dslnet.feature_modulation(x, torch.zeros(2, 16, 1, 1)), x)
    assert torch.equal(dslnet.spatial_feature_modulation(x, torch.zeros(2, 16, 2, 2)), x)
    branch = dslnet.ModulationBranch(3, 8)  # before training the vectors are 0
    expected = branch.conv(x)
    for conv in branch.convs:
        expected = conv(functional.relu(expected))
    assert torch.equal(branch(x, *frames(n=2)), expected)


def test_spatial_modulation_is_of_the_current_frame_and_temporal_of_all(shaken):
    condition = shaken(dslnet.ConditionNet(3, 8))
    window = frames()
    before = condition(*window)
    for place, changes in enumerate(((True, False, False), (True, True, True), (True, False, False))):
        after = condition(*(each * (0.5 if index == place else 1) for index, each in enumerate(window)))
        assert tuple(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) == changes


def test_vectors_know_how_bright_a_frame_is(shaken):
    condition = shaken(dslnet.ConditionNet(1, 8))
    dark, bright = (condition(torch.full((1, 3, 32, 32), value)) for value in (0.2, 0.6))
    for one, other in zip(dark, bright, strict=True):
        assert (one - other).abs().max() > 0.01 * one.abs().max()


def test_alignment_starts_as_a_plain_convolution():
    align = dslnet.DMFA(3, 8)
    window = frames()
    expected = functional.conv2d(torch.cat(window, 1), align.deformable.weight, align.deformable.bias, padding=1)
    torch.testing.assert_close(align(*window), expected)


def test_each_frame_has_offsets_of_its_own():
    # The first frame lies two pixels lower and one further right: its offsets are (dy, dx) = (2, 1), the others' 0.
    align = dslnet.DMFA(3, 8)
    window = frames()
    expected = align(*window)
    moved = [torch.roll(window[0], (2, 1), (2, 3)), *window[1:]]
    with torch.no_grad():
        align.offsets.up.bias[:18] = torch.tensor([2.0, 1.0]).repeat(9)
    inside = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(align(*moved)[inside], expected[inside])
    assert not torch.allclose(align(*window)[inside], expected[inside], atol=1e-2)


def test_offsets_point_both_ways(shaken):
    offsets = shaken(dslnet.LDOE(3), 0.2)(torch.cat(frames(), 1))
    assert offsets.shape == (1, 54, 33, 39)
    assert offsets.min() < -0.1 < 0.1 < offsets.max()


def test_dynamic_kernels_are_each_pictures_own(shaken):
    module = shaken(dslnet.DynamicDepthwiseConv(8), 0.1)
    x = torch.rand(2, 8, 12, 14, generator=torch.Generator().manual_seed(3))
    both = module(x)
    torch.testing.assert_close(both, torch.cat([module(x[:1]), module(x[1:])]))
    # The kernels follow the mean: it is no convolution with fixed ones.
    assert not torch.allclose(module(2 * x), 2 * both, atol=1e-3)


def test_windows_of_a_batch_do_not_meet(network):
    window = frames(n=2)
    with torch.no_grad():
        torch.testing.assert_close(network(*window)[1:], network(*(each[1:] for each in window)))


@pytest.mark.parametrize("arguments", [{}, {"alignment": False}, {"modulation": False}])
def test_gradients_reach_every_parameter(arguments, shaken):
    network = shaken(DSLNet(channels=8, **arguments)).train()
    network(*frames(32, 36)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("size", [(33, 39)])
def test_onnx_runtime_gives_the_same(network, exported, size):
    window = frames(*size)
    with torch.no_grad():
        network.align.offsets.up.bias.uniform_(-3, 3)
        expected = network(*window)
    graph, found = exported(network, window)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert sum(node.op_type == "DeformConv" for node in graph.graph.node) == 1
    assert graph.opset_import[0].version == 19
