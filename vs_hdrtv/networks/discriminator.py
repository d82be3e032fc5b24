"""Patch discriminators: a score for every patch of a picture or a clip, for training alone.

Patch GAN (Isola et al., CVPR 2017), which PDCG uses (section 3.3, reference [17]), and VITM-TC in three dimensions (section 3.4,
reference [12]).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

_SLOPE = 0.2
"""Of LeakyReLU below 0."""


class PatchDiscriminator(nn.Module):
    """Scores of the patches of pictures with their over-exposure mask; each score sees 34 pixels.

    Isola et al., appendix 6.1.2, with one stride-2 layer less than the 70-pixel one: training views are small. Instance
    normalisation instead of batch normalisation, so that a score does not depend on the other pictures of a batch.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()

        def convolution(inside: int, outside: int, stride: int) -> nn.Module:
            return nn.Conv2d(inside, outside, 4, stride=stride, padding=1)

        self.layers = _patch_layers(4, channels, convolution, nn.InstanceNorm2d)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4, H, W), HDR and mask -> (N, 1, H/4 - 2, W/4 - 2) scores, not bounded; H and W at least 16."""
        return self.layers(x)  # type: ignore[no-any-return]


class ClipPatchDiscriminator(nn.Module):
    """The same of clips: each score sees 34 x 34 pixels of 9 frames. VITM-TC, section 3.4.

    The paper says "3D patch GAN" and no more. Decided here: three frames wide in time and stride 1, as clips have few frames.
    """

    def __init__(self, channels: int = 64, inputs: int = 3) -> None:
        super().__init__()

        def convolution(inside: int, outside: int, stride: int) -> nn.Module:
            return nn.Conv3d(inside, outside, (3, 4, 4), stride=(1, stride, stride), padding=1)

        self.layers = _patch_layers(inputs, channels, convolution, nn.InstanceNorm3d)

    def forward(self, clip: Tensor) -> Tensor:
        """(N, T, C, H, W) -> (N, 1, T, H/4 - 2, W/4 - 2) scores, not bounded; H and W at least 16."""
        return self.layers(clip.transpose(1, 2))  # type: ignore[no-any-return]


def _patch_layers(
    inputs: int, channels: int, convolution: Callable[[int, int, int], nn.Module], norm: Callable[..., nn.Module]
) -> nn.Sequential:
    """Two stride-2 convolutions and two of stride 1; `convolution` takes inputs, outputs and stride."""
    layers: list[nn.Module] = [convolution(inputs, channels, 2), nn.LeakyReLU(_SLOPE)]
    for factor, stride in ((1, 2), (2, 1)):
        inside, outside = channels * factor, channels * factor * 2
        layers += [convolution(inside, outside, stride), norm(outside, affine=True), nn.LeakyReLU(_SLOPE)]
    return nn.Sequential(*layers, convolution(channels * 4, 1, 1))
