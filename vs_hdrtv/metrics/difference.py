"""How far an HDR picture is from its reference: PSNR on PQ, dE_ITP, and the gain that takes exposure out of it.

Pictures are `hdr` signals (BT.2020 PQ, (..., 3, H, W)), numpy or torch, on any device; results are Python floats. What
a display would clip is clipped first: signals outside [0, 1], NaN counting as 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..color.arrays import Array, namespace, unit
from ..color.ictcp import pq_to_ictcp
from ..color.transfer import pq_eotf, pq_inverse_eotf
from .inputs import check_pair

_ITP_SCALE = 720
"""BT.2124-0, annex 1: makes 1.0 a just noticeable difference."""

MATCH_STOPS = 8
"""Largest exposure difference in stops, up or down, that `exposure_match` looks for."""

_SEARCH_PIXELS = 1 << 14
"""Pixels of the coarse search, which only has to find the right valley."""

_GOLDEN = (math.sqrt(5) - 1) / 2


def psnr(hdr: Array, reference: Array) -> float:
    """Peak signal-to-noise ratio of the PQ signals in dB, peak 1.0; infinite for equal pictures.

    Raises:
        InputError: the shapes differ, or are not those of a picture.
    """
    check_pair("psnr", hdr, reference)
    error = float(namespace(hdr).mean((unit(hdr) - unit(reference)) ** 2))
    return -10 * math.log10(error) if error > 0 else math.inf


def delta_e_itp(hdr: Array, reference: Array) -> float:
    """Mean dE_ITP over the pixels, 1.0 being just noticeable. BT.2124-0, annex 1 (T is half of Ct).

    Raises:
        InputError: the shapes differ, or are not those of a picture.
    """
    check_pair("delta_e_itp", hdr, reference)
    return float(namespace(hdr).mean(delta_e_itp_map(hdr, reference)))


def delta_e_itp_map(hdr: Array, reference: Array) -> Array:
    """dE_ITP of each pixel, (..., H, W); see `delta_e_itp`.

    Raises:
        InputError: the shapes differ, or are not those of a picture.
    """
    check_pair("delta_e_itp_map", hdr, reference)
    square = (pq_to_ictcp(hdr) - pq_to_ictcp(reference)) ** 2
    total = square[..., 0, :, :] + 0.25 * square[..., 1, :, :] + square[..., 2, :, :]
    return _ITP_SCALE * total**0.5


def exposure_match(hdr: Array, reference: Array) -> Array:
    """`hdr` after the one gain on linear light that minimises the mean squared error of the PQ signals.

    The error can have more than one valley (black borders, clipped skies), so the gain is looked for on a grid over
    +-`MATCH_STOPS` stops before it is refined.

    Returns:
        Array of `hdr`'s kind, shape and type.

    Raises:
        InputError: the shapes differ, or are not those of a picture.
    """
    check_pair("exposure_match", hdr, reference)
    light, reference = pq_eotf(hdr), unit(reference)
    stride = max(1, math.isqrt(light.shape[-1] * light.shape[-2] // _SEARCH_PIXELS))
    few = _error(light[..., ::stride, ::stride], reference[..., ::stride, ::stride])
    step = 0.5
    grid = [step * index for index in range(round(-MATCH_STOPS / step), round(MATCH_STOPS / step) + 1)]
    best = min(grid, key=few)
    best = _golden(few, best - step, best + step, 0.02)
    best = _golden(_error(light, reference), best - 0.1, best + 0.1, 0.002)
    return pq_inverse_eotf(light * 2.0**best)


def _error(light: Array, reference: Array) -> Callable[[float], float]:
    """Mean squared PQ error of `light` (cd/m2) against the signal `reference`, as a function of a gain in stops."""
    xp = namespace(light)
    return lambda stops: float(xp.mean((pq_inverse_eotf(light * 2.0**stops) - reference) ** 2))


def _golden(function: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """Minimum of `function` between `low` and `high` by golden section search."""
    inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    value_inner, value_outer = function(inner), function(outer)
    while high - low > tolerance:
        if value_inner < value_outer:
            high, outer, value_outer = outer, inner, value_inner
            inner = high - _GOLDEN * (high - low)
            value_inner = function(inner)
        else:
            low, inner, value_inner = inner, outer, value_outer
            outer = low + _GOLDEN * (high - low)
            value_outer = function(outer)
    return (low + high) / 2
