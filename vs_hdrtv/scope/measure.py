"""What the scopes show, as numbers: waveform, histogram, chromaticities, gamut shares, false colour, a view for SDR screens.

Pictures are `hdr` signals, (3, H, W), BT.2020 PQ; light is in cd/m2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..color.arrays import mix_channels
from ..color.gamut import conversion_matrix, convert, luminance, rgb_to_xyz
from ..color.tone_curves import bt2390_eetf
from ..color.transfer import REFERENCE_WHITE, pq_eotf, pq_inverse_eotf, srgb_inverse_eotf

Floats = NDArray[np.floating]
Color = tuple[int, int, int]

TICKS = (0.1, 1.0, 10.0, 50.0, 100.0, REFERENCE_WHITE, 400.0, 1000.0, 4000.0)
"""cd/m2 at which the false colours change. Up to reference white they are cold, above it, where SDR ends, warm."""

BANDS: tuple[Color, ...] = (
    (10, 10, 22),
    (34, 22, 84),
    (44, 58, 150),
    (38, 112, 190),
    (38, 160, 170),
    (92, 192, 110),
    (240, 214, 72),
    (242, 142, 44),
    (222, 58, 48),
    (240, 130, 220),
)
"""Colour of each band at its upper edge: one more than `TICKS`."""

SHADE = 0.82
"""How dark a band begins, relative to its upper edge."""

DELTA_TICKS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""dE_ITP at which the colours of `delta_color` change; 1.0 is just noticeable (BT.2124-0)."""

DELTA_BANDS: tuple[Color, ...] = (
    (16, 18, 28),
    (38, 70, 130),
    (36, 130, 160),
    (92, 192, 110),
    (240, 214, 72),
    (242, 122, 44),
    (214, 44, 78),
)
"""One more than `DELTA_TICKS`."""

BINS = 160
"""Of `histogram`."""

WAVE_ROWS, WAVE_COLUMNS = 256, 480
"""Of `waveform`: PQ from 0 to 1, and the picture's width."""

PLANE = 256
"""Cells along each side of `chromaticities`."""

PLANE_SIDE = 0.64
"""CIE 1976 u' and v' that `chromaticities` ends at; the whole locus lies inside."""

BLACK = 1.0
"""cd/m2 of max(R, G, B) from which a pixel counts in a gamut share: below it one 10-bit code is over 2 % of the light."""

CODES = 2
"""Codes by which each of R', G', B' may be off before a pixel counts as outside a gamut: rounding of Y', Cb, Cr, and dither."""

GAMUTS = {"bt709": "BT.709", "p3_d65": "P3-D65"}
"""Gamuts that a share is reported for."""


@dataclass(frozen=True)
class FrameLight:
    """Light of one frame, in cd/m2.

    Attributes:
        number: frame of the file, from 0.
        seconds: when it is shown, from the first frame.
        max_rgb: highest max(R, G, B) of its pixels. CTA-861.3, annex P.
        average: their average.
    """

    number: int
    seconds: float
    max_rgb: float
    average: float


@dataclass(frozen=True, eq=False)
class Measured:
    """One frame.

    Attributes:
        light: as `light.light_level` has it.
        luminance: percent of pixels that are darker -> luminance in cd/m2.
        mean: mean luminance in cd/m2.
        above: cd/m2 -> percent of pixels of higher luminance.
        counted: pixels not darker than `BLACK`.
        outside: gamut -> how many of these are outside it.
        histogram: (BINS,) of luminance, see `histogram`.
        histogram_max: the same of max(R, G, B).
        waveform: (4, WAVE_ROWS, WAVE_COLUMNS), see `waveform`: R, G, B and luminance.
        chromaticities: (PLANE, PLANE), see `chromaticities`.
    """

    light: FrameLight
    luminance: dict[float, float]
    mean: float
    above: dict[float, float]
    counted: int
    outside: dict[str, int]
    histogram: NDArray[np.float64]
    histogram_max: NDArray[np.float64]
    waveform: NDArray[np.float32]
    chromaticities: NDArray[np.float32]

    def share(self, gamut: str) -> float | None:
        """Percent of the counted pixels outside a gamut; None where no pixel counts."""
        return 100 * self.outside[gamut] / self.counted if self.counted else None


def measure(hdr: Floats, light: FrameLight, depth: int = 10) -> Measured:
    """All that the scopes show of a frame.

    Args:
        hdr: (3, H, W) BT.2020 PQ signal.
        light: what was measured of the frame as it is coded.
        depth: bits of the file's samples, for the tolerance of the gamut shares.
    """
    hdr = np.clip(np.nan_to_num(np.asarray(hdr, dtype=np.float32)), 0, 1)
    linear = np.asarray(pq_eotf(hdr))
    y = np.asarray(luminance(linear, "bt2020"))[0]
    brightest = np.max(hdr, axis=0)
    counted = np.max(linear, axis=0) >= BLACK
    tolerance = rounding(hdr, linear, depth)
    points = (1.0, 50.0, 99.0, 99.9)
    return Measured(
        light=light,
        luminance=dict(zip(points, map(float, np.percentile(y, points)), strict=True)),
        mean=float(y.mean(dtype=np.float64)),
        above={limit: 100 * float(np.mean(y > limit)) for limit in (100.0, REFERENCE_WHITE, 1000.0)},
        counted=int(np.count_nonzero(counted)),
        outside={gamut: int(np.count_nonzero(outside(linear, tolerance, gamut) & counted)) for gamut in GAMUTS},
        histogram=histogram(y),
        histogram_max=_shares(brightest),
        waveform=waveform(np.concatenate([hdr, np.asarray(pq_inverse_eotf(y))[None]])),
        chromaticities=chromaticities(linear, counted),
    )


def rounding(hdr: Floats, light: Floats, depth: int = 10) -> Floats:
    """Light, in cd/m2, by which `CODES` codes in each of R', G', B' of `hdr` change its `light`.

    A code of limited range is 1 / (219 * 2^(depth - 8)) of the signal. BT.2100-2, table 9.
    """
    higher: Floats = pq_eotf(hdr + CODES / (219 * 2.0 ** (depth - 8)))
    return higher - light


def outside(light: Floats, tolerance: Floats, gamut: str) -> NDArray[np.bool_]:
    """Which pixels no colour of a gamut can be, whatever their brightness: R, G or B of the gamut is negative.

    Args:
        light: (3, H, W) BT.2020, cd/m2.
        tolerance: how far R, G and B of `light` may each be off.
        gamut: key of `color.gamut.PRIMARIES`.

    Returns:
        (H, W).
    """
    matrix = conversion_matrix("bt2020", gamut)
    tolerance = mix_channels(np.abs(matrix), tolerance)
    found: NDArray[np.bool_] = np.any(np.asarray(convert(light, "bt2020", gamut)) < -tolerance, axis=0)
    return found


def waveform(signal: Floats, rows: int = WAVE_ROWS, columns: int = WAVE_COLUMNS) -> NDArray[np.float32]:
    """Where the signal of each part of the picture's width lies.

    Args:
        signal: (C, H, W) PQ signal in [0, 1].
        rows: steps of the signal; row 0 is the highest.
        columns: parts of the width.

    Returns:
        (C, rows, columns) share of a column's pixels in each row; a column adds up to 1. Pictures narrower than `columns` have
        as many columns as pixels.
    """
    height, width = signal.shape[1:]
    columns = min(columns, width)
    column = (np.arange(width) * columns) // width
    pixels = height * np.bincount(column, minlength=columns)
    planes = []
    for plane in signal:
        row = rows - 1 - np.clip((plane * rows).astype(np.int32), 0, rows - 1)
        counts = np.bincount((row * columns + column[None]).ravel(), minlength=rows * columns)
        planes.append((counts.reshape(rows, columns) / pixels).astype(np.float32))
    return np.stack(planes)


def histogram(light: Floats) -> NDArray[np.float64]:
    """Share of pixels, in percent, in each of `BINS` bins of equal PQ width from 0 to 10 000 cd/m2; they add up to 100.

    Args:
        light: luminance in cd/m2, any shape.
    """
    return _shares(np.asarray(pq_inverse_eotf(light)))


def _shares(signal: Floats) -> NDArray[np.float64]:
    counts, _ = np.histogram(signal, bins=BINS, range=(0.0, 1.0))
    share: NDArray[np.float64] = counts.astype(np.float64) * (100.0 / signal.size)
    return share


def chromaticities(light: Floats, counted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How many pixels have each chromaticity.

    Args:
        light: (3, H, W) BT.2020, any unit.
        counted: (H, W) which pixels to count.

    Returns:
        (PLANE, PLANE) share of the counted pixels over CIE 1976 u' (columns) and v' (rows, highest first), each from 0 to
        `PLANE_SIDE`.
    """
    xyz: Floats = mix_channels(rgb_to_xyz("bt2020"), light)
    x, y, z = xyz
    total = x + 15 * y + 3 * z
    keep = counted & (total > 0)
    scale = PLANE / PLANE_SIDE
    u = (4 * scale * x[keep] / total[keep]).astype(np.int32)
    v = (9 * scale * y[keep] / total[keep]).astype(np.int32)
    index = np.clip(PLANE - 1 - v, 0, PLANE - 1) * PLANE + np.clip(u, 0, PLANE - 1)
    counts = np.bincount(index, minlength=PLANE * PLANE).reshape(PLANE, PLANE)
    shares: NDArray[np.float32] = (counts / max(int(keep.sum()), 1)).astype(np.float32)
    return shares


def uv(xy: Floats) -> NDArray[np.float64]:
    """CIE 1931 (..., 2) x and y to CIE 1976 u' and v'. CIE 15:2018, section 8.2.1."""
    x, y = np.moveaxis(np.asarray(xy, dtype=np.float64), -1, 0)
    total = -2 * x + 12 * y + 3
    return np.stack([4 * x / total, 9 * y / total], axis=-1)


def tone_map(hdr: Floats, peak: float | None = None) -> Floats:
    """HDR for an SDR screen: BT.2390 EETF to reference white, BT.709 primaries, sRGB.

    The curve is taken on the maximum of R, G and B and applied as one gain, so that hues are kept.

    Args:
        hdr: (3, H, W) BT.2020 PQ signal.
        peak: cd/m2 that become white; by default the brightest component of this picture, leaving out one in 10 000.

    Returns:
        (3, H, W) sRGB signal in [0, 1]; diffuse white (203 cd/m2) and everything below is as bright as in the SDR
        picture as far as the highlights leave room.
    """
    light = pq_eotf(hdr)
    brightest = np.max(light, axis=0, keepdims=True)
    if peak is None:
        peak = float(np.quantile(brightest, 0.9999))
    target = brightest
    if peak > REFERENCE_WHITE:
        target = pq_eotf(bt2390_eetf(pq_inverse_eotf(brightest), REFERENCE_WHITE, peak))
    gain = np.where(brightest > 0, target / np.where(brightest > 0, brightest, 1), 1) / REFERENCE_WHITE
    shown: Floats = np.clip(srgb_inverse_eotf(convert(light * gain, "bt2020", "bt709")), 0, 1)
    return shown


def false_color(light: Floats) -> NDArray[np.uint8]:
    """Luminance as colours: a band between two of `TICKS`, growing lighter towards its upper edge.

    Args:
        light: (..., H, W) luminance in cd/m2.

    Returns:
        (..., H, W, 3) 8-bit sRGB.
    """
    edges = np.asarray(pq_inverse_eotf(np.array([0.0, *TICKS, 10000.0])))
    return _bands(np.asarray(pq_inverse_eotf(light)), edges, BANDS)


def delta_color(delta: Floats) -> NDArray[np.uint8]:
    """dE_ITP (..., H, W) as colours (..., H, W, 3): one for each octave, without shades, since coding noise alone is some."""
    colors: NDArray[np.uint8] = np.array(DELTA_BANDS, dtype=np.uint8)[np.searchsorted(DELTA_TICKS, delta, side="right")]
    return colors


def delta_position(delta: Floats) -> NDArray[np.float64]:
    """Where a dE_ITP lies on the legend's axis, [0, 1]: a line to the first of `DELTA_TICKS`, then octaves."""
    value = np.maximum(np.asarray(delta, dtype=np.float64), 0)
    octaves = np.where(value < 1, value, 1 + np.log2(np.maximum(value, 1)))
    position: NDArray[np.float64] = np.clip(octaves / (len(DELTA_TICKS) + 1), 0, 1)
    return position


def _bands(signal: Floats, edges: Floats, bands: tuple[Color, ...]) -> NDArray[np.uint8]:
    band = np.clip(np.searchsorted(edges, signal, side="right") - 1, 0, len(bands) - 1)
    inside = np.clip((signal - edges[band]) / (edges[band + 1] - edges[band]), 0, 1)
    shade = SHADE + (1 - SHADE) * inside
    colors: NDArray[np.uint8] = np.round(np.array(bands)[band] * shade[..., None]).astype(np.uint8)
    return colors


def to_bytes(signal: Floats) -> NDArray[np.uint8]:
    """(3, H, W) signal in [0, 1] to (H, W, 3) bytes."""
    rounded: NDArray[np.uint8] = np.round(255 * np.clip(np.nan_to_num(signal), 0, 1)).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(rounded)


def shrink(picture: Floats, width: int) -> NDArray[np.float32]:
    """(C, H, W) averaged over whole blocks until it is not wider than `width`; a rest at the right or bottom is left out."""
    factor = -(-picture.shape[2] // width)
    factor = min(factor, picture.shape[1])
    height, columns = picture.shape[1] // factor, picture.shape[2] // factor
    blocks = np.asarray(picture, np.float32)[:, : height * factor, : columns * factor]
    shrunk: NDArray[np.float32] = blocks.reshape(picture.shape[0], height, factor, columns, factor).mean(axis=(2, 4))
    return shrunk
