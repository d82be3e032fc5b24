"""Losses between HDR pictures, (N, 3, H, W) BT.2020 PQ signal."""

from __future__ import annotations

import torch
from torch import Tensor

from ..color.ictcp import pq_to_ictcp

DARKEST = 1e-3
"""PQ signal that pictures are held at from below: the powers of PQ have no gradient at 0. Not quite one 10-bit code."""

_SMALLEST = 1e-8
"""Added below the root, whose gradient has no bound at 0: a thousandth of a visible difference, squared."""


def ictcp_difference(result: Tensor, target: Tensor) -> Tensor:
    """Mean of `sqrt(dI^2 + dT^2 + dP^2)`, T being half of Ct: dE_ITP without its factor of 720. BT.2124-0, section 1."""
    one, other = (pq_to_ictcp(torch.clamp(picture, DARKEST, 1.0)) for picture in (result, target))
    weights = torch.tensor([1.0, 0.5, 1.0], dtype=result.dtype, device=result.device).reshape(1, 3, 1, 1)
    squares: Tensor = ((one - other) * weights).square().sum(dim=1)  # (N, H, W)
    return (squares + _SMALLEST).sqrt().mean()
