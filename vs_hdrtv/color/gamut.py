"""Primaries, the matrices between them, luminance, and the Y'CbCr matrices."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .arrays import Array, mix_channels

D65 = (0.3127, 0.3290)
"""White of every set below. BT.709-6 table 1, BT.2020-2 table 3."""

PRIMARIES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),  # BT.709-6, table 1, item 1.2
    "bt601_625": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),  # BT.601-7, table 4 (625 lines; EBU Tech 3213)
    "bt601_525": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),  # BT.601-7, table 3 (525 lines; SMPTE ST 170)
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020-2, table 3
    "p3_d65": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # SMPTE EG 432-1 (P3 with D65 white)
}
"""CIE 1931 xy of red, green and blue."""

LUMA: dict[str, tuple[float, float]] = {
    "bt709": (0.2126, 0.0722),  # BT.709-6, table 3, item 3.2
    "bt601": (0.299, 0.114),  # BT.601-7, section 2.5.1
    "bt2020": (0.2627, 0.0593),  # BT.2020-2, table 4
}
"""Kr and Kb of each Y'CbCr matrix; Kg = 1 - Kr - Kb."""


@cache
def rgb_to_xyz(primaries: str) -> NDArray[np.float64]:
    """(3, 3) normalised primary matrix, white having Y = 1. SMPTE RP 177, section 3.

    Raises:
        InputError: `primaries` is not a key of `PRIMARIES`.
    """
    if primaries not in PRIMARIES:
        raise InputError(f"rgb_to_xyz: unknown primaries {primaries!r}; choose one of {', '.join(PRIMARIES)}")
    xy = np.array([*PRIMARIES[primaries], D65])
    xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(axis=1)) / xy[:, 1]])  # (XYZ, RGBW)
    scale: NDArray[np.float64] = np.linalg.solve(xyz[:, :3], xyz[:, 3])
    matrix: NDArray[np.float64] = xyz[:, :3] * scale
    return matrix


@cache
def conversion_matrix(source: str, target: str) -> NDArray[np.float64]:
    """(3, 3) matrix between linear RGB of `source` and of `target` primaries. BT.2087-0 for BT.709 to BT.2020."""
    matrix: NDArray[np.float64] = np.linalg.solve(rgb_to_xyz(target), rgb_to_xyz(source))
    return matrix


def convert(light: Array, source: str, target: str) -> Array:
    """Linear light (..., 3, H, W) from `source` to `target` primaries; colours outside `target` come out negative."""
    if source == target:
        return light
    return mix_channels(conversion_matrix(source, target), light)


def luminance(light: Array, primaries: str) -> Array:
    """Luminance (..., 1, H, W) of linear RGB (..., 3, H, W), in the unit of `light` (Y_S of BT.2100-2, table 5)."""
    return mix_channels(rgb_to_xyz(primaries)[1:2], light)


@cache
def ycbcr_matrix(matrix: str) -> NDArray[np.float64]:
    """(3, 3) matrix from non-linear R'G'B' in [0, 1] to Y' in [0, 1] and Cb, Cr in [-0.5, 0.5].

    Raises:
        InputError: `matrix` is not a key of `LUMA`.
    """
    if matrix not in LUMA:
        raise InputError(f"ycbcr_matrix: unknown matrix {matrix!r}; choose one of {', '.join(LUMA)}")
    kr, kb = LUMA[matrix]
    y = np.array([kr, 1 - kr - kb, kb])
    cb = (np.array([0.0, 0.0, 1.0]) - y) / (2 * (1 - kb))
    cr = (np.array([1.0, 0.0, 0.0]) - y) / (2 * (1 - kr))
    return np.stack([y, cb, cr])
