"""Deformable convolution: against its definition, torchvision, and ONNX Runtime."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from vs_hdrtv.networks import deformable
from vs_hdrtv.networks.deformable import deform_conv3x3, deform_conv3x3_pure


def inputs(n=2, c=4, m=3, h=5, w=6, groups=2, spread=1.5, dtype=torch.float64):
    """x, offset, weight, bias, mask; many taps look outside."""
    generator = torch.Generator().manual_seed(1)
    shapes = (n, c, h, w), (n, 18 * groups, h, w), (m, c, 3, 3), (m,), (n, 9 * groups, h, w)
    x, offset, weight, bias, mask = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    return x, spread * offset, weight, bias, mask.sigmoid()


def bilinear(plane, row, column):
    """One value between pixels, 0 outside."""
    total = 0.0
    for r, c in itertools.product((math.floor(row), math.floor(row) + 1), (math.floor(column), math.floor(column) + 1)):
        if 0 <= r < plane.shape[0] and 0 <= c < plane.shape[1]:
            total += float(plane[r, c]) * (1 - abs(row - r)) * (1 - abs(column - c))
    return total


def test_pure_form_is_the_definition():
    x, offset, weight, bias, mask = inputs(n=1, c=2, m=2, h=3, w=4)
    expected = torch.zeros(1, 2, 3, 4, dtype=torch.float64)
    for m, row, column in itertools.product(range(2), range(3), range(4)):
        total = float(bias[m])
        for c, tap in itertools.product(range(2), range(9)):  # two groups of one channel
            dy, dx = (float(offset[0, 18 * c + 2 * tap + axis, row, column]) for axis in (0, 1))
            value = bilinear(x[0, c], row + tap // 3 - 1 + dy, column + tap % 3 - 1 + dx)
            total += float(weight[m, c, tap // 3, tap % 3]) * value * float(mask[0, 9 * c + tap, row, column])
        expected[0, m, row, column] = total
    torch.testing.assert_close(deform_conv3x3_pure(x, offset, weight, bias, mask), expected)


def test_without_offsets_it_is_a_convolution():
    x, offset, weight, bias, _ = inputs()
    expected = torch.nn.functional.conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(deform_conv3x3_pure(x, 0 * offset, weight, bias), expected)
    torch.testing.assert_close(deform_conv3x3_pure(x, 0 * offset, weight), expected - bias.reshape(1, -1, 1, 1))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("modulated", [False, True])
def test_pure_form_is_torchvisions(groups, modulated):
    pytest.importorskip("torchvision")
    operator = deformable.compiled_operator()
    assert operator is not None
    arguments = [each.requires_grad_() for each in inputs(groups=groups)]
    x, offset, weight, bias, mask = arguments
    mask = mask if modulated else None
    pure = deform_conv3x3_pure(x, offset, weight, bias, mask)
    theirs = operator(x, offset, weight, bias, padding=1, mask=mask)
    torch.testing.assert_close(pure, theirs)
    used = arguments if modulated else arguments[:4]
    direction = torch.randn(pure.shape, generator=torch.Generator().manual_seed(2), dtype=pure.dtype)
    for ours, other in zip(torch.autograd.grad(pure, used, direction), torch.autograd.grad(theirs, used, direction), strict=True):
        torch.testing.assert_close(ours, other)


def test_gradient_of_the_pure_form():
    arguments = [each.requires_grad_() for each in inputs(n=1, c=2, m=1, h=2, w=3)]
    assert torch.autograd.gradcheck(deform_conv3x3_pure, arguments, fast_mode=True)


def test_torchvision_is_taken_where_it_is_faster(monkeypatch):
    arguments = inputs(dtype=torch.float32)[:4]
    taken = []

    def operator(*given, **options):
        taken.append(options)
        return deform_conv3x3_pure(*given)

    monkeypatch.setattr(deformable, "compiled_operator", lambda: operator)
    expected = deform_conv3x3(*arguments)
    assert taken == [{"padding": 1, "mask": None}]
    deform_conv3x3(*(each.clone().requires_grad_() for each in arguments))  # a gradient on a CPU: the pure form
    monkeypatch.setattr(deformable, "compiled_operator", lambda: None)
    assert torch.equal(deform_conv3x3(*arguments), expected)
    assert len(taken) == 1


def test_half_precision_knows_where_a_pixel_is():
    # Half precision holds even numbers alone above 2048: a position computed in it would be off by up to a pixel.
    x = torch.linspace(0, 1, 3000, dtype=torch.float16).repeat(3, 1)[None, None]  # (1, 1, 3, 3000)
    offset = torch.full((1, 18, 3, 3000), 0.5, dtype=torch.float16)
    weight = torch.zeros(1, 1, 3, 3, dtype=torch.float16)
    weight[:, :, 1, 1] = 1
    x[:, :, :, 2500:] = 0
    x[:, :, :, 2601] = 1
    found = deform_conv3x3(x, offset, weight)
    assert found.dtype == torch.float16
    assert found[0, 0, 1, 2598:2604].tolist() == [0, 0, 0.5, 0.5, 0, 0]


def test_onnx_runtime_runs_it_as_one_node(exported):
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = deformable.DeformableConv2d(4, 3)

        def forward(self, x, offset, mask):
            return self.layer(x, offset, mask)

    torch.manual_seed(0)
    network = Network()
    x, offset, _, _, mask = inputs(n=1, h=33, w=39, dtype=torch.float32)
    graph, found = exported(network, (x, offset, mask))
    assert [node.op_type for node in graph.graph.node] == ["DeformConv"]
    assert graph.opset_import[0].version == 19
    with torch.no_grad():
        torch.testing.assert_close(found, network(x, offset, mask))
