"""Optical flow between two SDR frames of different exposure: a compact pyramid network of ours.

In the line of PWC-Net (Sun et al., CVPR 2018): features of both frames at five sizes, from the coarsest on the reference's
features warped by the flow so far, correlated with the current frame's in a small window, and a few convolutions that correct the
flow. It takes the place of GMA in VITM-TC, section 3.2. What is different here:

- Exposure: both frames are divided by the level of what both expose well (`color.exposure`) and compressed alike, so that one
  scene has one value in both; masks of what is clipped and of what is dark go in beside them, since texture is lost there.
- Two guesses of the correction stand beside what is learned, and how far each is believed is learned for each pixel: the soft
  maximum of the window, where the surroundings of a pixel (normalised cross-correlation) and learned features are compared, and
  Lucas and Kanade's step along the slopes of the pixels that are clipped in neither frame. By these the network has a flow before
  it has learned anything, which a short training starts from.
- One set of estimating convolutions serves all levels: motion is alike at all sizes, and each level teaches the others. Dilated,
  they look 9 pixels of a level far, to fill what is clipped from around.

The flow is estimated down to a quarter of the size and interpolated from there. 0.42 M parameters.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import NamedTuple

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

MATCHED = 16
"""Channels of the features that are compared."""

PATCH, TEXTURE = 5, 3e-3
"""Side of the surroundings that are compared, and the sum of their squares that counts as little: noise of 0.01."""

AGGREGATED = 5
"""Pixels a side over which what is alike is averaged."""

NEARNESS = 0.05
"""What a way of a pixel has to be more alike by than none; twice as far, four times that."""

LEARNED = 0.1
"""Length of the learned features to begin with, the surroundings' being 1."""

HIDDEN = 32
"""Channels that a level hands to the next finer one beside its flow."""

RADIUS = 3
"""Pixels of a level that the window of comparison reaches: 372 of the frame over all levels."""

SIDE = 2 * RADIUS + 1

DILATIONS = (1, 1, 2, 4)
"""Of the estimating convolutions but the last."""

SLOPE = 0.1
"""Of LeakyReLU below 0."""

BELIEFS = ((3.0, 3.0), (3.0, 3.0), (3.0, 3.0), (-4.0, 3.0), (-4.0, 3.0))
"""How far (of a sigmoid) the match and the step along the slopes are believed to begin with, the finest level first."""

WINDOW = 7
"""Pixels a side that Lucas and Kanade's step sums over."""

DAMPING = 1e-3
"""Added to the squared slopes: that of noise and little more, 0.03 a pixel."""

PICTURE = 4
"""Channels of a level's picture."""

SHARPNESS = 20.0
"""Of the soft maximum to begin with: products that differ by 0.1 then weigh 7 : 1."""


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


def described(picture: Tensor) -> Tensor:
    """What surrounds each pixel, without its mean, of length 1 where it has texture: (N, C, H, W) -> (N, PATCH^2, H, W)."""
    grey = functional.pad(picture.mean(1, keepdim=True), [PATCH // 2] * 4, mode="replicate")
    taps = torch.eye(PATCH**2, dtype=picture.dtype, device=picture.device).reshape(PATCH**2, 1, PATCH, PATCH)
    patch = functional.conv2d(grey, taps - 1 / PATCH**2)
    return patch / (patch.square().sum(1, keepdim=True) + TEXTURE).sqrt()


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """1 + products of `one` and of `other` moved by up to `RADIUS` pixels: two (N, C, H, W) -> (N, (2 RADIUS + 1)^2, H, W).

    Channel `(2 RADIUS + 1) column + row` is of what lies `column - RADIUS` to the right and `row - RADIUS` below. Outside it
    is 0, as of what is least alike.
    """
    height, width = one.shape[-2:]
    one, other = (torch.cat([each, torch.ones_like(each[:, :1])], dim=1) for each in (one, other))
    around = functional.pad(other, [RADIUS] * 4)  # (N, C + 1, H + 2 RADIUS, W + 2 RADIUS)
    strips = torch.stack([around[:, :, row : row + height] for row in range(SIDE)], dim=1)  # (N, SIDE, C + 1, H, W + 2 RADIUS)
    products = [(one[:, None] * strips[..., column : column + width]).sum(2) for column in range(SIDE)]
    return torch.cat(products, dim=1)


def gradient_step(one: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Lucas and Kanade's step (1981): the way that explains the difference of two pictures by their slopes, in windows.

    Args:
        one: (N, C, H, W).
        other: the same, moved onto it as well as is known.
        weight: (N, 1, H, W), 0 where one of them tells nothing.

    Returns:
        (N, 2, H, W), `(dx, dy)`, in pixels, less than `RADIUS`; towards 0 where nothing has a slope.
    """
    height, width = one.shape[-2:]
    around = functional.pad((one + other) / 2, [1] * 4, mode="replicate")
    right = (around[..., 1:-1, 2:] - around[..., 1:-1, :width]) / 2  # (N, C, H, W)
    down = (around[..., 2:, 1:-1] - around[..., :height, 1:-1]) / 2
    lacking = one - other
    maps = (right * right, right * down, down * down, right * lacking, down * lacking)
    sums = torch.cat([each.sum(1, keepdim=True) for each in maps], dim=1) * weight  # (N, 5, H, W)
    sums = functional.avg_pool2d(sums, WINDOW, stride=1, padding=WINDOW // 2)
    xx, xy, yy, x, y = sums.chunk(5, dim=1)
    xx, yy = xx + DAMPING, yy + DAMPING
    step = torch.cat([yy * x - xy * y, xx * y - xy * x], dim=1) / (xx * yy - xy * xy)
    return RADIUS * torch.tanh(step / RADIUS)


class Level(NamedTuple):
    """A frame at a level's size.

    Attributes:
        picture: (N, PICTURE, H, W) its colours as `normalised`, and what is clipped; float32.
        features: (N, MATCHED, H, W).
    """

    picture: Tensor
    features: Tensor


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

    def forward(self, frame: Tensor) -> list[Level]:
        """(N, 5, 64 h, 64 w) float32 -> five levels, the finest first, (16 h, 16 w), the last (h, w)."""
        found = []
        picture, features = frame[:, :PICTURE], frame.to(next(self.parameters()).dtype)
        for index in range(LEVELS):
            which = min(index, len(CHANNELS) - 1)
            features = self.levels[which](features)
            picture = functional.avg_pool2d(picture, 2 if index else FINEST)
            found.append(Level(picture, self.matched[which](features)))
        return found


class Estimator(nn.Module):
    """One level: what the moved reference shows beside the current frame, to a better flow. All levels share its weights."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (SIDE**2 + MATCHED + HIDDEN + 8, 64, 64, 48, 48)
        layers = [conv3x3(*each, dilation) for each, dilation in zip(itertools.pairwise(sizes), DILATIONS, strict=True)]
        self.layers = nn.Sequential(*(each for layer in layers for each in (layer, nn.LeakyReLU(SLOPE))))
        self.last = conv3x3(sizes[-1], 4 + HIDDEN)
        with torch.no_grad():
            self.last.weight[:4] *= 0.01  # the flow starts as what the two guesses say
        self.beliefs = nn.Parameter(torch.tensor(BELIEFS))  # (LEVELS, 2)
        # Logarithms move as weights do.
        self.sharpness, self.learned = (nn.Parameter(torch.tensor(value).log()) for value in (SHARPNESS, LEARNED))
        places = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float32)
        offsets = torch.stack([places.repeat_interleave(SIDE), places.repeat(SIDE)])  # (2, SIDE^2): dx, dy
        self.offsets: Tensor
        self.register_buffer("offsets", offsets[:, :, None, None], persistent=False)

    def forward(self, index: int, one: Level, other: Level, flow: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """A level of both frames to flow and what else it tells the next one.

        Args:
            index: of the level, 0 the finest.
            one: of the current frame.
            other: of the reference.
            flow: (N, 2, H, W) so far, in pixels of this level, float32.
            hidden: (N, HIDDEN, H, W) of the coarser level.

        Returns:
            Flow and hidden, of the sizes of those that came in.
        """
        kind = one.features.dtype
        along = flow.detach()  # each level learns from its own result
        belief = torch.sigmoid(self.beliefs[index])
        descriptions = [self.description(each, (one, other)) for each in (one, other)]
        products = correlation(descriptions[0], warp(descriptions[1].to(flow.dtype), along).to(kind))
        products = functional.avg_pool2d(products, AGGREGATED, stride=1, padding=AGGREGATED // 2, count_include_pad=False)
        length = self.offsets.square().sum(0).to(kind)  # (SIDE^2, 1, 1)
        likely = functional.softmax((products - NEARNESS * length) * self.sharpness.exp(), dim=1)
        match = functional.conv2d(likely, self.offsets.to(kind))  # (N, 2, H, W)
        shown = warp(other.picture, along + (belief[0] * match.detach()).to(flow.dtype))
        known = (1 - one.picture[:, 3:]) * (1 - shown[:, 3:])  # (N, 1, H, W)
        slope = gradient_step(one.picture[:, :3], shown[:, :3], known).to(kind)
        clipped = one.picture[:, 3:].to(kind), shown[:, 3:].to(kind)
        everything = torch.cat([products, match, slope, one.features, hidden, flow.to(kind) / RADIUS, *clipped], dim=1)
        found = self.last(self.layers(everything))
        ways = torch.sigmoid(found[:, 2:4] + self.beliefs[index].reshape(1, 2, 1, 1))
        step = found[:, :2] + ways[:, :1] * match + ways[:, 1:] * slope
        return flow + step.to(flow.dtype), found[:, 4:]

    def description(self, level: Level, both: tuple[Level, Level]) -> Tensor:
        """What a frame's pixels are compared by, (N, PATCH^2 + MATCHED, H, W): their surroundings, and learned features."""
        centre = sum(each.features.mean((2, 3), keepdim=True) for each in both) / 2  # else all of a frame point the same way
        learned = functional.normalize(level.features - centre, dim=1) * self.learned.exp()
        return torch.cat([described(level.picture[:, :3]).to(learned.dtype), learned], dim=1)


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
        ones, others = (self.pyramid(each) for each in both)
        count, _, rows, columns = ones[-1].features.shape
        flow = torch.zeros(count, 2, rows, columns, dtype=single, device=sdr.device)
        hidden = torch.zeros(count, HIDDEN, rows, columns, dtype=kind, device=sdr.device)
        found = []
        for index in reversed(range(LEVELS)):
            flow, hidden = self.estimator(index, ones[index], others[index], flow, hidden)
            found.append(flow * FINEST * 2**index)
            if index:
                flow = 2 * functional.interpolate(flow, scale_factor=2.0, mode="bilinear")
                hidden = functional.interpolate(hidden, scale_factor=2.0, mode="bilinear")
        return found
