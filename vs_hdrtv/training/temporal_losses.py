"""Losses of clips, (N, T, 3, H, W), and of optical flow, (..., 2, H, W) in pixels. The flow itself is given."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from ..networks.warping import warp

BILATERAL_DIAMETER, BILATERAL_COLOR, BILATERAL_SPACE = 9, 10 / 255, 5.0
"""Of the illumination: KPN-MFI, section 3.3, sigmaColor = 10 being one of 8-bit codes, as OpenCV's users have it."""

PYRAMID_WEIGHTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Gamma of equation 9, from full size to a sixteenth of it."""

GAUSSIAN_TAPS, GAUSSIAN_SIGMA = 9, 1.7


def tanh_l1(result: Tensor, target: Tensor) -> Tensor:
    """L1 of tanh: `sum_i |tanh(H_i) - tanh(H'_i)|_1`. KPN-MFI, equation 8.

    A sum over the frames, as the paper has it, and the mean over batch, colours and pixels.

    Args:
        result: (N, T, 3, H, W) PQ signal.
        target: the same.
    """
    return result.shape[1] * functional.l1_loss(torch.tanh(result), torch.tanh(target))


def brightness_consistency(result: Tensor, to_previous: Tensor, to_next: Tensor) -> Tensor:
    """KPN-MFI's inter-frame brightness consistency loss, equation 9.

    Each frame that has two neighbours is compared with both, aligned to it by optical flow: the differences of their illumination
    in a Gaussian pyramid, whose smaller levels weigh more, since what flow misaligns is gone there. A sum over levels, neighbours
    and such frames (the paper's clips of three have one), the mean over batch, colours and pixels.

    The paper filters "in logarithm domain". That is taken to be what PQ is already: the logarithm of PQ has no bound at black.

    Args:
        result: (N, T, 3, H, W) PQ signal, T at least 3.
        to_previous: (N, T - 2, 2, H, W) flow from frames 1 to T - 2 to the one before, as `warp` takes it.
        to_next: the same to the one after.

    Raises:
        InputError: the clip is too short, or its frames are too small for the pyramid.
    """
    frames, (height, width) = result.shape[1], result.shape[-2:]
    smallest = (GAUSSIAN_TAPS // 2) * 2 ** (len(PYRAMID_WEIGHTS) - 2) + 1
    if frames < 3 or min(height, width) < smallest:
        found = f"{frames} frames of {width}x{height}"
        raise InputError(f"brightness_consistency: the clip has {found}; give 3 or more of {smallest}x{smallest} or more")
    centre = result[:, 1:-1].flatten(0, 1)  # (N (T - 2), 3, H, W)
    wanted = pyramid(illumination(centre))
    total = result.new_zeros(())
    for neighbours, flow in ((result[:, :-2], to_previous), (result[:, 2:], to_next)):
        aligned = warp(neighbours.flatten(0, 1), flow.flatten(0, 1))  # (N (T - 2), 3, H, W)
        for weight, one, other in zip(PYRAMID_WEIGHTS, pyramid(illumination(aligned)), wanted, strict=True):
            total = total + weight * functional.l1_loss(one, other)
    return (frames - 2) * total


def illumination(picture: Tensor) -> Tensor:
    """The illumination of Retinex: what a bilateral filter leaves of (N, 3, H, W), the same shape.

    As OpenCV's `bilateralFilter` (the paper names its parameters): the distance of colours is the sum over the three, the window
    is round, edges are mirrored. kornia's has a square window and keeps all taps of all pixels at once.
    """
    radius = BILATERAL_DIAMETER // 2
    height, width = picture.shape[-2:]
    padded = functional.pad(picture, (radius,) * 4, mode="reflect")  # (N, 3, H + 8, W + 8)
    total = torch.zeros_like(picture)
    weights = torch.zeros_like(picture[:, :1])  # (N, 1, H, W)
    for row in range(-radius, radius + 1):
        for column in range(-radius, radius + 1):
            if math.hypot(row, column) > radius:
                continue
            top, left = radius + row, radius + column
            shifted = padded[:, :, top : top + height, left : left + width]
            distance = (shifted - picture).abs().sum(dim=1, keepdim=True)  # (N, 1, H, W)
            space = -(row**2 + column**2) / (2 * BILATERAL_SPACE**2)
            weight = torch.exp(space - distance.square() / (2 * BILATERAL_COLOR**2))
            total, weights = total + weight * shifted, weights + weight
    return total / weights


def pyramid(picture: Tensor) -> list[Tensor]:
    """Gaussian pyramid of (N, C, H, W): itself first, then each level blurred and every second pixel of it taken."""
    from torchvision.transforms.v2.functional import gaussian_blur

    levels = [picture]
    while len(levels) < len(PYRAMID_WEIGHTS):
        levels.append(gaussian_blur(levels[-1], [GAUSSIAN_TAPS] * 2, [GAUSSIAN_SIGMA] * 2)[..., ::2, ::2])
    return levels


def flow_l1(result: Tensor, target: Tensor, visible: Tensor | None = None) -> Tensor:
    """Flow correction loss `|f - f_gt|` of ICAM in pixels. VITM-TC, equation 4.

    Args:
        result: (..., 2, H, W) corrected flow.
        target: the same; in the paper that of tone-mapped frames of the ground truth, where nothing is over-exposed.
        visible: (..., 1, H, W), 0 where the target means nothing (occluded, or moved out of the frame); None counts all pixels.
    """
    difference = (result - target).abs()
    if visible is None:
        return difference.mean()
    return (difference * visible).sum() / (result.shape[-3] * visible.sum()).clamp(min=1)


def end_point_error(result: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean length of `f - f_gt` in pixels.

    Args:
        result: (..., 2, H, W) flow.
        target: the same.
        where: (..., 1, H, W), 0 where it does not count; None counts all pixels.
    """
    length = ((result - target).square().sum(-3, keepdim=True) + 1e-6).sqrt()  # (..., 1, H, W)
    return length.mean() if where is None else (length * where).sum() / where.sum().clamp(min=1)
