"""What a colourist sets on an HDR picture: strength, reference white, highlights, saturation, peak and ceilings.

Pictures are `hdr`: (N, 3, H, W) BT.2020 PQ signal. Everything acts on a pixel alone and keeps its hue: one gain for the three
channels, taken from the largest, or a change of chroma alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, constant, namespace
from .ictcp import ictcp_to_pq, pq_to_ictcp
from .tone_curves import bt2390_eetf
from .transfer import REFERENCE_WHITE, pq_eotf, pq_inverse_eotf

FEATHER = 16
"""Pixels over which the edge of an `Area` fades."""

_SMALLEST_LIGHT = 1e-4
"""cd/m2 below which a gain is not taken from a pixel's own light: a tenth of the first 10-bit PQ code above black."""


@dataclass(frozen=True)
class Area:
    """A rectangle of a picture, in pixels from its top left corner; what lies outside the picture is cut off."""

    left: int
    top: int
    width: int
    height: int


def blend(hdr: Array, base: Array, strength: float) -> Array:
    """`base` at strength 0, `hdr` at 1, between them a mix of the PQ signals, which are nearly even steps to the eye."""
    return base + (hdr - base) * strength


def highlight_peak(peak: float, gain: float, reference_white: float = REFERENCE_WHITE) -> float:
    """cd/m2 that `scale_highlights` makes of `peak` cd/m2."""
    return peak if peak <= reference_white else peak + (gain - 1) * (peak - reference_white) ** 2 / peak


def scale_light(hdr: Array, gain: float) -> Array:
    """All light times `gain`."""
    return pq_inverse_eotf(pq_eotf(hdr) * gain)


def scale_highlights(hdr: Array, gain: float, reference_white: float = REFERENCE_WHITE) -> Array:
    """Light above `reference_white` cd/m2 times a gain that grows from 1 there towards `gain`.

    `y + (gain - 1) (y - w)^2 / y` for the largest channel y above the white w: smooth at w, and monotonic for any gain >= 0.
    """
    xp = namespace(hdr)
    light = pq_eotf(hdr)
    y = xp.max(light, axis=-3, keepdims=True)  # (N, 1, H, W)
    y = xp.where(y > reference_white, y, xp.full_like(y, reference_white))
    excess = (y - reference_white) / y
    return pq_inverse_eotf(light * (1 + (gain - 1) * excess * excess))


def scale_saturation(hdr: Array, gain: float) -> Array:
    """Ct and Cp times `gain`, I kept. BT.2100-2, table 7. Colours that leave BT.2020 are clipped in packing."""
    xp = namespace(hdr)
    ictcp = pq_to_ictcp(hdr)
    return ictcp_to_pq(xp.concat([ictcp[..., :1, :, :], ictcp[..., 1:, :, :] * gain], axis=-3))


def limit_peak(hdr: Array, peak: float, source_peak: float) -> Array:
    """Bring a programme that reaches `source_peak` cd/m2 under `peak` cd/m2.

    Below `source_peak` the BT.2390 shoulder on the largest channel; then, at any peak, a clip: a network may overshoot, and the
    file's mastering display says that nothing does.
    """
    xp = namespace(hdr)
    top = pq_inverse_eotf(xp.ones_like(hdr[..., :1, :1, :1]) * peak)
    if peak < source_peak:
        largest = xp.max(hdr, axis=-3, keepdims=True)  # (N, 1, H, W)
        light = pq_eotf(largest)
        smallest = xp.full_like(light, _SMALLEST_LIGHT)
        gain = pq_eotf(bt2390_eetf(largest, peak, source_peak)) / xp.where(light > smallest, light, smallest)
        hdr = pq_inverse_eotf(pq_eotf(hdr) * gain)
    return xp.where(hdr < top, hdr, top)


def limit_where(hdr: Array, mask: Array, ceiling: float, source_peak: float) -> Array:
    """`limit_peak` to `ceiling` cd/m2 where `mask` (N, 1, H, W) is 1, nothing where it is 0."""
    return hdr + (limit_peak(hdr, ceiling, max(source_peak, ceiling)) - hdr) * mask


def limit_areas(hdr: Array, areas: Sequence[Area], ceiling: float, source_peak: float) -> Array:
    """`limit_peak` to `ceiling` cd/m2 inside `areas` (all of the picture where there are none), fading out around them."""
    if not areas:
        return limit_peak(hdr, ceiling, max(source_peak, ceiling))
    mask = constant(area_mask(tuple(areas), hdr.shape[-2], hdr.shape[-1])[None, None], hdr)  # (1, 1, H, W)
    return limit_where(hdr, mask, ceiling, source_peak)


@lru_cache(maxsize=16)
def area_mask(areas: tuple[Area, ...], height: int, width: int) -> NDArray[np.float32]:
    """(height, width): 1 inside the areas, falling to 0 over `FEATHER` pixels outside them."""
    mask = np.zeros((height, width), dtype=np.float32)
    y, x = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    for area in areas:
        down = _ramp(y, area.top, area.top + area.height - 1)
        across = _ramp(x, area.left, area.left + area.width - 1)
        mask = np.maximum(mask, down[:, None] * across[None])
    mask.setflags(write=False)
    return mask


def _ramp(position: NDArray[np.float32], first: int, last: int) -> NDArray[np.float32]:
    outside = np.maximum(np.maximum(first - position, position - last), 0)
    ramp: NDArray[np.float32] = np.clip(1 - outside / (FEATHER + 1), 0, 1).astype(np.float32)
    return ramp
