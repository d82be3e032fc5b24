"""Large depthwise convolution: conv2d's values and gradients, whatever the sizes, and conv2d's node in an export."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vs_hdrtv.networks.depthwise import DepthwiseConv2d, depthwise_conv2d

SIZES = [(40, 40), (33, 39), (7, 46), (3, 2), (1, 1)]
"""Heights and widths; the latter are smaller than half the kernel."""


def maps(n, channels, height, width, kind=torch.float32):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, channels, height, width, generator=generator, dtype=kind)


def of_conv2d(x, layer):
    return functional.conv2d(x, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2, groups=layer.groups)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n", [1, 3])
def test_values_and_gradients_of_conv2d(size, n):
    torch.manual_seed(1)
    layer = DepthwiseConv2d(16, 17).double()
    x = maps(n, 16, *size, torch.float64).requires_grad_()
    found, expected = layer(x), of_conv2d(x, layer)
    torch.testing.assert_close(found, expected)
    wanted = maps(n, 16, *size, torch.float64) + 0.5
    leaves = (x, layer.weight, layer.bias)
    for one, other in zip(torch.autograd.grad(found, leaves, wanted), torch.autograd.grad(expected, leaves, wanted), strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other)


def test_single_precision():
    torch.manual_seed(1)
    layer = DepthwiseConv2d(16, 17)
    x = maps(2, 16, 33, 39).requires_grad_()
    leaves = (x, layer.weight, layer.bias)
    found = torch.autograd.grad(layer(x).square().mean(), leaves)
    expected = torch.autograd.grad(of_conv2d(x, layer).square().mean(), leaves)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_gradcheck():
    x, weight = maps(2, 2, 5, 4, torch.float64).requires_grad_(), maps(2, 1, 3, 3, torch.float64).requires_grad_()
    bias = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(depthwise_conv2d, (x, weight, bias))
    assert torch.autograd.gradcheck(depthwise_conv2d, (x, weight))


def test_without_gradients_it_is_the_same_convolution():
    layer = DepthwiseConv2d(16, 17)
    x = maps(1, 16, 33, 39)
    with torch.no_grad():
        found = layer(x)
    assert torch.equal(found, layer(x))  # where gradients are needed
    assert found.is_contiguous()
    torch.testing.assert_close(found, of_conv2d(x, layer))


@pytest.mark.parametrize("frozen", range(3))
def test_only_what_needs_a_gradient_gets_one(frozen):
    leaves = [maps(1, 2, 9, 8), maps(2, 1, 5, 5), maps(1, 1, 1, 2).flatten()]
    for index, leaf in enumerate(leaves):
        leaf.requires_grad_(index != frozen)
    depthwise_conv2d(*leaves).sum().backward()
    assert [leaf.grad is None for leaf in leaves] == [index == frozen for index in range(3)]


def test_mixed_precision_on_a_cpu():
    torch.manual_seed(1)
    layer = DepthwiseConv2d(8, 17)
    x = maps(1, 8, 20, 20)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x.bfloat16())
    found.float().square().mean().backward()
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)
    assert layer.weight.grad.dtype == torch.float32


def test_state_dict_is_that_of_conv2d():
    plain = torch.nn.Conv2d(8, 8, 17, padding=8, groups=8)
    layer = DepthwiseConv2d(8, 17)
    layer.load_state_dict(plain.state_dict())
    x = maps(1, 8, 20, 20)
    torch.testing.assert_close(layer(x), plain(x))


def test_export_is_one_convolution(exported):
    layer = DepthwiseConv2d(8, 17).eval()
    x = maps(1, 8, 33, 39)
    graph, found = exported(layer, [x])
    assert [node.op_type for node in graph.graph.node] == ["Conv"]
    with torch.no_grad():
        torch.testing.assert_close(found, layer(x), rtol=1e-4, atol=1e-5)
