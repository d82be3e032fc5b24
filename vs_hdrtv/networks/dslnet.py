"""DSLNet, the multi-frame fusion network for SDRTV-to-HDRTV: a window of SDR frames to the HDR frame in its middle.

Three stages, DMFA -> STFM -> LKQE, each of them usable alone: `DSLNet` is nothing but one after the other. What the paper
leaves open is decided here:

- 64 channels, one frame on each side (T = 1). LDOE has 32, which with both 3x3 convolutions of the LKRB (the text has the first,
  equation 8 the last) makes the paper's 0.93 M parameters.
- No ReLU after LDOE's last layer, contrary to the text: offsets must be able to point both ways. They are pixels of the full size
  and start at 0. One offset group a frame, or all frames would shift alike.
- The kernels of the dynamic convolution are one set a window (Han et al. 2022, the homogeneous kind), from the mean of its input.
- Modulation is `x (1 + a) + b`, where equations 6 and 7 have `x a + b`, so that zero modulation is the identity; it starts there.
- ColorBlocks pool by 3x3 averages at stride 2. Their norm is over the channels of each pixel, and the first has none:
  InstanceNorm, or a norm over red, green and blue, would take out how bright the frame is, which is what the vectors must know.
- The three SFMs share one field of spatial vectors, upsampled bilinearly. It is upsampled where it is used: at full size its 128
  channels would be the largest thing in the network.
- Branch 2 takes the aligned features, as branch 3 does.
- Initial weights carry the current frame through the first three channels from stage to stage, so that the untrained network
  gives nearly SDR's own signal times `WHITE`, from where a short training gets further than from an arbitrary picture.

The frame-global statistics are the means of LDOE's dynamic convolution, of TME and of CME.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from . import windows
from .blocks import global_average, stretched, zeroed
from .deformable import TAPS, DeformableConv2d
from .depthwise import DepthwiseConv2d, depthwise_conv2d

CHANNELS = 64
"""Of the features between the stages."""

SLOPE = 0.1
"""Of LeakyReLU below 0."""

BLOCKS = 4
"""LKRBs in a row."""

LARGE = 17
"""Side of the large kernels."""

SHRUNK = 32
"""Of the frame's side, one of the spatial vectors: five halvings."""

WHITE = 0.58
"""PQ code value of reference white, which SDR's white starts as."""


def _carry(layer: nn.Conv2d | DeformableConv2d, gain: float = 1.0, first: int = 0) -> None:
    """Let the first three channels of the output start as `gain` times the three of the input from `first` on."""
    centre = layer.weight.shape[-1] // 2
    with torch.no_grad():
        layer.weight[:3] = 0
        layer.weight[:3, first : first + 3, centre, centre] = gain * torch.eye(3)
        assert layer.bias is not None
        layer.bias[:3] = 0


def _of_current(frames: int) -> int:
    """The first of the current frame's channels in a window of `frames`."""
    return 3 * (frames // 2)


class DynamicDepthwiseConv(nn.Module):
    """Depthwise convolution whose kernels are predicted from the mean of its input; starts near the identity."""

    def __init__(self, channels: int, size: int = 7, ratio: int = 4) -> None:
        super().__init__()
        self.size = size
        output = nn.Conv2d(channels // ratio, channels * size**2, 1)
        self.kernels = nn.Sequential(nn.Conv2d(channels, channels // ratio, 1), nn.ReLU(), output)
        with torch.no_grad():
            output.weight.mul_(0.1)
            assert output.bias is not None
            output.bias.copy_(functional.one_hot(torch.tensor(size**2 // 2), size**2).repeat(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        n, c, h, w = x.shape
        kernels = self.kernels(global_average(x)).reshape(n * c, 1, self.size, self.size)
        # Pictures of a batch have kernels of their own: side by side as channels, each is a group.
        return depthwise_conv2d(x.reshape(1, n * c, h, w), kernels).reshape(n, c, h, w)


class LDOE(nn.Module):
    """Dynamic offset estimation with large kernels, at half the size.

    Args:
        frames: of the window.
        channels: hidden.
    """

    def __init__(self, frames: int, channels: int = 32) -> None:
        super().__init__()
        self.down = nn.Conv2d(3 * frames, channels, 3, stride=2, padding=1)
        self.wide_in = DepthwiseConv2d(channels, LARGE)
        self.dynamic = DynamicDepthwiseConv(channels)
        self.wide_out = DepthwiseConv2d(channels, LARGE)
        self.up = zeroed(nn.ConvTranspose2d(channels, 2 * TAPS * frames, 2, stride=2))

    def forward(self, window: Tensor) -> Tensor:
        """(N, 3 F, H, W) -> offsets (N, 18 F, H, W) in pixels."""
        height, width = window.shape[-2:]
        x = functional.relu(self.down(window))  # (N, C, H/2, W/2), rounded up
        x = functional.relu(self.wide_out(self.dynamic(self.wide_in(x))))
        return self.up(x)[:, :, :height, :width]  # type: ignore[no-any-return]  # (N, 18 F, H, W)


class DMFA(nn.Module):
    """Dynamic multi-frame alignment: a deformable convolution of all frames by LDOE's offsets."""

    def __init__(self, frames: int, channels: int = CHANNELS) -> None:
        super().__init__()
        self.offsets = LDOE(frames)
        self.deformable = DeformableConv2d(3 * frames, channels)
        _carry(self.deformable, first=_of_current(frames))

    def forward(self, *frames: Tensor) -> Tensor:
        """F frames (N, 3, H, W) in [0, 1], the current one in the middle -> aligned features (N, C, H, W)."""
        window = torch.cat(frames, dim=1)  # (N, 3 F, H, W)
        offsets = self.offsets(window)
        windows.check_reach(offsets, beyond=2)  # a tap's own pixel, and bilinear sampling's
        return self.deformable(window, offsets)  # type: ignore[no-any-return]


class Unaligned(nn.Module):
    """In the place of DMFA: stacked plain convolutions of all frames (Table 4)."""

    def __init__(self, frames: int, channels: int = CHANNELS) -> None:
        super().__init__()
        first = nn.Conv2d(3 * frames, channels, 3, padding=1)
        _carry(first, first=_of_current(frames))
        later = [nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3)]
        for conv in later:
            _carry(conv)
        self.convs = nn.Sequential(first, *(layer for conv in later for layer in (nn.ReLU(), conv)))

    def forward(self, *frames: Tensor) -> Tensor:
        """F frames (N, 3, H, W) -> features (N, C, H, W)."""
        return self.convs(torch.cat(frames, dim=1))  # type: ignore[no-any-return]


def average_pool() -> nn.AvgPool2d:
    """Half the size, rounded up; what lies outside does not count, so that edges are not darker."""
    return nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ColorBlock(nn.Module):
    """Norm, LeakyReLU, Pool, 1x1 (equation 2)."""

    def __init__(self, inputs: int, outputs: int, norm: nn.Module) -> None:
        super().__init__()
        self.norm, self.pool, self.conv = norm, average_pool(), nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H/2, W/2), rounded up."""
        return self.conv(self.pool(functional.leaky_relu(self.norm(x), SLOPE)))  # type: ignore[no-any-return]


class SME(nn.Module):
    """Spatial modulation vectors from the current frame: LeakyReLU, average pool, 1x1 (equation 3, before its upsampling)."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.pool, self.conv = average_pool(), zeroed(nn.Conv2d(inputs, 2 * channels, 1))

    def forward(self, current: Tensor) -> Tensor:
        """(N, K, h, w) -> scale and shift (N, 2 C, h/2, w/2)."""
        return self.conv(self.pool(functional.leaky_relu(current, SLOPE)))  # type: ignore[no-any-return]


class GlobalEstimation(nn.Module):
    """One modulation vector: 1x1, global average pool, 1x1. TME: of all frames' features (equation 4); CME: the current's (5)."""

    def __init__(self, inputs: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.conv_in, self.conv_out = nn.Conv2d(inputs, hidden, 1), zeroed(nn.Conv2d(hidden, 2 * channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, K, h, w) -> scale and shift (N, 2 C, 1, 1)."""
        return self.conv_out(global_average(self.conv_in(x)))  # type: ignore[no-any-return]


class ConditionNet(nn.Module):
    """Branch 1: the modulation vectors of a window (figure 6).

    Args:
        frames: of the window.
        channels: that are modulated.
        hidden: channels of the conditions.
    """

    def __init__(self, frames: int, channels: int, hidden: int = 32) -> None:
        super().__init__()
        later = (ColorBlock(hidden, hidden, ChannelNorm(hidden)) for _ in range(3))
        self.color = nn.Sequential(ColorBlock(3, hidden, nn.Identity()), *later)
        self.sme = SME(hidden, channels)
        self.tme = GlobalEstimation(frames * hidden, hidden, channels)
        self.cme = GlobalEstimation(hidden, hidden, channels)

    def forward(self, *frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """F frames (N, 3, H, W) -> temporal and current vector (N, 2 C, 1, 1), spatial vectors (N, 2 C, H/32, W/32)."""
        features = [self.color(frame) for frame in frames]  # each (N, K, H/16, W/16)
        current = features[len(features) // 2]
        return self.tme(torch.cat(features, dim=1)), self.cme(current), self.sme(current)


def feature_modulation(x: Tensor, vector: Tensor) -> Tensor:
    """TFM and CFM (equations 6, 7): `x (1 + a) + b`, a and b the halves of `vector`.

    (N, C, H, W), (N, 2 C, 1, 1) or of `x`'s size -> (N, C, H, W).
    """
    scale, shift = vector.chunk(2, dim=1)
    return x * (1 + scale) + shift


def spatial_feature_modulation(x: Tensor, vectors: Tensor) -> Tensor:
    """SFM (equation 7): (N, C, H, W), (N, 2 C, h, w) -> (N, C, H, W)."""
    return feature_modulation(x, stretched(vectors, x.shape[-2:], SHRUNK, "bilinear"))


class ModulationBranch(nn.Module):
    """Branch 2: 1x1, TFM, then three times ReLU, 1x1, CFM, SFM (figure 7), by the vectors of branch 1."""

    def __init__(self, frames: int, channels: int, repeats: int = 3) -> None:
        super().__init__()
        self.condition = ConditionNet(frames, channels)
        self.conv = nn.Conv2d(channels, channels, 1)
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(repeats))
        for conv in (self.conv, *self.convs):
            _carry(conv)

    def forward(self, aligned: Tensor, *frames: Tensor) -> Tensor:
        """(N, C, H, W), F frames (N, 3, H, W) -> (N, C, H, W)."""
        temporal, current, spatial = self.condition(*frames)
        x = feature_modulation(self.conv(aligned), temporal)
        for conv in self.convs:
            x = feature_modulation(conv(functional.relu(x)), current)
            x = spatial_feature_modulation(x, spatial)
        return x


class Unmodulated(nn.Module):
    """In the place of branches 1 and 2: stacked plain convolutions (Table 5)."""

    def __init__(self, frames: int, channels: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        for conv in (first, second):
            _carry(conv)
        self.convs = nn.Sequential(first, nn.ReLU(), second)

    def forward(self, aligned: Tensor, *frames: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W); the frames are not looked at."""
        return self.convs(aligned)  # type: ignore[no-any-return]


class LKRB(nn.Module):
    """Large-kernel residual block: 3x3, ReLU, depthwise 17x17, ReLU, 3x3, and the input added (equation 8)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, channels, 3, padding=1)
        self.wide = DepthwiseConv2d(channels, LARGE)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            for parameter in self.conv_out.parameters():
                parameter.mul_(0.1)  # four in series start near the identity

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x + self.conv_out(functional.relu(self.wide(functional.relu(self.conv_in(x)))))  # type: ignore[no-any-return]


class STFM(nn.Module):
    """Spatial-temporal feature modulation: the modulated features (branches 1 and 2) plus residual ones (branch 3).

    Args:
        frames: of the window.
        channels: of the features.
        branch: makes branches 1 and 2, with frames and channels.
    """

    def __init__(self, frames: int, channels: int = CHANNELS, branch: type[nn.Module] = ModulationBranch) -> None:
        super().__init__()
        self.modulation = branch(frames, channels)
        entry = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        blocks = (LKRB(channels) for _ in range(BLOCKS))
        last = nn.Conv2d(channels, channels, 3, padding=1)
        _carry(last, 0.0)  # the modulated features have the frame already
        self.residual = nn.Sequential(*(layer for conv in entry for layer in (conv, nn.LeakyReLU(SLOPE))), *blocks, last)

    def forward(self, aligned: Tensor, *frames: Tensor) -> Tensor:
        """Aligned features (N, C, H, W) and the F frames (N, 3, H, W) -> modulated features (N, C, H, W)."""
        return self.modulation(aligned, *frames) + self.residual(aligned)  # type: ignore[no-any-return]


class LKQE(nn.Module):
    """Large-kernel quality enhancement: 3x3, ReLU, four LKRBs, 3x3 to the HDR frame."""

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        first, last = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, 3, 3, padding=1)
        _carry(first)
        _carry(last, WHITE)
        self.layers = nn.Sequential(first, nn.ReLU(), *(LKRB(channels) for _ in range(BLOCKS)), last)

    def forward(self, modulated: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 3, H, W)."""
        return self.layers(modulated)  # type: ignore[no-any-return]


ALIGNMENTS: Mapping[bool, type[nn.Module]] = {True: DMFA, False: Unaligned}
MODULATIONS: Mapping[bool, type[nn.Module]] = {True: ModulationBranch, False: Unmodulated}


class DSLNet(nn.Module):
    """A window of SDR frames to the HDR frame in its middle: `enhance(modulate(align(*frames), *frames))`.

    Input: 2T + 1 frames `sdr` (N, 3, H, W) in [0, 1], in time order, BT.709 gamma signal, H and W at least 32. Output `hdr`
    (N, 3, H, W), BT.2020 PQ signal, not clamped.

    Args:
        radius: T, frames on each side of the current one.
        channels: of the features between the stages.
        alignment: DMFA; without, plain convolutions (Table 4).
        modulation: branches 1 and 2 of STFM; without, plain convolutions (Table 5).
    """

    def __init__(self, radius: int = 1, channels: int = CHANNELS, *, alignment: bool = True, modulation: bool = True) -> None:
        super().__init__()
        self.frames = 2 * radius + 1
        self.align = ALIGNMENTS[alignment](self.frames, channels)
        self.modulate = STFM(self.frames, channels, MODULATIONS[modulation])
        self.enhance = LKQE(channels)

    def forward(self, *frames: Tensor) -> Tensor:
        """2T + 1 frames (N, 3, H, W) -> (N, 3, H, W).

        Raises:
            InputError: there are more or fewer frames.
        """
        if len(frames) != self.frames:
            raise InputError(f"dslnet: got {len(frames)} frames; this network takes {self.frames}, the current one in the middle")
        return self.enhance(self.modulate(self.align(*frames), *frames))  # type: ignore[no-any-return]
