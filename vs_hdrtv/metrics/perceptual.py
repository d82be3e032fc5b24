"""Measures made for HDR: PU21 before PSNR and SSIM, and ColorVideoVDP.

All take the light as PQ has it, up to 10 000 cd/m2; only ColorVideoVDP has a display, which clips at its own peak.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from ..color.arrays import Array, namespace
from ..color.gamut import luminance
from ..color.transfer import pq_eotf
from .inputs import batch, check_pair
from .similarity import SSIM_SMALLEST

# Mantiuk and Azimi, "PU21: A novel perceptually uniform encoding for adapting existing quality metrics for HDR", PCS 2021:
# the fit "banding + glare", which the paper recommends and its code has as default.
_PU21 = (0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627, 0.09150303166, 0.9099517204, 596.3148142)
_PU21_RANGE = (0.005, 10000.0)
_PU21_WHITE = 256
"""What 100 cd/m2 become: the range that PSNR and SSIM count as full (`pu21_metric.m` of the authors)."""

DISPLAY = "standard_hdr_pq"
"""ColorVideoVDP's display: 30 inches, 3840x2160, 1500 cd/m2, 10 lux, seen from two heights."""

PIXELS_PER_DEGREE = 75.4
"""Of `DISPLAY`."""

VDP_SMALLEST = 16
"""Pixels below which ColorVideoVDP's pyramid has no levels worth the name."""


def pu21_encode(light: Array) -> Array:
    """Light in cd/m2 to perceptually uniform PU21 values: 0 at 0.005 cd/m2, 256 at 100, 595 at 10 000; clipped outside."""
    a, b, c, exponent, power, offset, scale = _PU21
    xp = namespace(light)
    raised = xp.clip(light, *_PU21_RANGE) ** exponent
    return scale * (((a + b * raised) / (1 + c * raised)) ** power - offset)


def pu21_psnr(hdr: Array, reference: Array) -> float:
    """PSNR in dB of the PU21-encoded R, G and B, peak 256; infinite for equal pictures.

    Raises:
        InputError: the shapes differ, or are not those of a picture.
    """
    check_pair("pu21_psnr", hdr, reference)
    return pu21_decibels(float(namespace(hdr).mean(pu21_error(hdr, reference))))


def pu21_error(hdr: Array, reference: Array) -> Array:
    """Squared difference of the PU21-encoded R, G and B of two PQ signals, in their shape."""
    return (pu21_encode(pq_eotf(hdr)) - pu21_encode(pq_eotf(reference))) ** 2


def pu21_decibels(error: float) -> float:
    """PSNR in dB, peak 256, of a mean of `pu21_error`; infinite for 0, NaN for NaN."""
    return math.nan if math.isnan(error) else 10 * math.log10(_PU21_WHITE**2 / error) if error > 0 else math.inf


def pu21_ssim(hdr: Array, reference: Array) -> float:
    """SSIM of the PU21-encoded luminance, dynamic range 256; 1.0 for equal pictures.

    Raises:
        InputError: the shapes differ, are not those of a picture, or are smaller than SSIM's window.
    """
    check_pair("pu21_ssim", hdr, reference, SSIM_SMALLEST)
    import piq

    # piq wants values inside the range that its constants refer to. PU21 goes on above 256: scale both, which changes nothing.
    top = float(pu21_encode(np.array(_PU21_RANGE[1])))
    encoded = (
        batch(pu21_encode(luminance(pq_eotf(batch(signal, double=True)), "bt2020")) / top, double=True)
        for signal in (hdr, reference)
    )
    constants = {"k1": 0.01 * _PU21_WHITE / top, "k2": 0.03 * _PU21_WHITE / top}
    return float(piq.ssim(*encoded, data_range=1.0, downsample=False, **constants))


def color_video_vdp(hdr: Array, reference: Array, rate: float = 0.0) -> float:
    """ColorVideoVDP in JOD: 10 for no visible difference, 1 less for a difference that 75 % of people see.

    Mantiuk et al., ACM TOG 2024, by the authors' package `cvvdp` (MIT), on the display `DISPLAY`.

    Args:
        hdr: (3, H, W), or (N, 3, H, W): consecutive frames of a clip, whose flicker counts too.
        reference: the same.
        rate: frames a second of a clip; ignored for a picture.

    Raises:
        InputError: the shapes differ, are not those of a picture, or are too small.
    """
    check_pair("cvvdp", hdr, reference, VDP_SMALLEST)
    result, reference = batch(hdr), batch(reference)
    measure = _vdp(str(result.device))
    order, frames = ("FCHW", rate or 24.0) if result.shape[0] > 1 else ("BCHW", 0)
    jod, _ = measure.predict(result, reference, dim_order=order, frames_per_second=frames)
    return float(jod)


@cache
def _vdp(device: str) -> Any:
    import pycvvdp
    import torch

    return pycvvdp.cvvdp(display_name=DISPLAY, device=torch.device(device), quiet=True)
