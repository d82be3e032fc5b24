"""The baseline of optical flow: OpenCV's DIS (Kroeger et al., ECCV 2016) on luma of one exposure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..color.exposure import levels
from ..color.gamut import luminance
from ..errors import InputError


def estimate(current: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Backward flow between two SDR frames, the same on any machine and for any number of threads.

    The brighter exposure is brought down to the darker one (`color.exposure.levels`), so that nothing more clips.

    Args:
        current: (3, H, W) BT.1886 signal in [0, 1], H and W at least 16.
        reference: the same.

    Returns:
        (2, H, W) pixels, (dx, dy), as `networks.warping.warp` takes it.

    Raises:
        InputError: OpenCV is not installed.
    """
    own, other = (float(level.item()) for level in levels(current[None], reference[None]))
    lowest = min(own, other)
    pictures = ((current, lowest / own), (reference, lowest / other))
    luma = [np.asarray(luminance(picture[None], "bt709"))[0, 0] * factor for picture, factor in pictures]  # (H, W)
    brightest = max(float(each.max()) for each in luma)
    codes = [np.rint(255 * np.clip(each / max(brightest, 1e-3), 0, 1)).astype(np.uint8) for each in luma]
    return of_codes(*codes)


def of_codes(current: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The same between two pictures (H, W) as they are."""
    try:
        import cv2
    except ImportError:
        raise InputError("dis: OpenCV is not installed; pip install opencv-python-headless, or give a flow network") from None
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # its stripes are as many as threads, and the flow follows them
    try:
        found = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(current, reference, None)  # type: ignore[call-overload]
    finally:
        cv2.setNumThreads(threads)
    return np.ascontiguousarray(np.moveaxis(np.asarray(found, dtype=np.float32), -1, 0))  # (H, W, 2) -> (2, H, W)
