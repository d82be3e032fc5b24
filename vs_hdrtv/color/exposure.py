"""The exposure of two pictures of one scene, told by what both of them show."""

from __future__ import annotations

from .arrays import Array, namespace, unit
from .gamut import luminance
from .overexposure import overexposure_mask

DARK = 0.04
"""SDR signal below which a pixel counts less and less: a code there is worth 10 % of the light, and noise as much."""

FEW = 1e-3
"""Weight of every other pixel, so that two pictures without a well-exposed pixel in common have an exposure too."""


def underexposure_mask(sdr: Array) -> Array:
    """How dark a pixel is: 1 at black, 0 from `DARK` of its largest channel on. (N, 3, H, W) -> (N, 1, H, W)."""
    return 1 - unit(namespace(sdr).max(sdr, axis=-3, keepdims=True) / DARK)


def levels(sdr: Array, reference: Array) -> tuple[Array, Array]:
    """Log-averages of the luma of two pictures over the pixels that both expose well; their ratio is that of the exposures.

    A camera's curve is a power of light, so that another exposure is a factor of the signal. What moves between the pictures is
    compared with what it moves to; over a whole frame that matters little.

    Args:
        sdr: (N, 3, H, W) signal in [0, 1].
        reference: the same.

    Returns:
        Two of (N, 1, 1, 1), above 0.
    """
    xp = namespace(sdr)
    axes = (-3, -2, -1)
    shown = [(1 - overexposure_mask(each)) * (1 - underexposure_mask(each)) for each in (sdr, reference)]
    weight = shown[0] * shown[1] + FEW  # (N, 1, H, W)
    total = xp.sum(weight, axis=axes, keepdims=True)
    logs = (xp.log(luminance(each, "bt709") + DARK / 10) for each in (sdr, reference))  # (N, 1, H, W)
    one, other = (xp.exp(xp.sum(weight * each, axis=axes, keepdims=True) / total) for each in logs)
    return one, other
