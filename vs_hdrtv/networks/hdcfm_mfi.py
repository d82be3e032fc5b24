"""HDCFM with multi-frame interaction: KPN-MFI's claim that its block makes a video network of any image network.

The paper puts MFI "into the last layer of the down-sampling" (section 4.3). HDCFM's only down-sampling is HME, so the three
frames meet in HME's last features, at 1/32: there displacements are below a position, what the interaction changes are the
conditions, which are what flickers, and it costs next to nothing. P, Q and V have 32 channels for 128 features, or the block
would be as large as the network: 137,898 parameters, against 100,682.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .hdcfm import HDCFM
from .kpn_mfi import MultiFrameInteraction

HIDDEN = 32
"""Channels of P, Q and V."""


class HDCFMMFI(HDCFM):
    """HDCFM whose conditions look at both neighbours.

    Input: three frames `sdr` (N, 3, H, W) in [0, 1], in time order, BT.709 gamma signal, H and W at least 32. Output `hdr`
    (N, 3, H, W), BT.2020 PQ signal, not clamped. Before training it is HDCFM of the frame in the middle, whose weights it takes;
    they lack `interaction` alone. The arguments are HDCFM's.
    """

    def __init__(self, *arguments: Any, **parts: Any) -> None:
        super().__init__(*arguments, **parts)
        self.interaction = MultiFrameInteraction(self.condition.CHANNELS[-1], HIDDEN)

    def forward(self, previous: Tensor, current: Tensor, following: Tensor) -> Tensor:  # type: ignore[override]
        """Three frames (N, 3, H, W) -> (N, 3, H, W)."""
        features = [self.condition.features(each) for each in (previous, current, following)]  # each (N, 128, H/32, W/32)
        return self.mapped(current, *self.condition.conditions(self._interacted(*features), current.shape[2:]))

    def _interacted(self, *features: Tensor) -> Tensor:
        """Three of (N, 128, H/32, W/32) -> (N, 128, H/32, W/32)."""
        with self.condition.apart():
            return self.interaction(*features)  # type: ignore[no-any-return]

    def all_frames(self, previous: Tensor, current: Tensor, following: Tensor) -> Tensor:
        """The HDR frames of all three, each by its window; past their ends the first and the last stand, as at a scene's ends.

        Three of (N, 3, H, W) -> (N, 3, 3, H, W).
        """
        frames = previous, current, following
        found = [self.condition.features(each) for each in frames]  # each (N, 128, H/32, W/32)
        windows = (found[0], *found[:2]), found, (*found[1:], found[2])
        hdr = [
            self.mapped(sdr, *self.condition.conditions(self._interacted(*window), sdr.shape[2:]))
            for sdr, window in zip(frames, windows, strict=True)
        ]
        return torch.stack(hdr, dim=1)  # (N, 3, 3, H, W)
