"""Deformable 3x3 convolution (Dai et al. 2017; modulated: Zhu et al. 2019): taps that look where offsets point.

Three forms of one function. `deform_conv3x3` takes torchvision's compiled operator where it is there and faster, and else
`deform_conv3x3_pure`, which needs torch alone and runs on any device; an ONNX export gets one DeformConv node (opset 19).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = 9
"""Row by row, the fifth being the centre."""

_COMPILED_DEVICES = {"cpu", "cuda"}


def deform_conv3x3_pure(
    x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """`deform_conv3x3` in plain torch, differentiable in every argument.

    One tap at a time: the nine shifted copies of the input are never there together.
    """
    n, c, h, w = x.shape
    groups = offset.shape[1] // (2 * TAPS)
    offset = offset.reshape(n * groups, TAPS, 2, h, w)
    rows = torch.arange(h, dtype=x.dtype, device=x.device)[:, None]
    columns = torch.arange(w, dtype=x.dtype, device=x.device)
    grouped = x.reshape(n * groups, c // groups, h, w)
    y = x.new_zeros(()) if bias is None else bias.reshape(1, -1, 1, 1)
    for tap in range(TAPS):
        row, column = divmod(tap, 3)
        down = rows + (row - 1) + offset[:, tap, 0]  # (N G, H, W)
        right = columns + (column - 1) + offset[:, tap, 1]
        # grid_sample takes (x, y) from -1 to 1, which are the outer edges of the first and the last pixel.
        grid = torch.stack([(2 * right + 1) / w - 1, (2 * down + 1) / h - 1], dim=-1)  # (N G, H, W, 2)
        sampled = functional.grid_sample(grouped, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        if mask is not None:
            sampled = sampled * mask.reshape(n * groups, TAPS, h, w)[:, tap : tap + 1]
        y = y + functional.conv2d(sampled.reshape(n, c, h, w), weight[:, :, row, column, None, None])
    return y


@cache
def compiled_operator() -> Callable[..., Tensor] | None:
    """`deform_conv2d` of torchvision, or None where that or its compiled part is missing."""
    try:
        from torchvision.ops import deform_conv2d
    except (ImportError, RuntimeError, OSError):  # RuntimeError, OSError: built for another torch
        return None
    return deform_conv2d if hasattr(torch.ops.torchvision, "deform_conv2d") else None


def deform_conv3x3(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
    """3x3 convolution, stride 1, whose tap k looks at `p + k + offset[k, p]`: bilinear, 0 outside the picture.

    `y[p] = bias + sum_k weight[k] x[p + k + offset[k, p]] mask[k, p]`.

    Args:
        x: (N, C, H, W).
        offset: (N, 18 G, H, W) pixels; for each of G groups of C / G channels, for each tap, (dy, dx).
        weight: (M, C, 3, 3).
        bias: (M,), or None for 0.
        mask: (N, 9 G, H, W), or None for 1.

    Returns:
        (N, M, H, W) of `x`'s type. Positions are in float32 at least: half precision does not hold a pixel's number above 2048.
    """
    if torch.onnx.is_in_onnx_export():
        return _onnx_node(x, offset, weight, bias, mask)
    kind = torch.promote_types(x.dtype, torch.float32)
    arguments = [None if each is None else each.to(kind) for each in (x, offset, weight, bias, mask)]
    learns = torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in arguments)
    compiled = compiled_operator() if x.device.type in _COMPILED_DEVICES else None
    # On a CPU torchvision's gradient takes five times as long as the pure form's (7.4 against 1.4 s, 9 to 64 channels, 270x270).
    if compiled is None or (learns and x.device.type == "cpu"):
        return deform_conv3x3_pure(*arguments).to(x.dtype)  # type: ignore[arg-type]
    x32, offset32, weight32, bias32, mask32 = arguments
    return compiled(x32, offset32, weight32, bias32, padding=1, mask=mask32).to(x.dtype)


def _onnx_node(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, mask: Tensor | None) -> Tensor:
    """The DeformConv node, without torchvision having to be there."""
    n, _, h, w = x.shape
    outputs = weight.shape[0]
    inputs = [x, weight, offset, weight.new_zeros(outputs) if bias is None else bias]
    return torch.onnx.ops.symbolic(
        "DeformConv",
        inputs if mask is None else [*inputs, mask],
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1], "offset_group": offset.shape[1] // (2 * TAPS)},
        dtype=x.dtype,
        shape=(n, outputs, h, w),
        version=DeformableConv2d.opset,
    )


class DeformableConv2d(nn.Module):
    """`deform_conv3x3` with its weights; the offsets, and the mask if there is one, are given.

    Args:
        inputs: channels.
        outputs: channels.
    """

    opset = 19
    """The lowest ONNX opset that it can be exported to."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, 3)  # its initial weights
        assert plain.bias is not None
        self.weight, self.bias = plain.weight, plain.bias

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, C, H, W), (N, 18 G, H, W), (N, 9 G, H, W) or None for 1 -> (N, M, H, W)."""
        return deform_conv3x3(x, offset, self.weight, self.bias, mask)
