"""The baseline of optical flow: OpenCV's DIS (Kroeger et al., ECCV 2016) on luma of one exposure."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from ..color.arrays import unit
from ..color.exposure import levels
from ..color.gamut import luminance
from ..errors import InputError

CLIPPED = 0.98
"""Signal of the brighter frame from which it tells nothing; the other one is cut at the same light."""

SMALLEST = 32
"""Pixels a side that DIS gets at least; smaller frames are extended by their edges."""

_LOCK = threading.Lock()


def estimate(current: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Backward flow between two SDR frames, the same on any machine and for any number of threads.

    Both are brought to the exposure of the brighter one (`color.exposure.levels`) and cut where that clips: what one of them has
    lost is missing in both, and DIS fills it from around instead of matching texture with white.

    Args:
        current: (3, H, W) BT.1886 signal in [0, 1].
        reference: the same.

    Returns:
        (2, H, W) pixels, (dx, dy), as `networks.warping.warp` takes it.

    Raises:
        InputError: OpenCV is not installed.
    """
    height, width = current.shape[-2:]
    frames = [unit(each[None]) for each in (current, reference)]  # (1, 3, H, W)
    own = [float(level.item()) for level in levels(*frames)]
    codes = [_codes(frame * np.float32(max(own) / level)) for frame, level in zip(frames, own, strict=True)]
    return np.ascontiguousarray(of_codes(*codes)[:, :height, :width])


def of_codes(current: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The same between two pictures (H, W) as they are, H and W at least `SMALLEST`."""
    try:
        import cv2
    except ImportError:
        raise InputError("dis: OpenCV is not installed; pip install 'vs-hdrtv[recover]', or give a flow network") from None
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    with _LOCK:  # the number of threads is the process's own
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # its stripes are as many as threads, and the flow follows them
        try:
            found = estimator.calc(current, reference, None)  # type: ignore[call-overload]
        finally:
            cv2.setNumThreads(threads)
    return np.ascontiguousarray(np.moveaxis(np.asarray(found, dtype=np.float32), -1, 0))  # (H, W, 2) -> (2, H, W)


def _codes(frame: NDArray[np.float32]) -> NDArray[np.uint8]:
    """8-bit luma (H, W) of (1, 3, H, W), cut at `CLIPPED`, its edges repeated up to `SMALLEST` a side."""
    luma = np.minimum(luminance(frame, "bt709")[0, 0], CLIPPED) / CLIPPED
    height, width = luma.shape
    codes = np.rint(255 * luma).astype(np.uint8)
    return np.pad(codes, ((0, max(0, SMALLEST - height)), (0, max(0, SMALLEST - width))), mode="edge")
