"""Between SDR signal, light and PQ inside of networks: what they give as a change of light instead of a signal."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..color.arrays import mix_channels
from ..color.gamut import convert, luminance, rgb_to_xyz
from ..color.transfer import REFERENCE_WHITE, bt1886_eotf, pq_inverse_eotf

DARKEST = 1e-6
"""cd/m2 (PQ 1.2e-4) below which light is not encoded: at 0 the slope of PQ is infinite."""

STOPS = (-8.0, 3.3)
"""Least and largest gain. SDR white comes to 2000 cd/m2 at most, what gain maps of photographs reach; whatever a network makes of
a picture that it has never seen the like of, it does not go beyond."""


def decoded(signal: Tensor) -> Tensor:
    """BT.1886 signal -> light, 1.0 = white, in float32 at least: half precision holds no dark light. Any shape."""
    return bt1886_eotf(signal.to(torch.promote_types(signal.dtype, torch.float32)))  # type: ignore[no-any-return]


def encoded(light: Tensor) -> Tensor:
    """Light, 1.0 = reference white, -> PQ signal. Any shape."""
    return pq_inverse_eotf((REFERENCE_WHITE * light).clamp(min=DARKEST))  # type: ignore[no-any-return]


def _hue_turn() -> NDArray[np.float64]:
    """(3, 3) matrix that turns a BT.2020 colour less the grey of its luminance by a right angle of RGB; luminance stays 0."""
    weights = rgb_to_xyz("bt2020")[1]
    one = np.array([weights[1], -weights[0], 0.0])
    one = one / np.linalg.norm(one)
    other = np.cross(weights / np.linalg.norm(weights), one)
    turn: NDArray[np.float64] = np.outer(other, one) - np.outer(one, other)
    return turn


_HUE_TURN = _hue_turn()


def changed(sdr: Tensor, change: Tensor) -> Tensor:
    """The BT.2408 mapping of `sdr` with another gain, saturation and hue at every pixel.

    Whatever `change` is, grey stays grey and black stays black; a gain alone leaves chromaticity as it is.

    Args:
        sdr: (N, 3, H, W) BT.709 signal.
        change: (N, 3, H, W): gain in stops (held to `STOPS`); logarithm of what multiplies the distance from grey of the same
            luminance (held to 1); what tanh makes the tangent of the hue's turn. 0 everywhere is BT.2408-7, section 5.1.3.

    Returns:
        (N, 3, H, W) BT.2020 PQ signal, of `change`'s type.
    """
    light = convert(decoded(sdr), "bt709", "bt2020")  # (N, 3, H, W)
    gain, saturation, turn = change.to(light.dtype).chunk(3, dim=1)  # (N, 1, H, W) each
    grey = luminance(light, "bt2020")  # (N, 1, H, W)
    color = light - grey
    color = color + torch.tanh(turn) * mix_channels(_HUE_TURN, color)
    light = torch.exp2(gain.clamp(*STOPS)) * (grey + torch.exp(saturation.clamp(max=1.0)) * color)
    return encoded(light).to(change.dtype)
