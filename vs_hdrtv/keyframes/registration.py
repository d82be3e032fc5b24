"""Far references: the camera's own motion by matched features, and whether two pictures show the same thing at all.

Optical flow finds what has moved by a fraction of the frame. A reference of VITM-TC lies seconds away, where a pan has moved
everything by half a frame, or a door has closed. So a homography is found first, as panoramas are stitched: SIFT features
(Lowe, IJCV 2004), matched by their ratio, MAGSAC++ (Barath et al., CVPR 2020) over them; all OpenCV's.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Codes = NDArray[np.uint8]
"""A picture (H, W)."""

WORKING = (256, 640)
"""Pixels of the longer side, least and most, at which features are looked for and pictures compared."""

FEATURES = 2000
"""The strongest ones of a picture that are matched."""

CONTRAST = 0.02
"""Of a feature, at least, half of SIFT's own: dark scenes have little more."""

RATIO = 0.75
"""Distance of a match, of that of the second best, up to which it counts (Lowe)."""

INLIERS = 8
"""Matches that a homography explains at least; four make one."""

RESIDUAL = 2.0
"""Pixels by which an inlier may lie off."""

BLUR, AROUND = 2.0, 16.0
"""Standard deviations in pixels between which pictures are compared: fine texture is never met exactly and grain not at all, and
that the sky is brighter than the ground is so in any two pictures."""

NOISE = 5.0
"""Codes that differ in any two pictures: of flat ones nothing else would be left to compare."""

BLACK = 24
"""Code up to which what both show is no evidence: black bars are alike in everything."""

EVIDENCE = 0.05
"""Share of the frame that has to be visible in both pictures, for them to be compared at all."""

WHITE = 254
"""Code from which a picture tells nothing."""

_LOCK = threading.Lock()


def installed() -> Any:
    """The module `cv2`; to be asked before anything is built on it.

    Raises:
        InputError: it is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise InputError("dis: OpenCV is not installed; pip install 'vs-hdrtv[recover]', or give a flow network") from None
    return cv2


@contextlib.contextmanager
def opencv() -> Iterator[Any]:
    """OpenCV on one thread, one caller at a time: its number of threads is the process's own, and some results follow it.

    Raises:
        InputError: it is not installed.
    """
    cv2 = installed()
    with _LOCK:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield cv2
        finally:
            cv2.setNumThreads(threads)


def homography(cv2: Any, current: Codes, reference: Codes) -> NDArray[np.float64] | None:
    """Where the content of `current` lies in `reference`, by one homography of the whole frame.

    Args:
        cv2: of `opencv`.
        current: (H, W).
        reference: (H, W).

    Returns:
        (3, 3), from pixels of the one to pixels of the other; None where fewer than `INLIERS` matches agree on one.
    """
    size = current.shape
    sift = cv2.SIFT_create(FEATURES, contrastThreshold=CONTRAST)
    points, described = zip(*(sift.detectAndCompute(_working(cv2, each), None) for each in (current, reference)), strict=True)
    if min(map(len, points)) < INLIERS:
        return None
    matches = [pair for pair in cv2.BFMatcher().knnMatch(*described, k=2) if len(pair) == 2]
    good = [best for best, second in matches if best.distance < RATIO * second.distance]
    if len(good) < INLIERS:
        return None
    here = np.array([points[0][each.queryIdx].pt for each in good], np.float32)
    there = np.array([points[1][each.trainIdx].pt for each in good], np.float32)
    found, inliers = cv2.findHomography(here, there, cv2.USAC_MAGSAC, RESIDUAL)
    if found is None or int(inliers.sum()) < INLIERS:
        return None
    scale = _scale(size)
    # Pixel p of the frame is scale * (p + 1/2) - 1/2 of the working size.
    enlarge = np.array([[scale, 0, scale / 2 - 0.5], [0, scale, scale / 2 - 0.5], [0, 0, 1]])
    return np.asarray(np.linalg.inv(enlarge) @ found @ enlarge, dtype=np.float64)


def displacement(transform: NDArray[np.float64], height: int, width: int) -> NDArray[np.float32]:
    """A homography as flow (2, H, W) in pixels, (dx, dy); behind the camera it points outside."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    u, v, w = np.einsum("ij,jhw->ihw", transform, np.stack([x, y, np.ones_like(x)]))  # (H, W) each
    far = 4.0 * max(height, width)
    ahead = w > 1e-6
    w = np.where(ahead, w, 1.0)
    moved = np.stack([u / w - x, v / w - y])  # (2, H, W)
    return np.where(ahead, np.clip(moved, -far, far), far).astype(np.float32)


def moved(cv2: Any, picture: NDArray[Any], flow: NDArray[np.float32]) -> NDArray[Any]:
    """Backward warp of one plane (H, W) by a flow (2, H, W), bilinear, its edge repeated outside."""
    y, x = np.mgrid[: flow.shape[1], : flow.shape[2]].astype(np.float32)
    return np.asarray(cv2.remap(picture, x + flow[0], y + flow[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def agreement(cv2: Any, current: Codes, reference: Codes, flow: NDArray[np.float32]) -> float:
    """How much of a picture's detail its aligned reference explains: the mean of 1 - E (a - b)^2 / (E a^2 + E b^2 + 2 `NOISE`^2).

    a and b are what `BLUR` leaves and `AROUND` does not, where the flow stays inside and one of both is neither black nor white,
    at the working size; E is a mean around a pixel, as wide as `AROUND`. Pixels count by the share of detail in that sum, so that
    a horizon, which any two pictures may have, counts no more than a leaf.

    Args:
        cv2: of `opencv`.
        current: (H, W) codes of one exposure with `reference`.
        reference: (H, W).
        flow: (2, H, W) pixels.

    Returns:
        Up to 1, which is exact; about 0 for different things; NaN where less than `EVIDENCE` of the frame can be compared.
    """
    scale = _scale(current.shape)
    a, b = (_working(cv2, each) for each in (current, reference))
    height, width = a.shape
    small = np.stack([scale * cv2.resize(each, (width, height), interpolation=cv2.INTER_AREA) for each in flow])  # (2, h, w)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    inside = (x + small[0] >= 0) & (x + small[0] <= width - 1) & (y + small[1] >= 0) & (y + small[1] <= height - 1)
    b = moved(cv2, b, small)
    told = (inside & ((a < WHITE) | (b < WHITE)) & ((a > BLACK) | (b > BLACK))).astype(np.float32)
    if told.mean() < EVIDENCE:
        return float("nan")
    one, other = (_detail(cv2, each, told) for each in (a, b))
    off, both = (cv2.GaussianBlur(each * told, (0, 0), AROUND) for each in ((one - other) ** 2, one**2 + other**2))  # (h, w)
    known = np.maximum(cv2.GaussianBlur(told, (0, 0), AROUND), 1e-3)
    floor = 2 * NOISE**2 * known
    weight = told * (both / (both + floor) + 1e-3)
    return float(1 - (weight * off / (both + floor)).sum(dtype=np.float64) / weight.sum(dtype=np.float64))


def _detail(cv2: Any, codes: Codes, told: NDArray[np.float32]) -> NDArray[np.float32]:
    """What stands out of its surroundings, told where `told` is 1: (H, W)."""
    weighted = codes * told

    def blurred(sigma: float) -> NDArray[np.float32]:
        weight = cv2.GaussianBlur(told, (0, 0), sigma)
        return np.asarray(cv2.GaussianBlur(weighted, (0, 0), sigma) / np.maximum(weight, 1e-3), np.float32)

    return blurred(BLUR) - blurred(AROUND)


def _scale(size: tuple[int, ...]) -> float:
    """Of the working size to a frame's."""
    longer = max(size)
    return min(max(longer, WORKING[0]), WORKING[1]) / longer


def _working(cv2: Any, codes: Codes) -> Codes:
    """`codes` at the working size."""
    scale = _scale(codes.shape)
    if scale == 1:
        return codes
    height, width = (max(1, round(side * scale)) for side in codes.shape)
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(codes, (width, height), interpolation=kind), dtype=np.uint8)
