"""How far an HDR picture is from its reference where its SDR version is over-exposed: what PDCG is for.

The mask is `color.overexposure`'s of the SDR picture, wherever it is above 0, so that it is the same for every method. Measures
of single pixels are means over those of the mask. Measures of whole pictures get a composite that is the reference itself outside
of the mask: only what differs inside counts, in its surroundings, and the smaller the mask the closer to perfect they are. All
are NaN where nothing is over-exposed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..color.arrays import Array, namespace, unit
from ..color.overexposure import overexposure_mask
from .difference import delta_e_itp_map
from .inputs import batch, check_pair
from .perceptual import color_video_vdp, pu21_decibels, pu21_error

MDSI_SMALLEST = 3
"""Side of the gradient's window in pixels."""


def mask(sdr: Array) -> Array:
    """Where `sdr`, (..., 3, H, W) in [0, 1], is over-exposed: (..., 1, H, W), true or false."""
    return overexposure_mask(sdr) > 0


def composite(hdr: Array, reference: Array, inside: Array) -> Array:
    """`hdr` inside the mask (..., 1, H, W), `reference` outside of it."""
    return namespace(hdr).where(inside, hdr, reference)


def psnr(hdr: Array, reference: Array, inside: Array) -> float:
    """PSNR of the PQ signals in dB over the pixels of the mask, peak 1.0; infinite where they are equal.

    Raises:
        InputError: the shapes differ, or are not those of a picture.
    """
    check_pair("psnr_overexposed", hdr, reference)
    error = _mean(namespace(hdr).mean((unit(hdr) - unit(reference)) ** 2, axis=-3), inside)
    return -10 * math.log10(error) if error > 0 else math.nan if math.isnan(error) else math.inf


def pu21_psnr(hdr: Array, reference: Array, inside: Array) -> float:
    """PSNR in dB of the PU21-encoded R, G and B over the pixels of the mask; see `perceptual.pu21_psnr`.

    Raises:
        InputError: the shapes differ, or are not those of a picture.
    """
    check_pair("pu21_psnr_overexposed", hdr, reference)
    return pu21_decibels(_mean(namespace(hdr).mean(pu21_error(hdr, reference), axis=-3), inside))


def delta_e_itp(hdr: Array, reference: Array, inside: Array) -> float:
    """Mean dE_ITP over the pixels of the mask; see `difference.delta_e_itp`.

    Raises:
        InputError: the shapes differ, or are not those of a picture.
    """
    return _mean(delta_e_itp_map(hdr, reference), inside)


def mdsi(hdr: Array, reference: Array, inside: Array) -> float:
    """MDSI of the composite's PQ signal: 0 for equal pictures, more the more gradients and colours differ.

    Nafchi et al., "Mean Deviation Similarity Index", IEEE Access 2016, by piq: a perceptual distance without a trained network.

    Raises:
        InputError: the shapes differ, are not those of a picture, or are too small.
    """
    check_pair("mdsi_overexposed", hdr, reference, MDSI_SMALLEST)
    if not _any(inside):
        return math.nan
    import piq

    return float(piq.mdsi(batch(composite(hdr, reference, inside)), batch(reference), data_range=1.0))


def vdp(hdr: Array, reference: Array, inside: Array, rate: float = 0.0) -> float:
    """ColorVideoVDP of the composite in JOD; see `perceptual.color_video_vdp`.

    Args:
        hdr: (3, H, W), or (N, 3, H, W) of a clip.
        reference: the same.
        inside: the mask, (1, H, W) or (N, 1, H, W).
        rate: frames a second of a clip.

    Raises:
        InputError: the shapes differ, are not those of a picture, or are too small.
    """
    check_pair("cvvdp_overexposed", hdr, reference)
    return color_video_vdp(composite(hdr, reference, inside), reference, rate) if _any(inside) else math.nan


def features(hdr: Array, reference: Array, inside: Array, *, network: Callable[..., Array]) -> float:
    """Difference between the features that a network of the user's sees in the composite and in the reference.

    Args:
        hdr: (3, H, W).
        reference: the same.
        inside: the mask, (1, H, W).
        network: of `training.perceptual.load`.

    Raises:
        InputError: the shapes differ, or are not those of a picture.
    """
    check_pair("features_overexposed", hdr, reference)
    if not _any(inside):
        return math.nan
    import torch

    with torch.inference_mode():
        return float(network(batch(composite(hdr, reference, inside)), batch(reference)))


def share(hdr: Array, reference: Array, inside: Array) -> float:
    """Pixels of the mask in percent of all; `hdr` and `reference` play no part."""
    return 100 * _count(inside) / math.prod(inside.shape) if _any(inside) else math.nan


def _mean(values: Array, inside: Array) -> float:
    """Mean of (..., H, W) over the pixels of the mask (..., 1, H, W), NaN where it has none."""
    xp, chosen = namespace(values), inside[..., 0, :, :]
    count = _count(inside)
    return float(xp.sum(xp.where(chosen, values, xp.zeros_like(values)))) / count if count else math.nan


def _count(inside: Array) -> int:
    xp = namespace(inside)
    return int(xp.sum(xp.astype(inside, xp.int64)))


def _any(inside: Array) -> bool:
    return _count(inside) > 0
