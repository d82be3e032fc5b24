"""Structure kept: SSIM and SR-SIM of the PQ signal, by piq (Apache-2.0)."""

from __future__ import annotations

from ..color.arrays import Array
from .inputs import batch, check_pair

SSIM_SMALLEST = 11
"""Side of SSIM's window in pixels."""

SR_SIM_SMALLEST = 40
"""A quarter of it holds the 10-pixel filter of SR-SIM's saliency map."""


def ssim(hdr: Array, reference: Array) -> float:
    """SSIM of the PQ signals, mean of R, G and B; 1.0 for equal pictures. Wang et al. 2004.

    11x11 Gaussian window of sigma 1.5, K1 0.01, K2 0.03, range 1.0, nothing downsampled first: as the tables of HDRTV1K have it.

    Raises:
        InputError: the shapes differ, are not those of a picture, or are smaller than the window.
    """
    check_pair("ssim", hdr, reference, SSIM_SMALLEST)
    import piq

    # Variances are differences of large numbers: float32 loses the third digit in flat bright areas.
    return float(piq.ssim(batch(hdr, double=True), batch(reference, double=True), data_range=1.0, downsample=False))


def sr_sim(hdr: Array, reference: Array) -> float:
    """SR-SIM of the PQ signals (spectral residual and gradients of luma); 1.0 for equal pictures. Zhang and Li, ICIP 2012.

    Raises:
        InputError: the shapes differ, are not those of a picture, or are too small.
    """
    check_pair("sr_sim", hdr, reference, SR_SIM_SMALLEST)
    import piq

    # One by one: piq scales the saliency of a batch by its largest, so that a picture's value would depend on the others.
    pairs = zip(batch(hdr), batch(reference), strict=True)
    values = [float(piq.srsim(shown[None], meant[None], data_range=1.0)) for shown, meant in pairs]
    return sum(values) / len(values)
