"""Blocks against their definitions, written out."""

from __future__ import annotations

import itertools

import torch

from vs_hdrtv.networks import blocks


def inputs(n=2, c=3, h=4, w=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    shapes = ((n, c, h, w), (n, c, 9), (n, 9, h, w))
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


def test_dynamic_filter_is_its_definition():
    # DDF, Zhou et al., equation 3: taps row by row, zero padding.
    x, channel, spatial = inputs()
    n, c, h, w = x.shape
    expected = torch.zeros_like(x)
    for i, k, row, column, tap in itertools.product(range(n), range(c), range(h), range(w), range(9)):
        r, s = row + tap // 3 - 1, column + tap % 3 - 1
        if 0 <= r < h and 0 <= s < w:
            expected[i, k, row, column] += x[i, k, r, s] * channel[i, k, tap] * spatial[i, tap, row, column]
    torch.testing.assert_close(blocks.dynamic_filter(x, channel, spatial), expected)


def test_written_gradient_of_the_dynamic_filter():
    variables = [each.requires_grad_() for each in inputs(1, 2, 3, 4)]
    assert torch.autograd.gradcheck(blocks._DynamicFilter.apply, variables)


def test_filter_at_one_pixel_is_forward_on_a_one_pixel_map():
    torch.manual_seed(0)
    module = blocks.DecoupledDynamicFilter(16).double()
    x = torch.randn(2, 16, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(module.at_one_pixel(x), module(x))


def test_folded_gain_is_the_gain_of_the_input():
    torch.manual_seed(0)
    module = blocks.DecoupledDynamicFilter(8).double()
    x, gain = torch.randn(2, 8, 6, 7, dtype=torch.float64), torch.rand(2, 8, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(module(x, gain), module(x * gain))


def test_context_gain_is_inside_its_range():
    torch.manual_seed(0)
    gain = blocks.ContextBlock(64)(torch.randn(2, 64, 6, 7))
    assert gain.shape == (2, 64, 1, 1)
    assert ((gain > 0) & (gain < 1)).all()
