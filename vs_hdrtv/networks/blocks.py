"""Blocks shared by the papers' networks.

The context block's only effect is one gain per channel, so it returns that gain and the next layer folds it into its own
weights: the full-size map is read once for its mean and is never rewritten by the gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import statistics, windows


def global_average(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 1, 1) mean over the frame, a statistic of it."""
    return statistics.statistic(lambda x: x.mean((2, 3), keepdim=True), x.shape[1], 1, 1, of=(x,))


def stretched(x: Tensor, size: Sequence[int], factor: int | None, mode: str) -> Tensor:
    """A map of a frame that was shrunk by halvings, each rounded up, at the frame's size: (N, C, h, w) -> (N, C, H, W).

    Args:
        x: the map.
        size: H and W.
        factor: of all halvings together; h = H / factor, rounded up. None: the map is the whole frame's, also in a piece of it.
        mode: "nearest" or "bilinear", as `interpolate` has them. In a piece of a frame it is the whole frame's place that counts.
    """
    window = windows.active()
    if window is None:
        return functional.interpolate(x, size=size, mode=mode)
    for axis, span in ((2, window.rows), (3, window.columns)):
        most, before = (-(-span.length // factor), span.start // factor) if factor else (x.shape[axis], 0)
        pixels = torch.arange(span.start, span.stop, dtype=torch.float32, device=x.device)
        scale = torch.tensor(most, dtype=torch.float32, device=x.device) / span.length  # as `interpolate` rounds it
        place = pixels * scale if mode == "nearest" else ((pixels + 0.5) * scale - 0.5).clamp(min=0)
        first = place.floor().clamp(max=most - 1)
        # Where a place lies outside of the piece's map, the pixel is none that is kept.
        below, above = ((each - before).long().clamp(0, x.shape[axis] - 1) for each in (first, (first + 1).clamp(max=most - 1)))
        shape = [-1 if other == axis else 1 for other in range(4)]
        nearer = x.index_select(axis, below)
        if mode == "bilinear":
            nearer = torch.lerp(nearer, x.index_select(axis, above), (place - first).to(x.dtype).reshape(shape))
        x = nearer
    return x


def area_matrix(size: Tensor, parts: int, at_most: bool = False, first: int = 0, length: int | None = None) -> Tensor:
    """What share each pixel of a row has in the means of `parts` equal parts of it: (n,) of the row -> (parts, n).

    Args:
        size: a row of the map, which says how many pixels there are, and of what type.
        parts: of the row; where they are more than pixels, several are of one.
        at_most: no more of them than pixels.
        first: which pixel of the whole row the row begins with, where it is a piece of one.
        length: of the whole row, then.
    """
    left = torch.arange(size.shape[0], dtype=torch.float32, device=size.device) + first  # left edges of the pixels, (n,)
    part = (left[:parts] if at_most else torch.arange(parts, dtype=torch.float32, device=size.device))[:, None]  # (parts, 1)
    width = (left[-1] + 1 if length is None else length) / (part[-1] + 1)
    overlap = torch.minimum(left + 1, (part + 1) * width) - torch.maximum(left, part * width)  # (parts, n)
    return (overlap.clamp(min=0) / width).to(size.dtype)


def thumbnail(frame: Tensor, side: int) -> Tensor:
    """A frame squeezed into a square by means over equal parts, a statistic of it: (N, C, H, W) -> (N, C, side, side)."""

    def compute(kept: Tensor) -> Tensor:
        window = windows.active()
        if window is None:
            rows, columns = area_matrix(kept[0, 0, :, 0], side), area_matrix(kept[0, 0, 0], side)
            return rows @ kept @ columns.T
        # Its share of the whole, as if all of the frame were like it: means of pieces are weighted by their pixels.
        spans = window.rows, window.columns
        rows, columns = (
            area_matrix(line, side, first=span.first, length=span.length) * (span.length / (span.last - span.first))
            for line, span in zip((kept[0, 0, :, 0], kept[0, 0, 0]), spans, strict=True)
        )
        return rows @ kept @ columns.T

    return statistics.statistic(compute, frame.shape[1], side, side, of=(frame,))


def zeroed[Layer: (nn.Conv2d, nn.ConvTranspose2d)](layer: Layer) -> Layer:
    """`layer` with all its parameters 0: what it gives starts at 0."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    return layer


class InstanceNorm(nn.InstanceNorm2d):
    """InstanceNorm with weights, its mean and biased variance being statistics of the frame."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not statistics.active():
            return super().forward(x)  # fused: the same function, faster
        mean = global_average(x)
        variance = statistics.statistic(
            lambda x: x.var((2, 3), correction=0, keepdim=True), x.shape[1], 1, 1, of=(x,), variance=True
        )
        scale = self.weight.reshape(1, -1, 1, 1) * torch.rsqrt(variance + self.eps)  # (N, C, 1, 1)
        return (x - mean) * scale + self.bias.reshape(1, -1, 1, 1)


def scaled_conv1x1(conv: nn.Conv2d, x: Tensor, gain: Tensor | None) -> Tensor:
    """1x1 convolution of `gain * x`, the gain (N, C, 1, 1) being folded into the weights."""
    if gain is None:
        plain: Tensor = conv(x)
        return plain
    n, c, h, w = x.shape
    weight = conv.weight[:, :, 0, 0] * gain.reshape(n, 1, c)  # (N, M, C)
    y = torch.matmul(weight, x.reshape(n, c, h * w)).reshape(n, -1, h, w)  # (N, M, H, W)
    # Under autocast the product is in half precision, and the bias must not make float32 of the whole map.
    return y if conv.bias is None else y + conv.bias.reshape(1, -1, 1, 1).to(y.dtype)


class _DynamicFilter(torch.autograd.Function):
    """`dynamic_filter` with its gradients written out: left to autograd, each tap's slice would be padded back and added."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def forward(ctx: Any, x: Tensor, channel: Tensor, spatial: Tensor) -> Tensor:
        ctx.save_for_backward(x, channel, spatial)
        return dynamic_filter(x, channel, spatial)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, channel, spatial = ctx.saved_tensors
        n, c, h, w = x.shape
        around = (1, 1, 1, 1)
        padded_x, padded_gradient, padded_spatial = (functional.pad(t, around) for t in (x, gradient, spatial))
        of_x = torch.zeros_like(x)
        of_channel, of_spatial = [], []
        for tap in range(9):
            row, column = divmod(tap, 3)
            weight = channel[:, :, tap].reshape(n, c, 1, 1)
            product = gradient * padded_x[:, :, row : row + h, column : column + w]
            of_spatial.append((product * weight).sum(1))
            of_channel.append((product * spatial[:, tap : tap + 1]).sum((2, 3)))
            back = (slice(2 - row, 2 - row + h), slice(2 - column, 2 - column + w))
            of_x = of_x + padded_gradient[:, :, *back] * padded_spatial[:, tap : tap + 1, *back] * weight
        return of_x, torch.stack(of_channel, 2), torch.stack(of_spatial, 1)


def dynamic_filter(x: Tensor, channel: Tensor, spatial: Tensor) -> Tensor:
    """`y[c, p] = sum_k x[c, p + k] channel[c, k] spatial[k, p]`, 3x3 taps row by row, zero padding.

    (N, C, H, W), (N, C, 9), (N, 9, H, W) -> (N, C, H, W).
    """
    n, c, h, w = x.shape
    padded = functional.pad(x, (1, 1, 1, 1))  # (N, C, H + 2, W + 2)
    y = torch.zeros_like(x)
    for tap in range(9):
        row, column = divmod(tap, 3)
        shifted = padded[:, :, row : row + h, column : column + w]
        y = y + shifted * channel[:, :, tap].reshape(n, c, 1, 1) * spatial[:, tap : tap + 1]
    return y


class DecoupledDynamicFilter(nn.Module):
    """DDF: `y[c, p] = sum_k x[c, p + k] Fc[c, k] Fs[k, p]`, 3x3, zero padding, no filter normalisation.

    HDCFM, equation (2) and its reference [46] (Zhou et al., Decoupled Dynamic Filter Networks, equation 3).
    """

    def __init__(self, channels: int, reduction: float = 0.2) -> None:
        super().__init__()
        hidden = int(channels * reduction)
        self.spatial_branch = nn.Conv2d(channels, 9, 1)
        output = nn.Conv2d(hidden, 9 * channels, 1)
        self.channel_branch = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), output)
        # The filter starts near the identity, so that a chain of them passes its input on from the first step.
        with torch.no_grad():
            centre = functional.one_hot(torch.tensor(4), 9).to(output.weight.dtype)
            for layer, bias in ((self.spatial_branch, torch.ones(9)), (output, centre.repeat(channels))):
                layer.weight.mul_(0.3)
                assert layer.bias is not None
                layer.bias.copy_(bias)

    @staticmethod
    def apply_filters(x: Tensor, channel: Tensor, spatial: Tensor) -> Tensor:
        """`dynamic_filter`; training puts a compiled form in its place (`compile_for_training`)."""
        return dynamic_filter(x, channel, spatial)

    def channel_filter(self, mean: Tensor) -> Tensor:
        """(N, C, 1, 1) mean of the input -> (N, C, 9) channel filter."""
        n, c = mean.shape[:2]
        taps: Tensor = self.channel_branch(mean)  # (N, 9 C, 1, 1)
        return taps.reshape(n, c, 9)

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        """Filter `gain * x`.

        Args:
            x: (N, C, H, W).
            gain: (N, C, 1, 1) that multiplies the input, or None for 1.

        Returns:
            (N, C, H, W).
        """
        n, c = x.shape[:2]
        mean = global_average(x)
        spatial = scaled_conv1x1(self.spatial_branch, x, gain)  # (N, 9, H, W)
        # The gain belongs to the input: the mean and the taps take it, the map stays as it is.
        channel = self.channel_filter(mean) if gain is None else self.channel_filter(mean * gain) * gain.reshape(n, c, 1)
        return self.apply_filters(x, channel, spatial)

    def at_one_pixel(self, x: Tensor) -> Tensor:
        """`forward` on a 1x1 map: of the nine taps only the centre one meets a pixel. (N, C, 1, 1) -> (N, C, 1, 1)."""
        centre = 4
        spatial: Tensor = self.spatial_branch(x)  # (N, 9, 1, 1)
        return x * self.channel_filter(x)[:, :, centre, None, None] * spatial[:, centre : centre + 1]


class ContextBlock(nn.Module):
    """CB: a gain per channel from the frame's mean (average pool, 1x1, DDF, LayerNorm, ReLU, DDF, 1x1, sigmoid).

    HDCFM, equation (2) and its reference [6] (GCNet), with DDFs in place of convolutions.
    """

    def __init__(self, channels: int, ratio: int = 4) -> None:
        super().__init__()
        hidden = channels // ratio
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.filter_in = DecoupledDynamicFilter(hidden)
        self.norm = nn.LayerNorm([hidden, 1, 1])
        self.filter_out = DecoupledDynamicFilter(hidden)
        self.expand = nn.Conv2d(hidden, channels, 1)
        nn.init.constant_(self.expand.bias, 2.0)  # type: ignore[arg-type]  # a gain of 0.88 to start with

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the gain (N, C, 1, 1) in (0, 1) that the block multiplies its input by."""
        y = self.filter_in.at_one_pixel(self.squeeze(global_average(x)))  # (N, C/4, 1, 1)
        y = self.filter_out.at_one_pixel(functional.relu(self.norm(y)))
        gain: Tensor = torch.sigmoid(self.expand(y))  # (N, C, 1, 1)
        return gain


def compile_for_training(network: nn.Module) -> None:
    """Compile each dynamic filter of `network`, forward and gradient, for its own.

    Compiled as a whole, the network's gradient is fused into slower loops.
    """
    compiled = torch.compile(_DynamicFilter.apply, dynamic=False)
    for module in network.modules():
        if isinstance(module, DecoupledDynamicFilter):
            module.apply_filters = compiled  # type: ignore[method-assign]
