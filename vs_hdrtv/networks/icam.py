"""ICAM of VITM-TC: one over-exposed key frame, recovered from references that were exposed otherwise, folded in one by one.

Ye et al., Deep Video Inverse Tone Mapping Based on Temporal Clues, section 3.3. `networks/orders.py` says in which order the
parts are run. What the paper leaves open is decided here:

- 24 channels at full size, 32, 48, 64, 96 at 1/2 ... 1/16: full size costs memory and time, and a frame meets it twelve times.
- Of the features' channels, three are the frame's code and never change, three are the *clue*, the code as it is known so far,
  one is how much of it references have told, and the rest is learned. The clue starts as the code; each reference replaces a
  part of it, as much as its validity mask says. The result is the clue and a residual, brought to light by the inverse camera
  curve. So an untrained network gives the frame's own light without references, and with them a mixture with warped
  references, from where a short training gets further.
- What is learned is replaced as the clue is, so that many references add up to no more than a few, on which it is trained.
- What clipped is at least as bright as it is shown.
- The residual counts as much as references have told. A guess from the frame alone is what other networks are for (PDCG): where
  no reference shows what is lost, the frame's own light stays, and with it what another stage made of it.
- A reference is brought to the frame's exposure (`exposure.gain_around`, measured on what both expose well) as it is collected.
- The flow's correction is made at 1/4, the residual offsets of the deformable convolution at 1/2, both starting at 0; the offsets
  reach `FARTHEST` pixels from the flow. 8 groups, modulated; modulation starts at 1.
- A reference that clips lends nothing, but where the frame clips too and less light than it: then it tells how bright it is at
  least, and a sky of which one cloud is seen has no hole around it.
- The validity mask sees both frames' features and where the reference clips; outside the reference it is 0. It starts
  at a half of `exposure.agreement`, which is measured: what a reference shows must fit what the frame tells, around and there.
- The deepest features start as their own; `aggregate` adds to them.
- `correct` compares with the frame's own features, `collect` with those that earlier references were folded into.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..color.arrays import unit
from ..color.overexposure import overexposure_mask
from ..errors import InputError
from . import orders
from .blocks import zeroed
from .deformable import TAPS, DeformableConv2d, deform_conv3x3
from .exposure import agreement, code_of_signal, gain_around, light_of_code, signal_of_code
from .kpn_mfi import conv3x3
from .parts import ICAM_CHANNELS, ICAM_LEVELS
from .swin import SwinBlock, extended
from .warping import warp, within

GROUPS, CHANNELS = 8, (16, 24, 48)
"""Offset groups of the deformable convolution, and channels of which those of light are whole groups."""

SLICES = 2
"""In which the groups are gone through, one after another."""

FARTHEST = 8.0
"""Pixels that a tap may look away from where the flow points."""

GROWTH, DENSE_LAYERS, DENSE_BLOCKS = 12, 2, 3
"""Channels that a layer of a dense block adds, layers of a block, blocks."""

SWIN_BLOCKS = 4
"""In `aggregate`."""

BRIGHTER = 0.05
"""Code by which a clipped reference has to exceed what is known, to be taken for what is seen there at least."""

SLOPE = 0.1
"""Of LeakyReLU below 0."""

CODE, CLUE, TOLD, CARRIED = slice(0, 3), slice(3, 6), slice(6, 7), 7
"""Channels of the features: the frame's code, what is known of it so far, how much of that references have told, and how many
these are together."""

ALIGNMENTS = ("none", "flow", "corrected", "guided")
"""How far a reference is aligned, rows of the paper's Table 2: taken as it lies, warped by the flow that is given, by the
corrected one, or by that and offsets of its own."""

relu = partial(functional.leaky_relu, negative_slope=SLOPE)


class Encode(nn.Module):
    """The first encoder block, F^l."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in, self.conv_out = conv3x3(3, channels), conv3x3(channels, channels - CARRIED)

    def forward(self, sdr: Tensor) -> Tensor:
        """(N, 3, H, W) -> features (N, C, H, W)."""
        code = code_of_signal(sdr)
        untold = torch.zeros_like(code[:, :1])
        return torch.cat([code, code, untold, relu(self.conv_out(relu(self.conv_in(code))))], dim=1)  # (N, C, H, W)


class Correct(nn.Module):
    """Flow correction (equation 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        convs = conv3x3(3 * channels, 32, stride=2), conv3x3(32, 48, stride=2), *(conv3x3(48, 48, dilation=d) for d in (1, 2, 1))
        self.convs = nn.Sequential(*(each for conv in convs for each in (conv, nn.LeakyReLU(SLOPE))))
        self.last = zeroed(conv3x3(48, 2))

    def forward(self, features: Tensor, reference_features: Tensor, flow: Tensor) -> Tensor:
        """Two of (N, C, H, W), flow (N, 2, H, W) -> flow (N, 2, H, W)."""
        seen = [features, reference_features, warp(reference_features, flow)]
        correction = self.last(self.convs(torch.cat(seen, dim=1)))  # (N, 2, H/4, W/4), in pixels of that size
        return flow + 4 * functional.interpolate(correction, scale_factor=4.0, mode="bilinear")


class Given(nn.Module):
    """In place of `Correct`: the flow as it is given, times `share`."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, features: Tensor, reference_features: Tensor, flow: Tensor) -> Tensor:
        """Two of (N, C, H, W), which play no part, flow (N, 2, H, W) -> flow (N, 2, H, W)."""
        return self.share * flow


class Collect(nn.Module):
    """Flow-guided modulated deformable convolution (equation 5), and the validity mask of what it gives.

    Args:
        channels: of the features.
        guided: offsets and modulation are found; otherwise it is a plain convolution of what the flow points at.
        hidden: channels of the layers that find them.
    """

    def __init__(self, channels: int, guided: bool = True, hidden: int = 32) -> None:
        super().__init__()
        self.offsets: nn.Module | None = None
        if guided:
            self.offsets = nn.Sequential(
                conv3x3(2 * channels, hidden, stride=2),
                nn.LeakyReLU(SLOPE),
                conv3x3(hidden, hidden),
                nn.LeakyReLU(SLOPE),
                zeroed(nn.Conv2d(hidden, 3 * TAPS * GROUPS, 1)),
            )
        self.light = TOLD.start * GROUPS // channels
        self.deformable = DeformableConv2d(channels, channels - 1)
        self.masks = nn.Sequential(conv3x3(2 * channels, 16), nn.LeakyReLU(SLOPE), zeroed(conv3x3(16, channels - 3)))
        with torch.no_grad():  # the reference's code starts as it is, merely moved
            self.deformable.weight[CODE] = 0
            self.deformable.weight[CODE, CODE, 1, 1] = torch.eye(3)
            self.deformable.bias[CODE] = 0

    def forward(self, features: Tensor, reference_features: Tensor, flow: Tensor) -> Tensor:
        """Two of (N, C, H, W), flow (N, 2, H, W) -> aligned (N, C, H, W): code by its mask, that mask, features by theirs."""
        collected, valid, empty = self.collected(features, reference_features, flow)
        own = valid[:, :1] * (1 - empty)
        return torch.cat([collected[:, CODE] * own, own, collected[:, 3:] * valid[:, 1:]], dim=1)

    def collected(self, features: Tensor, reference_features: Tensor, flow: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The arguments of `forward` -> unmasked (N, C - 1, H, W), masks (N, C - 3, H, W), what lends none (N, 1, H, W)."""
        inside = within(flow)
        moved = warp(reference_features, flow)
        own, signal = (signal_of_code(each[:, CODE]) for each in (features, moved))  # (N, 3, H, W)
        factor = code_of_signal(gain_around(own, signal, inside)).to(moved.dtype)  # (N, 1, H, W)
        moved = torch.cat([moved[:, : TOLD.start] * factor, moved[:, TOLD.start :]], dim=1)
        mask, clipped = overexposure_mask(own), overexposure_mask(signal)
        fits = agreement(features[:, CODE], moved[:, CODE], mask, clipped, inside).to(moved.dtype)
        more = (moved[:, CODE] - features[:, CLUE]).amax(1, keepdim=True).detach() / BRIGHTER  # (N, 1, H, W)
        if self.offsets is None:
            collected = functional.conv2d(moved, self.deformable.weight, self.deformable.bias, padding=1)
        else:
            collected = self.deformed(reference_features, self.offsets(torch.cat([features, moved], dim=1)), flow, factor)
        valid = torch.sigmoid(self.masks(torch.cat([features, collected, clipped], dim=1))) * inside * fits
        return collected, valid, clipped * (1 - mask * unit(more))

    def deformed(self, x: Tensor, found: Tensor, flow: Tensor, factor: Tensor) -> Tensor:
        """The deformable convolution, some groups at a time: offsets and modulation are 216 channels, most of the memory of ICAM.

        (N, C, H, W), what the offsets' layers say (N, 27 G, H/2, W/2), flow (N, 2, H, W), factor of the channels that are light
        (N, 1, H, W) -> (N, C - 1, H, W).
        """
        y = self.deformable.bias.reshape(1, -1, 1, 1)
        light = [min(max(self.light - first, 0), GROUPS // SLICES) for first in range(0, GROUPS, GROUPS // SLICES)]  # groups
        parts = x, *torch.split(found, [2 * TAPS * GROUPS, TAPS * GROUPS], dim=1), self.deformable.weight
        slices = zip(*(each.chunk(SLICES, dim=1) for each in parts), light, strict=True)
        for some, residual, modulation, weight, groups in slices:
            offset, mask = self.guided(residual, modulation, flow)
            # Where a tap's light is multiplied makes no difference, so that its modulation can be.
            mask = torch.cat([mask[:, : groups * TAPS] * factor, mask[:, groups * TAPS :]], dim=1)
            y = y + deform_conv3x3(some, offset, weight, mask=mask)
        return y

    @staticmethod
    def guided(residual: Tensor, modulation: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Of g groups (N, 18 g, H/2, W/2), (N, 9 g, H/2, W/2), flow -> offsets (N, 18 g, H, W), modulation (N, 9 g, H, W)."""
        residual, modulation = (
            functional.interpolate(each, scale_factor=2.0, mode="bilinear")
            for each in (FARTHEST * torch.tanh(residual), 2 * torch.sigmoid(modulation))
        )
        offset = torch.unflatten(residual, 1, (-1, 2)) + flow.flip(1)[:, None]  # (N, 9 g, 2, H, W), (dy, dx)
        return offset.flatten(1, 2), modulation


class Validity(nn.Module):
    """M_ref alone, averaged over its channels, sharing the weights of `collect`."""

    opset = DeformableConv2d.opset

    def __init__(self, collect: Collect) -> None:
        super().__init__()
        self.collect = collect

    def forward(self, features: Tensor, reference_features: Tensor, flow: Tensor) -> Tensor:
        """Two of (N, C, H, W), flow (N, 2, H, W) -> mask (N, 1, H, W) in [0, 1]."""
        return self.collect.collected(features, reference_features, flow)[1].mean(1, keepdim=True)


class Warp(nn.Module):
    """The plain backward warp, which has no weights."""

    def forward(self, sdr: Tensor, flow: Tensor) -> Tensor:
        """The reference (N, 3, H, W), flow (N, 2, H, W) -> (N, 3, H, W)."""
        return warp(sdr, flow)


class DenseBlock(nn.Module):
    """Layers that each see what all before them gave, brought to the input's channels and added to it (Huang et al. 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv3x3(channels + GROWTH * index, GROWTH) for index in range(DENSE_LAYERS))
        self.last = nn.Conv2d(channels + GROWTH * DENSE_LAYERS, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        found = x
        for layer in self.layers:
            found = torch.cat([found, relu(layer(found))], dim=1)
        return x + self.last(found)  # type: ignore[no-any-return]


class Fuse(nn.Module):
    """Three dense blocks over the frame's features and the aligned ones (equation 6)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        blocks = (DenseBlock(channels) for _ in range(DENSE_BLOCKS))
        last = nn.Conv2d(channels, channels - CARRIED, 1)
        self.layers = nn.Sequential(nn.Conv2d(2 * channels, channels, 1), *blocks, last)

    def forward(self, features: Tensor, aligned: Tensor) -> Tensor:
        """Two of (N, C, H, W) -> features (N, C, H, W)."""
        valid = aligned[:, 3:4]
        learned = features[:, CARRIED:] * (1 - valid) + self.layers(torch.cat([features, aligned], dim=1)) * valid
        clue = features[:, CLUE] * (1 - valid) + aligned[:, CODE]
        told = features[:, TOLD] * (1 - valid) + valid
        return torch.cat([features[:, CODE], clue, told, learned], dim=1)


class Aggregate(nn.Module):
    """Global feature aggregation: four Swin blocks over both frames' deepest features (equation 7)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.entry = nn.Conv2d(2 * channels, channels, 1)
        self.blocks = nn.ModuleList(SwinBlock(channels, shifted=bool(index % 2)) for index in range(SWIN_BLOCKS))
        self.last = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, deep: Tensor, deep_reference: Tensor) -> Tensor:
        """Two of (N, C5, H/16, W/16) -> (N, C5, H/16, W/16)."""
        height, width = deep.shape[-2:]
        x, unseen = extended(self.entry(torch.cat([deep, deep_reference], dim=1)))
        for block in self.blocks:
            x = block(x, unseen)
        return deep + self.last(x[:, :, :height, :width])  # type: ignore[no-any-return]


class Alone(nn.Module):
    """In place of `Aggregate`: the frame's own features."""

    def forward(self, deep: Tensor, deep_reference: Tensor) -> Tensor:
        """Two of (N, C5, H/16, W/16) -> the first."""
        return deep


class Reconstruct(nn.Module):
    """The U-Net below its first encoder block: encoder levels, decoder with skips, and the residual."""

    def __init__(self, channels: int, levels: Sequence[int]) -> None:
        super().__init__()
        sizes = [channels, *levels]
        self.downs = nn.ModuleList(
            nn.Sequential(conv3x3(fine, coarse, stride=2), nn.LeakyReLU(SLOPE), conv3x3(coarse, coarse), nn.LeakyReLU(SLOPE))
            for fine, coarse in zip(sizes, levels, strict=False)
        )
        self.ups = nn.ModuleList(conv3x3(coarse + fine, fine) for fine, coarse in zip(sizes, levels, strict=False))
        self.last = zeroed(conv3x3(channels, 3))

    def descend(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> the deepest features (N, C5, H/16, W/16)."""
        for down in self.downs:
            features = down(features)
        return features

    def forward(self, features: Tensor, deep: Tensor) -> Tensor:
        """(N, C, H, W), (N, C5, H/16, W/16) -> linear (N, 3, H, W)."""
        skips = [features]
        for down in list(self.downs)[:-1]:
            skips.append(down(skips[-1]))
        x = deep
        for up, skip in zip(reversed(self.ups), reversed(skips), strict=True):
            x = relu(up(torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1)))
        code = features[:, CLUE] + features[:, TOLD] * self.last(x)
        return light_of_code(torch.maximum(code, features[:, CODE]))


class Descend(nn.Module):
    """The U-Net's encoder alone, sharing the weights of `reconstruct`."""

    def __init__(self, reconstruct: Reconstruct) -> None:
        super().__init__()
        self.reconstruct = reconstruct

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C5, H/16, W/16)."""
        return self.reconstruct.descend(features)


class ICAM(nn.Module):
    """A key frame's light from the frame and any number of references.

    Signals: `sdr` (N, 3, H, W) in [0, 1], `flow` (N, 2, H, W) pixels, `linear` (N, 3, H, W) in [0, inf), 1.0 = reference white;
    H and W multiples of 16, at least 64.

    Args:
        channels: of the features at full size, of `CHANNELS`.
        levels: channels at 1/2 ... 1/16; the last a multiple of 4.
        alignment: of `ALIGNMENTS`; less than all of it is for the ablation.
        aggregation: the global block is there; without it for the ablation.

    Raises:
        InputError: the numbers are others.
    """

    def __init__(
        self,
        channels: int = ICAM_CHANNELS,
        levels: Sequence[int] = ICAM_LEVELS,
        alignment: str = "guided",
        aggregation: bool = True,
    ) -> None:
        super().__init__()
        if alignment not in ALIGNMENTS:
            raise InputError(f"icam: alignment is {alignment!r}; give one of {', '.join(ALIGNMENTS)}")
        if channels not in CHANNELS or len(levels) != 4 or levels[-1] % 4:
            raise InputError(
                f"icam: channels is {channels} and levels {list(levels)}; give {', '.join(map(str, CHANNELS))}, and four "
                "numbers, the last a multiple of 4"
            )
        self.arguments = {"channels": channels, "levels": list(levels)}
        if (alignment, aggregation) != ("guided", True):
            self.arguments |= {"alignment": alignment, "aggregation": aggregation}
        known = ALIGNMENTS.index(alignment)
        self.encode, self.collect = Encode(channels), Collect(channels, guided=known == 3)
        self.correct = Correct(channels) if known >= 2 else Given(1.0 if known else 0.0)
        self.aggregate = Aggregate(levels[-1]) if aggregation else Alone()
        self.fuse, self.reconstruct = Fuse(channels), Reconstruct(channels, levels)
        sizes = [channels, *levels]
        convs = (conv3x3(fine, coarse, stride=2) for fine, coarse in zip(sizes, levels, strict=False))
        self.condense = nn.Sequential(*(each for conv in convs for each in (conv, nn.LeakyReLU(SLOPE))))
        self.warp = Warp()

    def part(self, name: str) -> nn.Module:
        """A part by its name in `parts`; two share the weights of others, so that no weight has two names."""
        if name == "descend":
            return Descend(self.reconstruct)
        return Validity(self.collect) if name == "validity" else self.get_submodule(name)

    def forward(self, sdr: Tensor, references: Sequence[Tensor], flows: Sequence[Tensor]) -> Tensor:
        """A frame, its references (each (N, 3, H, W)) and the flows to them (each (N, 2, H, W)) -> linear (N, 3, H, W)."""
        return self.with_flows(sdr, references, flows)[0]

    def with_flows(self, sdr: Tensor, references: Sequence[Tensor], flows: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """As `forward`, with the corrected flows (for the loss of equation 4), each (N, 2, H, W)."""
        corrected: list[Tensor] = []

        def correct(*arguments: Tensor) -> Tensor:
            corrected.append(self.correct(*arguments))
            return corrected[-1]

        run: dict[str, Callable[..., Any]] = {name: self.part(name) for name in orders.RECOVER} | {"correct": correct}
        return orders.recover(run, sdr, zip(references, flows, strict=True)), corrected
