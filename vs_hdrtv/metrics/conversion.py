"""What a conversion does to charts that it is given: the hue of memory colours, and banding on a ramp. No reference is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..color.gamut import convert, luminance
from ..color.ictcp import pq_to_ictcp
from ..color.tone_curves import bt2408
from ..color.transfer import bt1886_eotf, bt1886_inverse_eotf, pq_eotf, pq_inverse_eotf, srgb_eotf

Picture = NDArray[np.float32]
Method = Callable[[Picture], Picture]
"""(3, H, W) `sdr` to (3, H, W) `hdr`, not clamped."""

MEMORY_COLORS = {
    "dark skin": (115, 82, 68),
    "light skin": (194, 150, 130),
    "blue sky": (98, 122, 157),
    "foliage": (87, 108, 67),
}
"""sRGB, 8 bits, of these patches of the ColorChecker (McCamy et al. 1976) as its maker X-Rite publishes them."""

LEVELS = (0.5, 1.0, 1.5)
"""Each colour is shown at these multiples of its light: in shadow, as published, in the sun."""

_GREYS = (0.0, 0.18, 0.5, 1.0)
_PATCH, _BORDER = 32, 4
_RAMP_ROWS, _RAMP_ENDS = 64, 32
_TEN_BITS = 1023


def hue_shift(method: Method) -> float:
    """Mean change of the hue angle of `MEMORY_COLORS` in degrees, in ITP (BT.2124-0: T is half of Ct).

    The angle is compared with that of the SDR colour's own chromaticity at the luminance that the method gave it: lines of
    constant chromaticity bend in ITP, and being brighter is no shift of hue. BT.2408 thus has 0.
    """
    sdr = memory_color_chart()
    result = np.asarray(pq_eotf(np.asarray(method(sdr), dtype=np.float64)))  # (3, H, W)
    source = np.asarray(convert(bt1886_eotf(sdr.astype(np.float64)), "bt709", "bt2020"))
    shifts = []
    for rows, columns in _patches():
        given, wanted = (light[:, rows, columns].mean(axis=(1, 2)).reshape(3, 1, 1) for light in (result, source))
        wanted = wanted * (luminance(given, "bt2020") / luminance(wanted, "bt2020"))
        shifts.append(abs((_hue(given) - _hue(wanted) + 180) % 360 - 180))
    return float(np.mean(shifts))


def banding(method: Method) -> float:
    """Largest second difference of the PQ signal along a grey ramp of 0 to 255, in 10-bit code values.

    A step between two neighbouring codes that is much larger than the steps beside it is what the eye sees as a band.
    """
    ramp = np.asarray(method(grey_ramp()), dtype=np.float64)[:, _RAMP_ROWS // 2, _RAMP_ENDS:-_RAMP_ENDS]  # (3, 256)
    return float(np.abs(np.diff(np.clip(ramp, 0, 1), 2)).max()) * _TEN_BITS


def banding_ratio(method: Method) -> float:
    """`banding` relative to that of BT.2408, which maps the codes smoothly."""
    return banding(method) / banding(bt2408)


def memory_color_chart() -> Picture:
    """(3, 128, 128) `sdr`: the colours side by side, a row a level, and a row of greys, on mid-grey."""
    greys = np.repeat(np.array(_GREYS)[:, None], 3, axis=1)
    colors = np.asarray(srgb_eotf(np.array(list(MEMORY_COLORS.values())) / 255))
    rows = [*(level * colors for level in LEVELS), greys]  # each (4, 3)
    light = np.full((len(rows) * _PATCH, len(greys) * _PATCH, 3), 0.18)
    for top, row in enumerate(rows):
        for left, color in enumerate(row):
            light[_inside(top), _inside(left)] = color
    return np.ascontiguousarray(np.moveaxis(bt1886_inverse_eotf(light), -1, 0), dtype=np.float32)


def grey_ramp() -> Picture:
    """(3, 64, 320) `sdr`: every code of 8 bits is a column, and the first and the last are repeated beyond."""
    codes = np.pad(np.arange(256), _RAMP_ENDS, mode="edge").astype(np.float32) / 255
    return np.ascontiguousarray(np.broadcast_to(codes, (3, _RAMP_ROWS, codes.size)))


def _patches() -> Iterator[tuple[slice, slice]]:
    """Where the colours are: the middle of each patch, away from what a network blurs over its edge."""
    for top in range(len(LEVELS)):
        for left in range(len(MEMORY_COLORS)):
            yield _inside(top, 3 * _BORDER), _inside(left, 3 * _BORDER)


def _inside(index: int, border: int = _BORDER) -> slice:
    return slice(index * _PATCH + border, (index + 1) * _PATCH - border)


def _hue(light: NDArray[np.float64]) -> float:
    """Hue angle in degrees of (3, 1, 1) light, BT.2020, cd/m2."""
    _, tritan, protan = np.asarray(pq_to_ictcp(pq_inverse_eotf(light)))[:, 0, 0]
    return float(np.degrees(np.arctan2(protan, tritan / 2)))
