"""What the networks of VITM-TC share about light: the camera curve, and how bright one frame's light is in another's exposure."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ..color.arrays import non_negative, unit
from ..color.exposure import DARK, levels, underexposure_mask
from ..color.gamut import luminance
from ..color.overexposure import overexposure_mask
from ..color.transfer import BT1886_GAMMA

CAMERA_GAMMA = 2.2
"""f of the paper (section 3.5): a camera's code is light to the power of 1/2.2."""

DARKEST = 1e-5
"""Light (1.0 = reference white) below which no code is told apart: at 0 the slope of the curve is infinite."""

MOST = 4.0
"""Factor of the signal (28 of light) by which exposures may differ; more is taken for an error."""


RIM_POWER = 4
"""Of the signal, how much a pixel counts for the gain around it."""

DIM = 1e-6
"""And what every other one does, where there is nothing that both expose well."""

RIM_AREAS = {(1, 5): 1.0, (4, 5): 0.3, (4, 21): 0.1}
"""As `AREAS`; single squares are too noisy."""

COMPARED = 4
"""Pixels a side that are compared as one: fine texture is never met exactly."""

AREAS = {(1, 1): 1.0, (1, 5): 1.0, (4, 5): 0.3, (4, 21): 0.1}
"""Areas over which two pictures are compared, as (squares that are one, how many of these a side is), and what each counts: 4,
20, 80 and 336 pixels a side."""

WHOLE = 0.03
"""What the whole frame counts: little, where anything nearer tells something."""

CLIPPED_EVIDENCE = 0.1
"""What a square counts where one picture is clipped and the other is as bright: it may be the same, or anything. What differs
counts in full."""

DIFFERENT = 0.1
"""Code that one picture is off, on average, where the agreement has fallen to 1 / e."""


def code_of_signal(sdr: Tensor) -> Tensor:
    """BT.1886 signal to the camera's code, both [0, 1]; any shape."""
    return non_negative(sdr) ** (BT1886_GAMMA / CAMERA_GAMMA)  # type: ignore[no-any-return]


def signal_of_code(code: Tensor) -> Tensor:
    """The inverse of `code_of_signal`."""
    return non_negative(code) ** (CAMERA_GAMMA / BT1886_GAMMA)  # type: ignore[no-any-return]


def code_of_light(linear: Tensor) -> Tensor:
    """Light to the camera's code; any shape, [0, inf), not below the code of `DARKEST`."""
    return linear.clamp(min=DARKEST) ** (1 / CAMERA_GAMMA)


def light_of_code(code: Tensor) -> Tensor:
    """The inverse of `code_of_light`; codes below that of `DARKEST` give it, so that PQ of the result has a slope everywhere."""
    return code.clamp(min=DARKEST ** (1 / CAMERA_GAMMA)) ** CAMERA_GAMMA


def gain(sdr: Tensor, aligned: Tensor, inside: Tensor) -> Tensor:
    """The factor of the signal that gives a reference the exposure of a frame.

    Measured, not learned: no gradient passes.

    Args:
        sdr: (N, 3, H, W) signal in [0, 1].
        aligned: the reference's signal, warped onto it.
        inside: (N, 1, H, W), 1 where the reference shows something and 0 elsewhere, which does not count.

    Returns:
        (N, 1, 1, 1), at most `MOST` and at least its inverse, float32 at least.
    """
    kind = torch.promote_types(sdr.dtype, torch.float32)  # sums over a frame
    # Black in both is no evidence, and where there is none at all the exposures are alike.
    own, other = levels(*((each * inside).detach().to(kind) for each in (sdr, aligned)))
    return (own / other).clamp(1 / MOST, MOST)  # type: ignore[no-any-return]


def gain_around(sdr: Tensor, aligned: Tensor, inside: Tensor) -> Tensor:
    """`gain`, around each pixel, bright pixels counting most: what a camera or a grade does to light is no factor of all of it.

    What over-exposed pixels are brought to is told by those at the rim of the mask.

    Args:
        sdr: see `gain`, as for the two that follow; H and W multiples of 16.
        aligned: the reference's signal.
        inside: where it shows something.

    Returns:
        (N, 1, H, W), at most `MOST` and at least its inverse, float32 at least.
    """
    kind = torch.promote_types(sdr.dtype, torch.float32)
    both = [each.detach().to(kind) for each in (sdr, aligned)]
    shown = [(1 - overexposure_mask(each)) * (1 - underexposure_mask(each)) for each in both]  # (N, 1, H, W)
    weight = (shown[0] * shown[1] * both[0].amax(1, keepdim=True) ** RIM_POWER + DIM) * inside.to(kind)
    one, other = (torch.log(luminance(each, "bt709") + DARK / 10) for each in both)  # (N, 1, H, W)
    small = functional.avg_pool2d(torch.cat([(one - other) * weight, weight], dim=1), COMPARED)  # (N, 2, h, w)
    around = torch.exp(_around(small[:, :1], small[:, 1:], RIM_AREAS)).clamp(1 / MOST, MOST)
    return functional.interpolate(around, scale_factor=float(COMPARED), mode="bilinear")  # (N, 1, H, W)


def agreement(code: Tensor, aligned: Tensor, mask: Tensor, aligned_mask: Tensor, inside: Tensor) -> Tensor:
    """How well an aligned picture fits what a frame tells, around each pixel and there: measured, no gradient passes.

    A clipped pixel tells that light is at least this bright, so that a picture which shows it darker contradicts it. Differences
    are averaged over areas of several sizes, so that the inside of a clipped area is judged by what stands around it.

    Args:
        code: (N, 3, H, W) of the frame.
        aligned: (N, 3, H, W), the other one's, warped onto it and in its exposure.
        mask: (N, 1, H, W), where the frame is clipped.
        aligned_mask: (N, 1, H, W), where the other one is.
        inside: (N, 1, H, W), 1 where the other one shows anything.

    Returns:
        (N, 1, H, W), 0 to 1, float32 at least. H and W multiples of 16.
    """
    kind = torch.promote_types(code.dtype, torch.float32)
    given = torch.cat([each.detach().to(kind) for each in (code, aligned, mask, aligned_mask, inside)], dim=1)
    small = functional.avg_pool2d(given, COMPARED)  # (N, 9, h, w)
    own, other = small[:, :3], small[:, 3:6]
    own_clipped, other_clipped, shown = small[:, 6:7], small[:, 7:8], small[:, 8:9]
    off = non_negative(own - other) * (1 - other_clipped) + non_negative(other - own) * (1 - own_clipped)  # (N, 3, h, w)
    error = off.mean(1, keepdim=True) * shown
    both = (1 - own_clipped) * (1 - other_clipped)  # (N, 1, h, w)
    wrong = unit(off.amax(1, keepdim=True) / DIFFERENT)
    weight = (both + (1 - both) * (CLIPPED_EVIDENCE + (1 - CLIPPED_EVIDENCE) * wrong)) * shown
    fits = torch.exp(-((_around(error, weight, AREAS) / DIFFERENT) ** 2))
    return functional.interpolate(fits, scale_factor=float(COMPARED), mode="bilinear")  # (N, 1, H, W)


def _around(values: Tensor, weight: Tensor, areas: Mapping[tuple[int, int], float]) -> Tensor:
    """Sums of values over those of their weights, in areas around each square: (N, 1, h, w) twice -> (N, 1, h, w)."""
    both = torch.cat([values, weight], dim=1)  # (N, 2, h, w)
    coarse = {1: both, 4: functional.avg_pool2d(both, 4)}  # (N, 2, h/4, w/4)
    sums = WHOLE * both.mean((2, 3), keepdim=True)  # (N, 2, 1, 1)
    for (step, side), share in areas.items():
        area = functional.avg_pool2d(coarse[step], side, stride=1, padding=side // 2)
        sums = sums + share * (area if step == 1 else functional.interpolate(area, scale_factor=float(step), mode="bilinear"))
    return sums[:, :1] / (sums[:, 1:] + 1e-9)
