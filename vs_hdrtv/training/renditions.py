"""What of its SDR version's grade an HDR master has: part of it, its blacks, or all of it and more light where it is bright."""

from __future__ import annotations

import numpy as np

from ..color.arrays import Array, namespace, on_host
from ..color.gamut import convert, luminance
from ..color.transfer import bt1886_inverse_eotf
from .operators import Light

CLIPPED = 0.98
"""SDR signal from which a pixel counts as clipped when levels are matched."""

HIGHLIGHTS = (0.4, 1.0)
"""SDR signal between which a rendition passes over from the grade to scene light."""

BLACKS = (0.05, 0.2)
"""SDR signal up to which a master with kept blacks is as dark as its SDR version, and from which it is not held to it: 0.15 and
4 cd/m2 by BT.2408."""

GAIN_MAP = {"from": (0.15, 0.5), "to": (0.7, 1.05), "stops": (1.2, 3.3)}
"""Of `gain_mapped`: SDR signal between which the gain begins and is whole, and how many stops it then is."""

COMPRESSED = 1.0
"""Stops that SDR has compressed of a scene's highlights, from which `gain_mapped` gives the whole gain for them."""


def rendition(light: Light, shown: Light, kept: float, blacks: bool = False) -> Light:
    """Light of a master that keeps part of its SDR version's grade and has the scene's highlights.

    A colourist grades HDR and SDR alike below the highlights, and so do cameras that write a gain map: scene light alone as
    target would teach that every contrast and every tint in SDR is to be undone. And what SDR crushed is for the most part meant
    to be black, or grain: with scene light alone as target, the first codes above black come out grey.

    Args:
        light: (..., 3, H, W) scene light, BT.2020.
        shown: (..., 3, H, W) SDR light, BT.709, [0, 1].
        kept: share of the grade below `HIGHLIGHTS`, [0, 1]; 0 gives scene light.
        blacks: keep all of it below `BLACKS`.

    Returns:
        (..., 3, H, W), BT.2020, at the level of `light`.
    """
    xp = namespace(light)
    graded = convert(shown, "bt709", "bt2020")
    scene, grade = (xp.maximum(luminance(each, "bt2020"), 1e-9) for each in (light, graded))  # (..., 1, H, W)
    signal = xp.max(bt1886_inverse_eotf(shown), axis=-3, keepdims=True)  # (..., 1, H, W)
    matched = level(scene, grade, usable_pixels(signal), 1.0)
    share = kept * (1 - _smooth_step(signal, HIGHLIGHTS))
    if blacks:
        share = xp.maximum(share, 1 - _smooth_step(signal, BLACKS))
    color = (1 - share) * (light / scene) + share * (graded / grade)
    return color * scene ** (1 - share) * (grade * matched) ** share


def gain_mapped(scene: Light, shown: Light, rng: np.random.Generator) -> Light:
    """Light of a photograph with a gain map, BT.2020, 1.0 = reference white: the SDR picture, brighter where it is bright.

    Up to mid-tones it is the SDR picture itself, at the level that BT.2408 gives it. Above, the gain follows the SDR signal, what
    the SDR picture has compressed of the scene, or a mix of the two; its colours are those of the SDR picture. Such gains are
    what ISO 21496-1 files hold, one channel of them, and what colourists do who grade HDR from the SDR version.

    Args:
        scene: (..., 3, H, W) light, BT.2020, any scale; of a picture, or of a clip, whose frames get one gain for one light.
        shown: SDR light of the same shape, BT.709, [0, 1].
        rng: every random choice comes from it.
    """
    xp = namespace(scene)
    graded = convert(shown, "bt709", "bt2020")
    lost = xp.log2(xp.maximum(luminance(scene, "bt2020"), 1e-9) / xp.maximum(luminance(graded, "bt2020"), 1e-9))  # (..., 1, H, W)
    signal = xp.max(bt1886_inverse_eotf(shown), axis=-3, keepdims=True)  # (..., 1, H, W)
    begins, whole = rng.uniform(*GAIN_MAP["from"]), rng.uniform(*GAIN_MAP["to"])
    stops, share = rng.uniform(*GAIN_MAP["stops"]), rng.random()
    bright = _smooth_step(signal, (begins, whole))
    below, above = lost[usable_pixels(signal) & (signal < begins)], lost[signal >= begins]
    anchor = float(np.median(on_host(below))) if below.shape[0] else float(np.percentile(on_host(lost), 20))
    most = float(np.percentile(on_host(above), 90)) if above.shape[0] else anchor
    compressed = xp.clip((lost - anchor) / max(most - anchor, COMPRESSED), 0, 1)
    return graded * 2.0 ** (stops * bright * (share * compressed + (1 - share) * bright))


def _smooth_step(signal: Array, edges: tuple[float, float]) -> Array:
    """0 up to the first edge, 1 from the second on."""
    low, high = edges
    t = namespace(signal).clip((signal - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def usable_pixels(signal: Array) -> Array:
    """Where the largest channel of SDR tells a level.

    Below 0.05 of the signal an 8-bit code is worth more than 10 % of light: too coarse to set a level by.
    """
    return (signal < CLIPPED) & (signal > 0.05)


def level(one: Array, other: Array, usable: Array, otherwise: float) -> float:
    """Median ratio of two luminances over usable pixels; `otherwise` where there is none."""
    ratios = one[usable] / other[usable]
    return float(np.exp(np.median(np.log(on_host(ratios))))) if ratios.shape[0] else otherwise
