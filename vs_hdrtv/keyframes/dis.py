"""The baseline of flow: OpenCV's DIS (Kroeger et al., ECCV 2016) on luma of one exposure, far frames registered first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..color.arrays import unit
from ..color.exposure import levels
from ..color.gamut import luminance
from . import registration
from .registration import Codes

CLIPPED = 0.98
"""Signal of the brighter frame from which it tells nothing; the other one is cut at the same light."""

SMALLEST = 32
"""Pixels a side that DIS gets at least; smaller frames are extended by their edges."""

AGREED = 0.95
"""Agreement (`registration.agreement`) from which a flow is taken as it is; below, the frames are registered first."""

ALIKE = 0.8
"""Agreement below which a reference shows something else: between what registered frames of a real pan reach and what frames of
other views do."""


def estimate(current: NDArray[np.float32], reference: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Backward flow between two SDR frames, the same for any number of threads.

    Both are brought to the exposure of the brighter one (`color.exposure.levels`) and cut where that clips: what one of them has
    lost is missing in both, and DIS fills it from around instead of matching texture with white.

    Args:
        current: (3, H, W) BT.1886 signal in [0, 1].
        reference: the same.

    Returns:
        (2, H, W) pixels, (dx, dy), as `networks.warping.warp` takes it; and its agreement, below `ALIKE` where `reference` shows
        something else, NaN where nothing can be compared.

    Raises:
        InputError: OpenCV is not installed.
    """
    height, width = current.shape[-2:]
    frames = [unit(each[None]) for each in (current, reference)]  # (1, 3, H, W)
    own = [float(level.item()) for level in levels(*frames)]
    codes = [_codes(frame * np.float32(max(own) / level)) for frame, level in zip(frames, own, strict=True)]
    flow, agreement = of_codes(*codes)
    return np.ascontiguousarray(flow[:, :height, :width]), agreement


def trusted(current: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """The flow of `estimate`; where the reference shows something else, one that points outside of it everywhere.

    That is how every network here is told that there is nothing to take.

    Args:
        current: see `estimate`.
        reference: see `estimate`.

    Returns:
        (2, H, W) pixels.

    Raises:
        InputError: OpenCV is not installed.
    """
    flow, agreement = estimate(current, reference)
    return nowhere(*flow.shape[-2:]) if agreement < ALIKE else flow


def of_codes(current: Codes, reference: Codes) -> tuple[NDArray[np.float32], float]:
    """The same between two pictures (H, W) as they are, H and W at least `SMALLEST`."""
    with registration.opencv() as cv2:
        flow = _dis(cv2, current, reference)
        agreement = registration.agreement(cv2, current, reference, flow)
        if not agreement < AGREED:  # NaN too: there is nothing to register by
            return flow, agreement
        transform = registration.homography(cv2, current, reference)
        if transform is None:
            return flow, agreement
        start = registration.displacement(transform, *current.shape)
        rest = _dis(cv2, current, registration.moved(cv2, reference, start))
        # Where a pixel lies in the registered reference, and where that lies in the reference itself.
        far = rest + np.stack([registration.moved(cv2, each, rest) for each in start])
        registered = registration.agreement(cv2, current, reference, far)
    return (far, registered) if registered > agreement else (flow, agreement)  # not where it is NaN


def near(current: Codes, reference: Codes) -> NDArray[np.float32]:
    """Plain DIS between two pictures (H, W), H and W at least `SMALLEST`: (2, H, W) pixels."""
    with registration.opencv() as cv2:
        return _dis(cv2, current, reference)


def nowhere(height: int, width: int) -> NDArray[np.float32]:
    """A flow (2, H, W) that points outside of the reference everywhere."""
    return np.full((2, height, width), 2.0 * max(height, width), np.float32)


def _dis(cv2: Any, current: Codes, reference: Codes) -> NDArray[np.float32]:
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = estimator.calc(current, reference, None)
    return np.ascontiguousarray(np.moveaxis(np.asarray(found, dtype=np.float32), -1, 0))  # (H, W, 2) -> (2, H, W)


def _codes(frame: NDArray[np.float32]) -> Codes:
    """8-bit luma (H, W) of (1, 3, H, W), cut at `CLIPPED`, its edges repeated up to `SMALLEST` a side."""
    luma = np.minimum(luminance(frame, "bt709")[0, 0], CLIPPED) / CLIPPED
    height, width = luma.shape
    codes = np.rint(255 * luma).astype(np.uint8)
    return np.pad(codes, ((0, max(0, SMALLEST - height)), (0, max(0, SMALLEST - width))), mode="edge")
