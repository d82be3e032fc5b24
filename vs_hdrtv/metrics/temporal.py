"""Steadiness of clips: brightness from frame to frame against the reference, and flicker where nothing moves."""

from __future__ import annotations

import math

from ..color.arrays import Array, namespace, unit
from ..color.gamut import luminance
from .inputs import check_clip

_EIGHT_BITS = 255
_TEN_BITS = 1023

STILL = 1.0
"""10-bit steps of R, G and B by which a pixel of the reference may change and still count as not moving."""


def mabd(hdr: Array, reference: Array, rate: float = 0.0) -> float:
    """Mean squared difference of the two clips' MABD vectors; 0 for equal clips.

    MABD of frame k is the mean over the pixels of |b(k + 1) - b(k)|; the two vectors are compared by their mean squared error.
    Jiang and Zheng, "Learning to See Moving Objects in the Dark", ICCV 2019, which KPN-MFI cites for its own column without
    saying what brightness is. Here it is luma of the PQ signal (BT.2020), scaled to 255: published numbers compare in order only.

    Args:
        hdr: (N, 3, H, W), consecutive frames.
        reference: the same.
        rate: frames a second; changes nothing.

    Raises:
        InputError: the shapes differ, or are not those of a clip of two frames or more.
    """
    check_clip("mabd", hdr, reference)
    xp = namespace(hdr)
    vectors = [xp.mean(abs(_steps(signal)), axis=(1, 2, 3)) * _EIGHT_BITS for signal in (hdr, reference)]
    return float(xp.mean((vectors[0] - vectors[1]) ** 2))


def flicker(hdr: Array, reference: Array, rate: float = 0.0) -> float:
    """How much luma changes from frame to frame where the reference stands still, in 10-bit code values.

    A definition of our own, since optical flow, which measures of moving scenes rest on, brings errors of its own: the mean
    of |luma(k + 1) - luma(k)| of the PQ signal over the pixels whose R, G and B change by `STILL` or less in the reference.

    Args:
        hdr: (N, 3, H, W), consecutive frames.
        reference: the same.
        rate: frames a second; changes nothing.

    Returns:
        NaN where no pixel of the reference stands still.

    Raises:
        InputError: the shapes differ, or are not those of a clip of two frames or more.
    """
    check_clip("flicker", hdr, reference)
    return _mean_where(abs(_steps(hdr)), _still(reference))


def flicker_detrended(hdr: Array, reference: Array, rate: float = 0.0) -> float:
    """The part of `flicker` that comes and goes, in 10-bit code values: half of |luma(k + 1) - 2 luma(k) + luma(k - 1)|.

    As much as `flicker` for what goes up and down from frame to frame, and 0 for light that drifts evenly. A mean over a window
    of frames takes away the first and must keep the second.

    Args:
        hdr: (N, 3, H, W), consecutive frames.
        reference: the same.
        rate: frames a second; changes nothing.

    Returns:
        NaN where no pixel of the reference stands still for three frames.

    Raises:
        InputError: the shapes differ, or are not those of a clip of two frames or more.
    """
    check_clip("flicker_detrended", hdr, reference)
    steps, still = _steps(hdr), _still(reference)
    return _mean_where(abs(steps[1:] - steps[:-1]) / 2, still[1:] & still[:-1])


def _still(reference: Array) -> Array:
    """Where the reference does not change to the next frame, (N - 1, 1, H, W)."""
    xp = namespace(reference)
    clipped = unit(reference)
    largest = xp.max(abs(clipped[1:] - clipped[:-1]), axis=1, keepdims=True)
    # A step that was exactly one code value must not be lost to rounding.
    return largest * _TEN_BITS <= STILL * (1 + 1e-3)


def _mean_where(changes: Array, still: Array) -> float:
    """Mean in 10-bit code values, NaN of nothing."""
    xp = namespace(changes)
    count = int(xp.sum(xp.astype(still, xp.int64)))
    return float(xp.sum(xp.where(still, changes, xp.zeros_like(changes)))) / count * _TEN_BITS if count else math.nan


def _steps(signal: Array) -> Array:
    """Change of PQ luma (BT.2020, [0, 1]) to the next frame, (N - 1, 1, H, W)."""
    luma = luminance(unit(signal), "bt2020")
    return luma[1:] - luma[:-1]
