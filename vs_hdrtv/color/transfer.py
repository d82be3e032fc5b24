"""Transfer functions: between coded signal and light.

Display light is absolute, in cd/m2, where the standard makes it so (PQ, HLG with its OOTF) and relative to white (1.0)
otherwise. Every EOTF clamps below 0 and turns NaN into 0. Shapes are kept; any shape will do unless a function says
(..., 3, H, W).
"""

from __future__ import annotations

import math

from ..errors import InputError
from .arrays import Array, namespace, non_negative
from .gamut import luminance

REFERENCE_WHITE = 203.0
"""cd/m2 of diffuse white in PQ and of 75 % HLG on a 1000 cd/m2 display. BT.2408-7, table 1."""

PQ_PEAK = 10000.0
"""cd/m2 of PQ signal 1.0. BT.2100-2, table 4."""

# BT.2100-2, table 4 (SMPTE ST 2084): PQ constants.
PQ_M1 = 2610 / 16384
PQ_M2 = 2523 / 4096 * 128
PQ_C1 = 3424 / 4096
PQ_C2 = 2413 / 4096 * 32
PQ_C3 = 2392 / 4096 * 32

# BT.2100-2, table 5: HLG constants.
HLG_A = 0.17883277
HLG_B = 1 - 4 * HLG_A
HLG_C = 0.5 - HLG_A * math.log(4 * HLG_A)

BT1886_GAMMA = 2.4
"""BT.1886, annex 1."""

# IEC 61966-2-1:1999, sections 5.2 and 5.3.
SRGB_ALPHA = 0.055
SRGB_GAMMA = 2.4
SRGB_SLOPE = 12.92
SRGB_SIGNAL_KNEE = 0.04045
SRGB_LIGHT_KNEE = 0.0031308


def pq_eotf(signal: Array) -> Array:
    """PQ signal in [0, 1] to luminance in cd/m2, [0, 10000]. BT.2100-2 table 4; signals above 1 give 10000."""
    xp = namespace(signal)
    x = non_negative(signal)
    x = xp.where(x < 1, x, xp.ones_like(x)) ** (1 / PQ_M2)
    return PQ_PEAK * (non_negative(x - PQ_C1) / (PQ_C2 - PQ_C3 * x)) ** (1 / PQ_M1)


def pq_inverse_eotf(light: Array) -> Array:
    """Luminance in cd/m2 to PQ signal in [0, 1]. BT.2100-2 table 4; light above 10000 cd/m2 gives 1."""
    xp = namespace(light)
    y = non_negative(light) / PQ_PEAK
    y = xp.where(y < 1, y, xp.ones_like(y)) ** PQ_M1
    return ((PQ_C1 + PQ_C2 * y) / (1 + PQ_C3 * y)) ** PQ_M2


def hlg_inverse_oetf(signal: Array) -> Array:
    """HLG signal in [0, 1] to scene light relative to its peak, [0, 1]. BT.2100-2 table 5 (OETF^-1)."""
    xp = namespace(signal)
    x = non_negative(signal)
    return xp.where(x <= 0.5, x * x / 3, (xp.exp((x - HLG_C) / HLG_A) + HLG_B) / 12)


def hlg_oetf(light: Array) -> Array:
    """Scene light relative to its peak, [0, 1], to HLG signal in [0, 1]. BT.2100-2 table 5 (OETF)."""
    xp = namespace(light)
    e = non_negative(light)
    # The logarithm's argument is held at its value in the knee, where the square root takes over.
    high = xp.where(e > 1 / 12, 12 * e - HLG_B, xp.ones_like(e) * (1 - HLG_B))
    return xp.where(e <= 1 / 12, (3 * e) ** 0.5, HLG_A * xp.log(high) + HLG_C)


def hlg_system_gamma(peak: float) -> float:
    """System gamma of an HLG display of `peak` cd/m2 in reference surroundings.

    1.2 + 0.42 log10(peak / 1000) from 400 to 2000 cd/m2 (BT.2100-2 table 5, note 5f), 1.2 * 1.111^log2(peak / 1000)
    outside (BT.2390-11, section 6.2).

    Raises:
        InputError: `peak` is not positive.
    """
    if not peak > 0:
        raise InputError(f"hlg_system_gamma: peak is {peak}; give the display's peak in cd/m2, above 0")
    if 400 <= peak <= 2000:
        return 1.2 + 0.42 * math.log10(peak / 1000)
    return float(1.2 * 1.111 ** math.log2(peak / 1000))


def hlg_ootf(scene: Array, peak: float = 1000.0) -> Array:
    """Scene light (..., 3, H, W) in [0, 1], BT.2020, to display light in cd/m2. BT.2100-2 table 5, black level 0."""
    gamma = hlg_system_gamma(peak)
    scene = non_negative(scene)
    return peak * _luminance_power(scene, gamma - 1) * scene


def hlg_inverse_ootf(display: Array, peak: float = 1000.0) -> Array:
    """Display light (..., 3, H, W) in cd/m2, BT.2020, to scene light in [0, 1]. BT.2100-2 table 5, black level 0."""
    gamma = hlg_system_gamma(peak)
    display = non_negative(display) / peak
    return _luminance_power(display, (1 - gamma) / gamma) * display


def bt1886_eotf(signal: Array, black: float = 0.0) -> Array:
    """Gamma signal in [0, 1] to light relative to white.

    Args:
        signal: coded value, 1.0 = white.
        black: luminance of the display's black relative to white (L_B / L_W), [0, 1). BT.1886, annex 1.
    """
    root = black ** (1 / BT1886_GAMMA)
    return ((1 - root) * non_negative(signal + root / (1 - root))) ** BT1886_GAMMA


def bt1886_inverse_eotf(light: Array, black: float = 0.0) -> Array:
    """Light relative to white to gamma signal; the inverse of `bt1886_eotf`."""
    root = black ** (1 / BT1886_GAMMA)
    return non_negative(light) ** (1 / BT1886_GAMMA) / (1 - root) - root / (1 - root)


def srgb_eotf(signal: Array) -> Array:
    """Decode sRGB signal in [0, 1] to light relative to white. IEC 61966-2-1:1999."""
    xp = namespace(signal)
    x = non_negative(signal)
    return xp.where(x <= SRGB_SIGNAL_KNEE, x / SRGB_SLOPE, ((x + SRGB_ALPHA) / (1 + SRGB_ALPHA)) ** SRGB_GAMMA)


def srgb_inverse_eotf(light: Array) -> Array:
    """Light relative to white to sRGB signal. IEC 61966-2-1:1999."""
    xp = namespace(light)
    x = non_negative(light)
    return xp.where(x <= SRGB_LIGHT_KNEE, x * SRGB_SLOPE, (1 + SRGB_ALPHA) * x ** (1 / SRGB_GAMMA) - SRGB_ALPHA)


def _luminance_power(light: Array, exponent: float) -> Array:
    """Luminance of BT.2020 `light` to a power of either sign, 1 where it would make black or infinite light NaN."""
    xp = namespace(light)
    y = luminance(light, "bt2020")
    return xp.where((y > 0) & xp.isfinite(y), y, xp.ones_like(y)) ** exponent
