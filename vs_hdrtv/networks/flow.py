"""Optical flow between two SDR frames of different exposure: a compact pyramid network of ours.

In the line of PWC-Net (Sun et al., CVPR 2018): features of both frames at five sizes, from the coarsest on the reference's
features warped by the flow so far, correlated with the current frame's in a small window, and a few convolutions that correct the
flow. It takes the place of GMA in VITM-TC, section 3.2. What is different here:

- Exposure: both frames are divided by the level of what both expose well (`color.exposure`) and compressed alike, so that one
  scene has one value in both; masks of what is clipped and of what is dark go in beside them, since texture is lost there.
- Features are compared by their cosine, and the soft maximum of the window is a first guess of the correction: where there is no
  texture it is none, and the network knows how to match before it has learned.
- One set of estimating convolutions serves all levels: motion is alike at all sizes, and each level teaches the others. Dilated,
  they look 9 pixels of a level far, to fill what is clipped from around.

The flow is estimated down to a quarter of the size and interpolated from there. 0.43 M parameters.
"""

from __future__ import annotations

import itertools
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..color.exposure import levels, underexposure_mask
from ..color.overexposure import overexposure_mask
from .warping import warp

CHANNELS = (32, 48, 64, 64)
"""Of the features at 1/4, 1/8, 1/16, 1/32 of the size. The last convolutions make 1/64 too, which small views cannot teach."""

LEVELS = 5
"""1/4 to 1/64 of the size."""

FINEST, MULTIPLE = 4, 64
"""Of the size, the finest and the coarsest level are this part of it."""

MATCHED = 32
"""Channels of the features that are compared."""

HIDDEN = 32
"""Channels that a level hands to the next finer one beside its flow."""

RADIUS = 3
"""Pixels of a level that the window of comparison reaches: 372 of the frame over all levels."""

DILATIONS = (1, 1, 2, 4)
"""Of the estimating convolutions but the last."""

SLOPE = 0.1
"""Of LeakyReLU below 0."""

SHARPNESS = 15.0
"""Of the soft maximum to begin with: cosines that differ by 0.1 then weigh 4.5 : 1."""


def halving(inputs: int, outputs: int) -> nn.Conv2d:
    """4x4 convolution of stride 2: a pixel of the result lies in the middle of the four that it stands for."""
    return _started(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1))


def conv3x3(inputs: int, outputs: int, dilation: int = 1) -> nn.Conv2d:
    """3x3 convolution that keeps the size."""
    return _started(nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation))


def _started(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_normal_(layer.weight, SLOPE, nonlinearity="leaky_relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def padded(picture: Tensor) -> Tensor:
    """The picture with its last row and column repeated up to sides that `MULTIPLE` divides."""
    height, width = picture.shape[-2:]
    return functional.pad(picture, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")


def normalised(sdr: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Two frames (N, 3, H, W) -> two of (N, 5, H, W): the scene at one exposure, in [0, 1), what is clipped and what is dark."""
    found = []
    for frame, level in zip((sdr, reference), levels(sdr, reference), strict=True):
        relative = frame / level
        found.append(torch.cat([relative / (1 + relative), overexposure_mask(frame), underexposure_mask(frame)], dim=1))
    return found[0], found[1]


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """1 + cosine of `one` and of `other` moved by up to `RADIUS` pixels: two (N, C, H, W) -> (N, (2 RADIUS + 1)^2, H, W).

    Channel `(2 RADIUS + 1) row + column` is of what lies `column - RADIUS` to the right and `row - RADIUS` below. Outside it
    is 0, as of what is least alike.
    """
    height, width = one.shape[-2:]
    side = 2 * RADIUS + 1
    one, other = (torch.cat([functional.normalize(each, dim=1), torch.ones_like(each[:, :1])], dim=1) for each in (one, other))
    around = functional.pad(other, [RADIUS] * 4)  # (N, C + 1, H + 2 RADIUS, W + 2 RADIUS)
    products = []
    for row in range(side):
        strip = around[:, :, row : row + height]
        products += [(one * strip[..., column : column + width]).sum(1, keepdim=True) for column in range(side)]
    return torch.cat(products, dim=1)


class FeaturePyramid(nn.Module):
    """A normalised frame to features at 1/4 ... 1/64 of its size."""

    def __init__(self) -> None:
        super().__init__()
        relu = partial(nn.LeakyReLU, SLOPE)
        first = CHANNELS[0]
        stem = nn.Sequential(halving(5, 16), relu(), halving(16, first), relu(), conv3x3(first, first), relu())
        rest = (
            nn.Sequential(halving(fine, coarse), relu(), conv3x3(coarse, coarse), relu())
            for fine, coarse in itertools.pairwise(CHANNELS)
        )
        self.levels = nn.ModuleList([stem, *rest])
        self.matched = nn.ModuleList(nn.Conv2d(channels, MATCHED, 1) for channels in CHANNELS)

    def forward(self, frame: Tensor) -> list[Tensor]:
        """(N, 5, 64 h, 64 w) -> five of (N, MATCHED, H, W), the finest first, (16 h, 16 w), the last (h, w)."""
        found = []
        for index in range(LEVELS):
            which = min(index, len(CHANNELS) - 1)
            frame = self.levels[which](frame)
            found.append(self.matched[which](frame))
        return found


class Estimator(nn.Module):
    """One level: what the warped reference shows beside the current frame, to a better flow. The same for all levels."""

    def __init__(self) -> None:
        super().__init__()
        window = (2 * RADIUS + 1) ** 2
        sizes = (window + MATCHED + HIDDEN + 6, 64, 64, 48, 48)
        layers = [conv3x3(*sizes[index : index + 2], dilation) for index, dilation in enumerate(DILATIONS)]
        self.layers = nn.Sequential(*(each for layer in layers for each in (layer, nn.LeakyReLU(SLOPE))))
        self.last = conv3x3(sizes[-1], 2 + HIDDEN)
        with torch.no_grad():
            self.last.weight[:2] *= 0.01  # the flow starts as what the comparison alone says
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS).log())  # its logarithm moves as weights do
        places = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float32)
        offsets = torch.stack([places.repeat(len(places)), places.repeat_interleave(len(places))])  # (2, window): dx, dy
        self.register_buffer("offsets", offsets[:, :, None, None], persistent=False)

    def forward(
        self, one: Tensor, other: Tensor, flow: Tensor, hidden: Tensor, clipped: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """A level of both frames to flow and what else it tells the next one.

        Args:
            one: (N, MATCHED, H, W) of the current frame.
            other: of the reference.
            flow: (N, 2, H, W) so far, in pixels of this level, float32.
            hidden: (N, HIDDEN, H, W) of the coarser level.
            clipped: masks (N, 1, H, W) of both frames.

        Returns:
            Flow and hidden, of the sizes of those that came in.
        """
        kind = one.dtype
        centre = (one.mean((2, 3), keepdim=True) + other.mean((2, 3), keepdim=True)) / 2  # (N, MATCHED, 1, 1)
        one, other = one - centre, other - centre  # else all features of a frame point the same way
        along = flow.detach()  # each level learns from its own result
        # In half precision there are no places between the pixels of a large frame.
        moved = warp(torch.cat([other, clipped[1]], dim=1).to(flow.dtype), along).to(kind)
        products = correlation(one, moved[:, :-1])
        likely = functional.softmax(products * self.sharpness.exp(), dim=1)
        guess = functional.conv2d(likely, self.offsets.to(kind))  # type: ignore[operator]  # (N, 2, H, W)
        known = torch.cat([products, guess, one, hidden, flow.to(kind) / RADIUS, clipped[0], moved[:, -1:]], dim=1)
        found = self.last(self.layers(known))
        return flow + (guess + found[:, :2]).to(flow.dtype), found[:, 2:]


class Flow(nn.Module):
    """Backward optical flow: pixel x of the frame lies at `x + flow(x)` in the reference.

    Input: `sdr` and `reference`, (N, 3, H, W) each in [0, 1], BT.709 gamma signal of any exposures, H and W at least 32.
    Output `flow` (N, 2, H, W), (dx, dy) in pixels, float32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pyramid, self.estimator = FeaturePyramid(), Estimator()

    def forward(self, sdr: Tensor, reference: Tensor) -> Tensor:
        """Two of (N, 3, H, W) -> (N, 2, H, W)."""
        height, width = sdr.shape[-2:]
        flow = functional.interpolate(self.all_levels(sdr, reference)[-1], scale_factor=float(FINEST), mode="bilinear")
        return flow[:, :, :height, :width]

    def all_levels(self, sdr: Tensor, reference: Tensor) -> list[Tensor]:
        """The flow of each level at its own size, coarsest first, in pixels of the frame: (N, 2, h, w) ... (N, 2, 16 h, 16 w).

        64 h and 64 w are the frame's sides after `padded`.
        """
        kind = next(self.parameters()).dtype
        single = torch.promote_types(kind, torch.float32)
        both = normalised(padded(sdr).to(single), padded(reference).to(single))
        clipped = [functional.avg_pool2d(each[:, 3:4], FINEST).to(kind) for each in both]  # (N, 1, 16 h, 16 w)
        ones, others = (self.pyramid(each.to(kind)) for each in both)
        masks = [clipped]
        for _ in ones[1:]:
            masks.append([functional.avg_pool2d(each, 2) for each in masks[-1]])
        count, _, rows, columns = ones[-1].shape
        flow = torch.zeros(count, 2, rows, columns, dtype=single, device=sdr.device)
        hidden = torch.zeros(count, HIDDEN, rows, columns, dtype=kind, device=sdr.device)
        found = []
        for index in reversed(range(len(ones))):
            flow, hidden = self.estimator(ones[index], others[index], flow, hidden, (masks[index][0], masks[index][1]))
            found.append(flow * FINEST * 2**index)
            if index:
                flow = 2 * functional.interpolate(flow, scale_factor=2.0, mode="bilinear")
                hidden = functional.interpolate(hidden, scale_factor=2.0, mode="bilinear")
        return found
