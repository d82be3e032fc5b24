"""Published tone curves: SDR to HDR (the analytic baselines), HDR to SDR, and HDR to a smaller HDR display.

SDR is BT.709 gamma signal (`sdr`), HDR is BT.2020 PQ signal (`hdr`); pictures are (..., 3, H, W).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..errors import InputError
from .arrays import Array, mix_channels, namespace, non_negative, unit
from .gamut import convert, luminance, ycbcr_matrix
from .transfer import (
    BT1886_GAMMA,
    REFERENCE_WHITE,
    bt1886_eotf,
    bt1886_inverse_eotf,
    pq_eotf,
    pq_inverse_eotf,
)

# BT.2446-1, table 4 (method A, SDR to HDR): exponent of the luma scaled to 0..255, below and above the threshold.
_A_THRESHOLD = 70.0
_A_LOW = (1.8712e-5, -2.7334e-3, 1.3141)
_A_HIGH = (2.8305e-6, -7.4622e-4, 1.2528)
_A_CHROMA_GAIN = 1.075
_A_PEAK = 1000.0
"""cd/m2 that SDR white becomes: 255 to the power of its exponent is 1000."""

# BT.2446-1, table 3 (method A, HDR to SDR): knee of the perceptual luma.
_A_KNEE_LOW, _A_KNEE_HIGH = 0.7399, 0.9909
_A_KNEE_SLOPE = 1.0770
_A_KNEE_CURVE = (-1.1510, 2.7811, -0.6302)

# BT.2446-1, table 7 (method C): a line up to the inflection point, a logarithm above, in cd/m2, SDR white at 100.
_C_K1, _C_K2, _C_K3, _C_K4 = 0.83802, 15.09968, 0.74204, 78.99439
# The table prints 58.5, which is 80 % SDR rounded: with it the curve steps back by 0.04 cd/m2 at the inflection. The
# other four constants follow from the exact value.
_C_SDR_INFLECTION = 100 * 0.8**2.4
_C_HDR_INFLECTION = _C_SDR_INFLECTION / _C_K1

_BRIGHTEST = 2.0
"""SDR signal that the expanding methods are held at: it is PQ 1.0 by then, and infinities would become NaN."""


def bt2408(sdr: Array, reference_white: float = REFERENCE_WHITE) -> Array:
    """SDR to HDR by display light: white goes to `reference_white` cd/m2, nothing expands. BT.2408-7, section 5.1.3."""
    light = convert(bt1886_eotf(sdr), "bt709", "bt2020")
    return pq_inverse_eotf(light * reference_white)


def bt2446a(sdr: Array) -> Array:
    """SDR to HDR of 1000 cd/m2 by method A. BT.2446-1, section 4.3 and table 4.

    The exponent's result divided by 1000 is a gamma 2.4 signal relative to 1000 cd/m2 (50 % grey becomes 76 cd/m2).
    """
    xp = namespace(sdr)
    signal = bt1886_inverse_eotf(convert(bt1886_eotf(_bounded(sdr)), "bt709", "bt2020"))
    ycbcr = mix_channels(ycbcr_matrix("bt2020"), signal)
    luma = non_negative(ycbcr[..., :1, :, :])
    scaled = 255 * luma
    exponent = xp.where(scaled <= _A_THRESHOLD, _quadratic(_A_LOW, scaled), _quadratic(_A_HIGH, scaled))
    # 0 ** exponent has no gradient; held at 1e-6, which is 0 in any integer format.
    base = xp.where(scaled > 1e-6, scaled, 1e-6 + 0 * scaled)
    expanded = xp.where(scaled > 0, base**exponent / _A_PEAK, 0 * scaled)
    gain = xp.where(luma > 0, _A_CHROMA_GAIN * expanded / xp.where(luma > 0, luma, 1 + luma), 1 + 0 * luma)
    hdr = xp.concat([expanded, ycbcr[..., 1:, :, :] * gain], axis=-3)
    return pq_inverse_eotf(_A_PEAK * bt1886_eotf(mix_channels(np.linalg.inv(ycbcr_matrix("bt2020")), hdr)))


def bt2446a_to_sdr(hdr: Array, peak: float = 1000.0) -> Array:
    """HDR of `peak` cd/m2 to SDR by method A. BT.2446-1, section 4.2 and table 3."""
    xp = namespace(hdr)
    signal = bt1886_inverse_eotf(unit(pq_eotf(hdr) / peak))
    ycbcr = mix_channels(ycbcr_matrix("bt2020"), signal)
    luma = unit(ycbcr[..., :1, :, :])
    rho_hdr = 1 + 32 * (peak / 10000) ** (1 / BT1886_GAMMA)
    rho_sdr = 1 + 32 * (100 / 10000) ** (1 / BT1886_GAMMA)
    perceptual = xp.log(1 + (rho_hdr - 1) * luma) / math.log(rho_hdr)
    a, b, c = _A_KNEE_CURVE
    bent = xp.where(perceptual < _A_KNEE_HIGH, _quadratic((a, b, c), perceptual), 0.5 * perceptual + 0.5)
    bent = xp.where(perceptual <= _A_KNEE_LOW, _A_KNEE_SLOPE * perceptual, bent)
    compressed = (rho_sdr**bent - 1) / (rho_sdr - 1)
    gain = xp.where(luma > 0, compressed / (1.1 * xp.where(luma > 0, luma, 1 + luma)), 0 * luma)
    chroma = ycbcr[..., 1:, :, :] * gain
    corrected = compressed - non_negative(0.1 * chroma[..., 1:, :, :])
    sdr = mix_channels(np.linalg.inv(ycbcr_matrix("bt2020")), xp.concat([corrected, chroma], axis=-3))
    return unit(bt1886_inverse_eotf(convert(bt1886_eotf(sdr), "bt2020", "bt709")))


def bt2446c(sdr: Array, crosstalk: float = 0.0) -> Array:
    """SDR to HDR by method C. BT.2446-1, section 6 and table 7; SDR white becomes 332.6 cd/m2.

    Args:
        sdr: gamma signal.
        crosstalk: alpha of the crosstalk matrix that the SDR was made with, [0, 1/3).
    """
    xp = namespace(sdr)
    light = mix_channels(_crosstalk(crosstalk), 100 * convert(bt1886_eotf(_bounded(sdr)), "bt709", "bt2020"))
    y = non_negative(luminance(light, "bt2020"))
    expanded = xp.where(y <= _C_SDR_INFLECTION, y / _C_K1, _C_HDR_INFLECTION * (xp.exp((y - _C_K4) / _C_K2) + _C_K3))
    # The curve acts on luminance, chromaticity is kept: one gain for the three channels.
    gain = xp.where(y > 0, expanded / xp.where(y > 0, y, 1 + y), 1 / _C_K1 + 0 * y)
    return pq_inverse_eotf(mix_channels(np.linalg.inv(_crosstalk(crosstalk)), light * gain))


def bt2446c_to_sdr(hdr: Array, crosstalk: float = 0.0) -> Array:
    """HDR to SDR by method C, the inverse of `bt2446c`; light above SDR white is clipped. BT.2446-1, section 6."""
    xp = namespace(hdr)
    light = mix_channels(_crosstalk(crosstalk), pq_eotf(hdr))
    y = non_negative(luminance(light, "bt2020"))
    ratio = y / _C_HDR_INFLECTION - _C_K3
    high = _C_K2 * xp.log(xp.where(ratio > 0.1, ratio, 0.1 + 0 * ratio)) + _C_K4
    compressed = xp.where(y < _C_HDR_INFLECTION, _C_K1 * y, high)
    gain = xp.where(y > 0, compressed / xp.where(y > 0, y, 1 + y), _C_K1 + 0 * y)
    sdr = mix_channels(np.linalg.inv(_crosstalk(crosstalk)), light * gain)
    return unit(bt1886_inverse_eotf(convert(sdr / 100, "bt2020", "bt709")))


def bt2390_eetf(hdr: Array, peak: float, source_peak: float = 10000.0, black: float = 0.0, source_black: float = 0.0) -> Array:
    """Bring PQ signal of a `source_peak` master to a display of `peak` cd/m2. BT.2390-11, section 5.4.1.

    Acts on each value alone (any shape): give it R'G'B', or the maximum or the luminance to take a gain from.

    Args:
        hdr: PQ signal in [0, 1].
        peak: display peak in cd/m2.
        source_peak: peak of the mastering display in cd/m2.
        black: display black in cd/m2. The recommendation's lift, `b (1 - E)^4`, is monotone while it is no more than a quarter of
            the source's PQ signal (0.4 cd/m2 of a 50 cd/m2 source).
        source_black: black of the mastering display in cd/m2.

    Raises:
        InputError: a peak is not above its black.
    """
    if not (peak > black >= 0 and source_peak > source_black >= 0):
        raise InputError(
            f"bt2390_eetf: peak {peak} over black {black} and source_peak {source_peak} over source_black "
            f"{source_black} (cd/m2): each peak must be above its black"
        )
    xp = namespace(hdr)
    low, high, lowest, highest = (_pq(value) for value in (source_black, source_peak, black, peak))
    span = high - low
    max_lum = (highest - low) / span
    min_lum = max((lowest - low) / span, 0.0)
    e1 = unit((hdr - low) / span)
    if max_lum < 1:
        knee = 1.5 * max_lum - 0.5
        t = non_negative(e1 - knee) / (1 - knee)
        t2, t3 = t * t, t * t * t
        spline = (2 * t3 - 3 * t2 + 1) * knee + (t3 - 2 * t2 + t) * (1 - knee) + (-2 * t3 + 3 * t2) * max_lum
        e1 = xp.where(e1 < knee, e1, spline)
    lifted = e1 + min_lum * (1 - e1) ** 4
    return lifted * span + low


INVERSE_TONE_MAPS: dict[str, Callable[[Array], Array]] = {
    "bt2446a": bt2446a,
    "bt2446c": bt2446c,
    "bt2408": bt2408,
}
"""The analytic SDR to HDR baselines by the name that `inverse_tone_map(method=)` takes."""


def _bounded(sdr: Array) -> Array:
    """`sdr` held at `_BRIGHTEST`; NaN stays, for the EOTF to make black."""
    xp = namespace(sdr)
    return xp.where(sdr > _BRIGHTEST, xp.full_like(sdr, _BRIGHTEST), sdr)


def _quadratic(coefficients: tuple[float, float, float], x: Array) -> Array:
    a, b, c = coefficients
    return (a * x + b) * x + c


def _crosstalk(alpha: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """BT.2446-1, section 6.2: the matrix that brings saturated colours together before the curve."""
    if not 0 <= alpha < 1 / 3:
        raise InputError(f"bt2446c: crosstalk is {alpha}; it must be in [0, 1/3)")
    matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.full((3, 3), alpha) + np.eye(3) * (1 - 3 * alpha)
    return matrix


def _pq(value: float) -> float:
    return float(pq_inverse_eotf(np.asarray([value], dtype=np.float64))[0])
