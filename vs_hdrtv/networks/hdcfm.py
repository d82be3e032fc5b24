"""HDCFM: hierarchical dynamic context feature mapping (He et al., ACM Multimedia 2022), SDR frame to HDR frame.

Published structure, 100,682 parameters. What the paper leaves open is decided in the model card. The arguments
`transformation`, `context` and `modulation` take parts out of it: the rows of the paper's ablation (`scripts/ablation.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from . import statistics
from .blocks import (
    ContextBlock,
    DecoupledDynamicFilter,
    InstanceNorm,
    global_average,
    scaled_conv1x1,
    stretched,
    thumbnail,
    zeroed,
)
from .light import changed

CONDITIONS = 6
"""Length of the modulation condition, global and local."""

SHRUNK = 32
"""Of the frame's side, one of the local map: five halvings."""


class HierarchicalModulationEstimation(nn.Module):
    """HME: the frame's global vector and local map of conditions (section 3.2.3).

    Args:
        dropout: share of the features that training leaves out.
        wants_vector: False where nothing reads the global vector, which is then None.
        wants_map: the same for the local map.
        thumbnail: side in pixels of the square that it looks at in place of the frame; 0 for the frame itself, as published.
    """

    CHANNELS = (3, 16, 32, 64, 128, 128)

    def __init__(self, dropout: float, wants_vector: bool = True, wants_map: bool = True, thumbnail: int = 0) -> None:
        super().__init__()
        self.thumbnail = thumbnail
        blocks = len(self.CHANNELS) - 1
        self.convs = nn.ModuleList(nn.Conv2d(self.CHANNELS[i], self.CHANNELS[i + 1], 1) for i in range(blocks))
        self.norms = nn.ModuleList(InstanceNorm(c) for c in self.CHANNELS[1:-1])
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.global_vector = nn.Conv2d(self.CHANNELS[-1], CONDITIONS, 1) if wants_vector else None
        self.local_map = nn.Conv2d(self.CHANNELS[-1], CONDITIONS, 1) if wants_map else None

    def forward(self, sdr: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """(N, 3, H, W) -> the global vector (N, 6) and the local map (N, 6, H, W)."""
        return self.conditions(self.features(sdr), sdr.shape[2:])

    def features(self, sdr: Tensor) -> Tensor:
        """What both conditions are made of: (N, 3, H, W) -> (N, 128, H/32, W/32), rounded up, H and W being the thumbnail's."""
        if not self.thumbnail:
            return self._features(sdr)
        side = -(-self.thumbnail // SHRUNK)

        def compute(x: Tensor) -> Tensor:
            with statistics.suspended():
                return self._features(x)

        seen = (thumbnail(sdr, self.thumbnail),)
        return statistics.statistic(compute, self.CHANNELS[-1], side, side, of=seen, whole=True)

    def apart(self) -> contextlib.AbstractContextManager[None]:
        """For what is made of `features` alone: those of a thumbnail are statistics of the frame themselves."""
        return statistics.suspended() if self.thumbnail else contextlib.nullcontext()

    def _features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 128, H/32, W/32), rounded up."""
        for index, conv in enumerate(self.convs):
            x = functional.leaky_relu(self.pool(conv(x)), 0.2)  # half the size, rounded up
            if index < len(self.norms):
                x = self.norms[index](x)
        return x

    def conditions(self, x: Tensor, size: torch.Size) -> tuple[Tensor | None, Tensor | None]:
        """`features` -> the global vector (N, 6) and the local map (N, 6, H, W) of `size`."""
        vector = local = None
        if self.global_vector is not None:
            with self.apart():
                vector = global_average(self.global_vector(self.dropout(x))).flatten(1)  # (N, 6)
        if self.local_map is not None:
            local = self._full_size(self.local_map(self.dropout(x)), size)
        return vector, local

    def _full_size(self, local: Tensor, size: torch.Size) -> Tensor:
        """(N, 6, H/32, W/32) -> (N, 6, H, W)."""
        if self.thumbnail:  # few and large cells: between them the conditions pass over smoothly
            return functional.leaky_relu(stretched(local, size, None, "bilinear"), 0.2)
        # The 1x1 convolution commutes with nearest upsampling: done at 1/32, the 128-channel full-size map never exists.
        local = stretched(local, size, SHRUNK, "nearest")  # (N, 6, H, W)
        local = functional.avg_pool2d(local, 3, stride=1, padding=1)
        return functional.leaky_relu(local, 0.2)


def _small[Layer: (nn.Linear, nn.Conv2d)](layer: Layer) -> Layer:
    """`layer` with a tenth of its initial weights: modulation starts near the identity."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.1)
    return layer


class GlobalModulation(nn.Module):
    """Scale and shift per channel, `x s + b + x`, from the global vector (section 3.2.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = _small(nn.Linear(CONDITIONS, channels))
        self.shift = _small(nn.Linear(CONDITIONS, channels))

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """(N, C, H, W), (N, 6) -> (N, C, H, W)."""
        scale: Tensor = self.scale(vector)[:, :, None, None]  # (N, C, 1, 1)
        shift: Tensor = self.shift(vector)[:, :, None, None]
        return x * (scale + 1) + shift


class LocalModulation(nn.Module):
    """Scale and shift per channel and pixel, `x s + b + x`, from the local map (section 3.2.2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = _small(nn.Conv2d(CONDITIONS, channels, 1))
        self.shift = _small(nn.Conv2d(CONDITIONS, channels, 1))

    def forward(self, x: Tensor, local: Tensor) -> Tensor:
        """(N, C, H, W), (N, 6, H, W) -> (N, C, H, W)."""
        scale: Tensor = self.scale(local)  # (N, C, H, W)
        shift: Tensor = self.shift(local)
        return x * (scale + 1) + shift


class Unmodulated(nn.Module):
    """In the place of a modulation that is left out."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """`x`."""
        return x


class Unfiltered(nn.Module):
    """In the place of a DDF that is left out: what remains of a DYCT is its 1x1 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        """`gain * x`: (N, C, H, W), (N, C, 1, 1) or None for 1 -> (N, C, H, W)."""
        return x if gain is None else x * gain


class Contextless(nn.Module):
    """In the place of a context block that is left out."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> None:
        """No gain."""


Layer = type[nn.Module]
"""Made with the number of channels."""


@dataclass(frozen=True)
class Modulation:
    """What a choice of modulation puts where: in the first two stages (`inner`), and on the three channels of the last."""

    inner_global: Layer
    inner_local: Layer
    last_global: Layer
    last_local: Layer


MODULATIONS: Mapping[str, Modulation] = {
    "global": Modulation(GlobalModulation, Unmodulated, GlobalModulation, Unmodulated),
    # "Local instead of global" (section 4.2) in all three places, or one modulation fewer would be compared.
    "local": Modulation(Unmodulated, LocalModulation, Unmodulated, LocalModulation),
    "hierarchical": Modulation(GlobalModulation, LocalModulation, GlobalModulation, Unmodulated),
}
"""Which modulation there is; the published network's is hierarchical, and its last stage has the global one alone."""

_FILTERS: Mapping[bool, Layer] = {True: DecoupledDynamicFilter, False: Unfiltered}
_CONTEXTS: Mapping[bool, Layer] = {True: ContextBlock, False: Contextless}


def _signal(sdr: Tensor, last: Tensor) -> Tensor:
    """The paper's: the last layer gives the PQ signal itself."""
    return last


OUTPUTS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"signal": _signal, "light": changed}
"""What the three channels of the last layer mean, of `sdr` and of them."""


class FirstStage(nn.Module):
    """1x1, then twice a context block and a DDF."""

    def __init__(self, channels: int, dynamic_filter: Layer = DecoupledDynamicFilter, context: Layer = ContextBlock) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 1)
        self.context1, self.filter1 = context(channels), dynamic_filter(channels)
        self.context2, self.filter2 = context(channels), dynamic_filter(channels)

    def forward(self, sdr: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, C, H, W)."""
        x = self.conv(sdr)
        x = self.filter1(x, self.context1(x))
        return self.filter2(x, self.context2(x))  # type: ignore[no-any-return]


class MiddleStage(nn.Module):
    """The published network's `HR` stage: one DYCT (DDF, context block) and a 1x1."""

    def __init__(self, channels: int, dynamic_filter: Layer = DecoupledDynamicFilter, context: Layer = ContextBlock) -> None:
        super().__init__()
        self.filter, self.context = dynamic_filter(channels), context(channels)
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        x = self.filter(x)
        return scaled_conv1x1(self.conv, x, self.context(x))


class LastStage(nn.Module):
    """Two DYCTs and a 1x1 to three channels."""

    def __init__(self, channels: int, dynamic_filter: Layer = DecoupledDynamicFilter, context: Layer = ContextBlock) -> None:
        super().__init__()
        self.filter1, self.context1 = dynamic_filter(channels), context(channels)
        self.filter2, self.context2 = dynamic_filter(channels), context(channels)
        self.conv = nn.Conv2d(channels, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 3, H, W)."""
        x = self.filter1(x)
        x = self.filter2(x, self.context1(x))
        return scaled_conv1x1(self.conv, x, self.context2(x))


class HDCFM(nn.Module):
    """SDR to HDR feature mapping with hierarchical modulation and dynamic context transformation.

    Input `sdr` (N, 3, H, W) in [0, 1], BT.709 gamma signal, H and W at least 32. Output `hdr` (N, 3, H, W), BT.2020 PQ
    signal, not clamped.

    Args:
        channels: of the three stages.
        dropout: of the conditions, in training.
        transformation: local feature transformation (the DDFs; M1 of Table 2). Without, plain 1x1 convolutions remain.
        context: context blocks (M2).
        modulation: key of `MODULATIONS` (M0, M3, M4).
        output: key of `OUTPUTS`: the published network gives the "signal"; "light" gives what `light.changed` does to the BT.2408
            mapping, from which training then starts, and by which grey stays grey and black black.
        thumbnail: side in pixels of the square that the conditions are made of, squeezed by means; 0 for the frame itself, as
            published, whose pools and norms see other statistics at every size of frame.

    Raises:
        InputError: there is no such modulation or output, or `thumbnail` is too small to be shrunk.
    """

    def __init__(
        self,
        channels: int = 64,
        dropout: float = 0.5,
        *,
        transformation: bool = True,
        context: bool = True,
        modulation: str = "hierarchical",
        output: str = "signal",
        thumbnail: int = 0,
    ) -> None:
        super().__init__()
        if modulation not in MODULATIONS:
            raise InputError(f"hdcfm: unknown modulation {modulation!r}; choose one of {', '.join(MODULATIONS)}")
        if output not in OUTPUTS:
            raise InputError(f"hdcfm: unknown output {output!r}; choose one of {', '.join(OUTPUTS)}")
        layers = MODULATIONS[modulation]
        blocks = _FILTERS[transformation], _CONTEXTS[context]
        wants = (layers.inner_global is not Unmodulated, layers.inner_local is not Unmodulated)
        if thumbnail and thumbnail < SHRUNK:
            raise InputError(f"hdcfm: thumbnail is {thumbnail}; give {SHRUNK} pixels or more, or 0 for the frame itself")
        self.condition = HierarchicalModulationEstimation(dropout, *wants, thumbnail)
        self.first = FirstStage(channels, *blocks)
        self.first_global, self.first_local = layers.inner_global(channels), layers.inner_local(channels)
        self.middle = MiddleStage(channels, *blocks)
        self.middle_global, self.middle_local = layers.inner_global(channels), layers.inner_local(channels)
        self.last = LastStage(channels, *blocks)
        self.last_global, self.last_local = layers.last_global(3), layers.last_local(3)
        self.output = output
        if output == "light":
            zeroed(self.last.conv)

    def forward(self, sdr: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 3, H, W)."""
        return self.mapped(sdr, *self.condition(sdr))

    def mapped(self, sdr: Tensor, vector: Tensor | None, local: Tensor | None) -> Tensor:
        """`sdr` under its conditions: (N, 3, H, W), (N, 6), (N, 6, H, W) -> (N, 3, H, W)."""
        x = self.first_local(self.first_global(self.first(sdr), vector), local)
        x = torch.relu(x)  # (N, C, H, W)
        x = self.middle_local(self.middle_global(self.middle(x), vector), local)
        x = torch.relu(x)
        x = self.last_local(self.last_global(self.last(x), vector), local)  # (N, 3, H, W)
        return OUTPUTS[self.output](sdr, x)

    def restrain(self, factors: Sequence[float]) -> None:
        """Multiply what the last layer gives by `factors`, in the weights; the network costs what it did.

        Of an output of light 1 leaves a change as it was learnt, and 0 everywhere is the BT.2408 mapping. Trained on a handful of
        operators, a network is surer of itself than it may be of others.

        Args:
            factors: of gain, saturation and hue (`light.changed`).

        Raises:
            InputError: they are not three.
        """
        if len(factors) != 3:
            raise InputError(f"hdcfm: restraint is {list(factors)}; give three numbers, for gain, saturation and hue")
        modulations = nn.ModuleDict({"global": self.last_global, "local": self.last_local})
        with torch.no_grad():
            # A modulation's scale acts on what is multiplied already; what it adds has to be, too.
            adds = [parameter for name, parameter in modulations.named_parameters() if ".shift." in name]
            for parameter in (*self.last.conv.parameters(), *adds):
                parameter.mul_(torch.tensor(factors).reshape(3, *[1] * (parameter.dim() - 1)).to(parameter))
