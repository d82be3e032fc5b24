"""Losses of HDR pictures, (N, 3, H, W) BT.2020 PQ signal."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

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


def masked_l1(result: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference over the pixels whose mask (N, 1, H, W) is above 0; 0 where there are none.

    Over all pixels it would weigh less the less is over-exposed, beside terms that do not.
    """
    inside = (mask > 0).to(result.dtype)  # (N, 1, H, W)
    return ((result - target).abs() * inside).sum() / (result.shape[1] * inside.sum()).clamp(min=1)


def generator_loss(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Least squares: `1/2 (D(G) - 1)^2`, a patch weighing as much of it as the mask covers. Mao et al., ICCV 2017, equation 9.

    PDCG, section 3.3 (pictures, with a mask); VITM-TC, equation 13 (clips).

    Args:
        scores: (N, 1, h, w) of the patches of generated pictures, or (N, 1, t, h, w) of clips.
        mask: (N, 1, H, W) or (N, 1, T, H, W), [0, 1]; None weighs all patches alike.
    """
    return _patch_mean(0.5 * (scores - 1).square(), mask)


def discriminator_loss(real: Tensor, generated: Tensor, mask: Tensor | None = None) -> Tensor:
    """Least squares: `1/2 (D(x) - 1)^2 + 1/2 D(G)^2`, weighted as `generator_loss`. Mao et al., ICCV 2017, equation 9."""
    return _patch_mean(0.5 * (real - 1).square() + 0.5 * generated.square(), mask)


def _patch_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return values.mean()
    weights = functional.interpolate(mask, size=values.shape[2:], mode="area")  # (N, 1, h, w) or (N, 1, t, h, w)
    return (values * weights).sum() / (weights.sum() + _SMALLEST)


class Perceptual(nn.Module):
    """Mean absolute difference between the features that a frozen network trained on photographs sees in two pictures.

    PDCG, section 3.3. Features of PQ pictures are as good a measure as of SDR ones (the paper's argument: the loss depends on the
    network's structure more than on what it was trained on).

    Args:
        features: from (N, 3, H, W) normalised as ImageNet's pictures to one map, or to a table of maps, which count alike.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1))

    def forward(self, result: Tensor, target: Tensor) -> Tensor:
        """(N, 3, H, W) each, [0, 1] -> a number."""
        one, other = (self._maps(picture) for picture in (result, target))
        return torch.stack([functional.l1_loss(a, b) for a, b in zip(one, other, strict=True)]).mean()

    def _maps(self, picture: Tensor) -> list[Tensor]:
        found = self.features((picture - self.mean) / self.deviation)
        return list(found.values()) if isinstance(found, dict) else [found]
