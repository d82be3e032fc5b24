"""Patch discriminators: a score for every patch of a picture, for training alone.

Patch GAN (Isola et al., CVPR 2017), which PDCG uses (section 3.3, reference [17]).
"""

from __future__ import annotations

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """Scores of the patches of pictures with their over-exposure mask; each score sees 34 pixels.

    Isola et al., appendix 6.1.2, with one stride-2 layer less than the 70-pixel one: training views are small. Instance
    normalisation instead of batch normalisation, so that a score does not depend on the other pictures of a batch.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(4, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for factor, stride in ((1, 2), (2, 1)):
            inside, outside = channels * factor, channels * factor * 2
            layers.append(nn.Conv2d(inside, outside, 4, stride=stride, padding=1))
            layers += [nn.InstanceNorm2d(outside, affine=True), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels * 4, 1, 4, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4, H, W), HDR and mask -> (N, 1, H/4 - 2, W/4 - 2) scores, not bounded; H and W at least 16."""
        return self.layers(x)  # type: ignore[no-any-return]
