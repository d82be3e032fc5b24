"""Depthwise convolution with large kernels that a CPU can train.

On a CPU torch takes a 17x17 depthwise convolution of planar maps through a general loop, forward and for both gradients. Here
the maps go through channels-last memory, for which oneDNN has a direct kernel, as does the gradient of the input, which is
a convolution as well; the gradient of the weights, a correlation of two whole maps, is taken by FFT. What conv2d does
there instead took most of a training step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_GRAIN = 8
"""Sides of the maps that are transformed are multiples of this, which have small prime factors."""


def depthwise_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`conv2d` with one kernel a channel, stride 1, and padding that keeps the size.

    Differentiable once on a CPU. An ONNX export has conv2d's one Conv node.

    Args:
        x: (N, C, H, W).
        weight: (C, 1, K, K), K odd.
        bias: (C,), or None for 0.

    Returns:
        (N, C, H, W).
    """
    if x.device.type != "cpu" or torch.onnx.is_in_onnx_export():
        return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=weight.shape[0])
    return _Depthwise.apply(x, weight, bias)  # type: ignore[no-any-return]


def _direct(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The convolution in channels-last memory; its result is planar where `x` is."""
    last = x.contiguous(memory_format=torch.channels_last)
    y = functional.conv2d(last, weight, bias, padding=weight.shape[-1] // 2, groups=weight.shape[0])
    return y.contiguous() if x.is_contiguous() else y


def _weight_gradient(x: Tensor, gradient: Tensor, size: int) -> Tensor:
    """`sum_np gradient[n, c, p] x[n, c, p + k - size // 2]`: (N, C, H, W) twice -> (C, 1, size, size)."""
    reach = size // 2
    kind = torch.promote_types(x.dtype, torch.float32)  # there is no FFT of bfloat16
    # Zeros of `reach` on one side are enough: round the edge, both ends of the picture meet in them. All shifts must fit in.
    sides = [-(-max(side + reach, size) // _GRAIN) * _GRAIN for side in x.shape[-2:]]
    of_x, of_gradient = (torch.fft.rfft2(each.to(kind).contiguous(), sides) for each in (x, gradient))  # (N, C, H', W'/2 + 1)
    correlation = torch.fft.irfft2((of_x * of_gradient.conj()).sum(0), sides)  # (C, H', W'), the shift 0 in the corner
    return torch.roll(correlation, (reach, reach), (-2, -1))[:, None, :size, :size]


class _Depthwise(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _direct(x, weight, bias)

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            _direct(gradient, weight.flip(2, 3)) if of_x else None,
            _weight_gradient(x, gradient, weight.shape[-1]).to(weight.dtype) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
        )


class DepthwiseConv2d(nn.Conv2d):
    """`depthwise_conv2d` with its weights.

    Args:
        channels: of input and output.
        size: of the kernels, odd.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, channels, size, padding=size // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return depthwise_conv2d(x, self.weight, self.bias)
