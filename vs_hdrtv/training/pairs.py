"""SDR/HDR pairs from scene-linear pictures: exposure, operator, look, 8-bit 4:2:0; the HDR master at SDR's level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..color.gamut import convert, luminance, ycbcr_matrix
from ..color.tone_curves import bt2390_eetf, bt2408
from ..color.transfer import REFERENCE_WHITE, bt1886_inverse_eotf, pq_eotf, pq_inverse_eotf
from ..errors import InputError
from . import operators
from .scenes import Picture

MASTER_PEAK = 1000.0
"""cd/m2 of the HDR masters' shoulder."""

CLIPPED = 0.98
"""SDR signal from which a pixel counts as clipped when levels are matched."""


@dataclass(frozen=True)
class Pair:
    """A training or test pair, both (3, H, W) float32: `sdr` in [0, 1] and `hdr` PQ BT.2020 in [0, 1]."""

    sdr: NDArray[np.float32]
    hdr: NDArray[np.float32]
    operator: str


def make_pair(view: Picture, rng: np.random.Generator, operator: str | None = None, look: float = 1.0) -> Pair:
    """SDR/HDR pair from one view.

    Args:
        view: (H, W, 3) linear light, H and W even.
        rng: every random choice comes from it.
        operator: name in `operators.OPERATORS`; None draws one of those that training may see.
        look: strength of the random grade (contrast, saturation, white balance, black) on the SDR side, [0, 1].

    Raises:
        InputError: the view is black.
    """
    name = operator or str(rng.choice(operators.TRAINED))
    light = _expose(np.moveaxis(view, -1, 0).astype(np.float64), rng)
    sdr_light = _grade(operators.OPERATORS[name](light, rng), rng, look)
    sdr = to_8bit_420(np.asarray(bt1886_inverse_eotf(sdr_light)))
    return Pair(sdr.astype(np.float32), master(light, sdr).astype(np.float32), name)


def with_bars(pair: Pair, rng: np.random.Generator) -> Pair:
    """The pair with black bars: letterbox, pillarbox or a black rectangle somewhere, 0 in SDR and in HDR.

    Operators crush shadows, so that a network learns to lift black a little; what is black by intent must stay black.
    """
    height, width = pair.sdr.shape[-2:]
    mask = np.zeros((height, width), dtype=bool)
    kind = rng.integers(3)
    if kind == 2:
        y, x = int(rng.integers(height * 3 // 4)), int(rng.integers(width * 3 // 4))
        mask[y : y + int(rng.integers(height // 8, height // 2)), x : x + int(rng.integers(width // 8, width // 2))] = True
    else:
        side = (height, width)[kind]
        thickness = int(rng.integers(max(1, side // 24), side // 4))
        lines = mask if kind == 0 else mask.T
        lines[:thickness] = lines[side - thickness :] = True
    return Pair(np.where(mask, np.float32(0), pair.sdr), np.where(mask, np.float32(0), pair.hdr), pair.operator)


def master(light: NDArray[np.float64], sdr: NDArray[np.float64]) -> NDArray[np.float64]:
    """HDR master (3, H, W) of scene light at the level of its SDR version.

    The light is scaled until the median of log(HDR / BT.2408(SDR)) over pixels that the SDR did not clip is 0: no
    network can learn an absolute level that the SDR does not hold. Then a BT.2390 shoulder to `MASTER_PEAK` on the
    largest channel.
    """
    reference = luminance(pq_eotf(bt2408(sdr)), "bt2020")
    scene = luminance(light, "bt709")
    # Below 0.05 of the signal an 8-bit code is worth more than 10 % of light: too coarse to set a level by.
    usable = (sdr.max(axis=0, keepdims=True) < CLIPPED) & (sdr.max(axis=0, keepdims=True) > 0.05) & (scene > 0)
    scale = REFERENCE_WHITE
    if usable.any():
        scale = float(np.exp(np.median(np.log(reference[usable] / scene[usable]))))
    hdr = convert(light * scale, "bt709", "bt2020")
    peak = hdr.max(axis=0, keepdims=True)
    shouldered = pq_eotf(bt2390_eetf(pq_inverse_eotf(peak), MASTER_PEAK))
    return np.asarray(pq_inverse_eotf(hdr * (shouldered / np.maximum(peak, 1e-6))))


def to_8bit_420(sdr: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, H, W) signal through limited-range 8-bit Y'CbCr 4:2:0 (chroma averaged over 2x2, repeated back), BT.709."""
    matrix = ycbcr_matrix("bt709")
    y, cb, cr = np.tensordot(matrix, sdr, axes=1)
    luma = np.clip(np.rint(y * 219 + 16), 0, 255)
    planes = [(luma - 16) / 219]
    for chroma in (cb, cr):
        height, width = chroma.shape
        small = chroma.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))  # (H/2, W/2)
        small = (np.clip(np.rint(small * 224 + 128), 0, 255) - 128) / 224
        planes.append(small.repeat(2, axis=0).repeat(2, axis=1))  # (H, W)
    return np.clip(np.tensordot(np.linalg.inv(matrix), np.stack(planes), axes=1), 0, 1)


def _expose(light: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Scale the view so that its log-average sits near mid-grey, as a camera or a colourist would, errors included."""
    y = luminance(light, "bt709")
    if not (y > 0).any():
        raise InputError("pairs: the view is black; choose another one")
    floor = max(float(np.percentile(y, 1)), float(y.max()) * 1e-6)
    average = float(np.exp(np.mean(np.log(np.maximum(y, floor)))))
    # Night stays darker than day: the key follows the scene's own range a little.
    stops = np.clip(rng.normal(0.0, 0.9), -2.5, 2.0)
    exposed: NDArray[np.float64] = light * (0.16 * 2.0**stops / average)
    return exposed


def _grade(light: NDArray[np.float64], rng: np.random.Generator, look: float) -> NDArray[np.float64]:
    """Random grade of SDR light: contrast about mid-grey, saturation, white balance, black level."""
    contrast = 1 + look * rng.normal(0, 0.08)
    saturation = 1 + look * rng.normal(0, 0.10)
    balance = np.exp(look * rng.normal(0, 0.025, (3, 1, 1)))
    black = look * max(rng.normal(-0.001, 0.002), 0.0)
    y = luminance(light, "bt709")
    light = np.maximum(y + saturation * (light - y), 0) * balance / balance.max()
    light = 0.18 * (light / 0.18) ** contrast
    return np.clip(black + (1 - black) * light, 0, 1)
