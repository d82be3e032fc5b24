"""Two frames of one scene with known optical flow between them, far apart in place and in exposure: what flow is trained on.

References of VITM-TC are up to 90 frames away, where a camera has moved on and its exposure has changed. The light is that of HDR
pictures, so that what an exposure clips is known. A picture is a plane behind, others move in front of it, each in its own way;
the flow of a plane is a homography, exact at every pixel, also where the other frame does not show it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..color.overexposure import overexposure_mask
from . import pairs, scenes
from .clips import log_average
from .scenes import Picture

Matrix = NDArray[np.float64]
"""(3, 3) homography of points (x, y, 1) in pixels, centres of pixels at whole numbers."""

NEAREST = 0.004
"""Shortest way that is drawn, as a share of a frame's side."""

MARGIN = 1.5
"""Sides of a plane's picture, in those of a frame; beyond it the picture is mirrored."""

GAMMA = (2.0, 2.6)
"""Exponents of the curve that a frame is coded by, the camera's 2.2 of VITM-TC and BT.1886's 2.4 among them."""

NOISE = 0.01
"""Largest standard deviation of the noise in the signal."""

FRONT = (0.1, 0.3)
"""Radius of a layer in front, as a share of a frame's side."""

STILL = 0.1
"""Share of planes that do not move."""

TURN, GROWTH, TILT = 8.0, 0.08, 0.1
"""Standard deviations of a plane's turn in degrees, of the logarithm of its growth, and of the difference in size between its two
edges, where it goes as far as it may."""


@dataclass(frozen=True, kw_only=True)
class Displacement:
    """How far two frames are apart. Where `far` is 0, no such pairs are made.

    Attributes:
        far: longest way of a plane, as a share of a frame's side; most go less, evenly in its logarithm.
        layers: most planes in front.
        exposure: share of pairs whose exposures differ.
        stops: largest difference of the exposures.
        brightest: stops by which a frame is over-exposed at most, beside a scene's own choice.
    """

    far: float = 0.0
    layers: int = 3
    exposure: float = 0.7
    stops: float = 3.0
    brightest: float = 2.5


@dataclass(frozen=True)
class FlowPair:
    """A frame, its reference and the flow between them, float32.

    Attributes:
        sdr: (3, H, W) signal in [0, 1].
        reference: the same of the other frame.
        flow: (2, H, W) pixels, (dx, dy): where in `reference` each pixel of `sdr` lies.
        seen: (1, H, W) 1 where `reference` shows the place, 0 where it lies outside or behind something.
        clipped: (1, H, W) over-exposure mask of `sdr`.
    """

    sdr: NDArray[np.float32]
    reference: NDArray[np.float32]
    flow: NDArray[np.float32]
    seen: NDArray[np.float32]
    clipped: NDArray[np.float32]


def make_flow_pair(pictures: list[Picture], size: int, rng: np.random.Generator, apart: Displacement) -> FlowPair:
    """A pair, a function of the generator's state.

    Args:
        pictures: scene-linear, BT.709.
        size: side in pixels, even.
        rng: every random choice comes from it.
        apart: how far.

    Raises:
        InputError: the views are black.
    """
    light, flow, seen = _scene(pictures, size, rng, apart)
    exposed = pairs.expose(np.moveaxis(light, -1, 1).astype(np.float64), rng)  # (2, 3, H, W)
    stops = rng.uniform(-0.5, apart.brightest)
    ratio = rng.uniform(-apart.stops, apart.stops) if rng.random() < apart.exposure else 0.0
    # The brighter one of both is over-exposed, and each is the current frame as often as the other.
    both = 2.0 ** np.array([stops + min(ratio, 0.0), stops - max(ratio, 0.0)])
    signal = (exposed * both[:, None, None, None]) ** (1 / rng.uniform(*GAMMA))
    # Noise is the sensor's: what is clipped has none.
    noisy = signal + rng.uniform(0, NOISE) * rng.standard_normal(signal.shape, dtype=np.float32)
    sdr, reference = pairs.deliver(np.clip(noisy, 0, 1), rng, pairs.PLAIN).astype(np.float32)
    clipped = overexposure_mask(sdr[None])[0].astype(np.float32)
    return FlowPair(sdr, reference, flow.astype(np.float32), seen.astype(np.float32), clipped)


def homography_flow(matrix: Matrix, size: int) -> NDArray[np.float64]:
    """(2, size, size) flow of a plane whose pixel x of the frame lies at `matrix x` in the reference."""
    y, x = np.mgrid[:size, :size].astype(np.float64)
    moved = np.tensordot(matrix, np.stack([x, y, np.ones_like(x)]), 1)  # (3, H, W)
    return np.asarray(moved[:2] / moved[2] - np.stack([x, y]))


def _scene(
    pictures: list[Picture], size: int, rng: np.random.Generator, apart: Displacement
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Light of both frames (2, H, W, 3), flow (2, H, W) from the first to the second, and where that one shows it (1, H, W)."""
    light = np.zeros((2, size, size, 3), np.float32)
    front = np.zeros((2, size, size), np.float32)  # number of the plane that is seen
    flow = np.zeros((2, size, size))
    for number in range(1 + int(rng.integers(apart.layers + 1))):
        picture, shape = _plane(pictures, size, rng, behind=number == 0)
        place = rng.uniform(0, size, 2) if number else np.full(2, (size - 1) / 2)
        to_plane = _translation(*((len(picture) - 1) / 2 - place))
        step = _step(place, size, rng, apart)
        if number:
            picture = picture * np.float32(log_average(light[0]) / log_average(picture) * 2 ** rng.normal(0, 1.0))
        for index, matrix in enumerate((to_plane, to_plane @ np.linalg.inv(step))):
            shown, opacity = _view(picture, matrix, size, mirrored=True), _view(shape, matrix, size, mirrored=not number)
            light[index] += opacity[..., None] * (shown - light[index])
            front[index][opacity > 0.5] = number
        flow = np.where(front[0] == number, homography_flow(step, size), flow)
    return light, flow, _seen(front, flow)


def _plane(pictures: list[Picture], size: int, rng: np.random.Generator, *, behind: bool) -> tuple[Picture, NDArray[np.float32]]:
    """A picture (T, T, 3) that is not black, and its opacity (T, T): a soft-edged shape in its middle unless `behind`."""
    side = 2 * round(MARGIN * size / 2)
    for _ in range(100):
        picture = scenes.random_view(pictures[int(rng.integers(len(pictures)))], side, rng)
        if picture.max() > 0:
            break
    if behind:
        return picture, np.ones((side, side), np.float32)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    lobes, depth, turn = rng.integers(2, 6), rng.uniform(0, 0.4), rng.uniform(0, 2 * math.pi)
    radius = rng.uniform(*FRONT) * size * (1 + depth * np.sin(lobes * np.arctan2(y, x) + turn))
    return picture, np.clip((radius - np.hypot(x, y)) / rng.uniform(0.5, 3.0) + 0.5, 0, 1).astype(np.float32)


def _step(place: NDArray[np.float64], size: int, rng: np.random.Generator, apart: Displacement) -> Matrix:
    """How a plane moves from the frame to its reference: a way, and about `place` a turn, a growth and a tilt that fit it."""
    if rng.random() < STILL:
        return np.eye(3)
    part = rng.uniform(math.log(NEAREST / apart.far), 0)
    way, angle = apart.far * math.exp(part) * size, rng.uniform(0, 2 * math.pi)
    much = math.exp(part / 2)
    turn, growth = math.radians(rng.normal(0, TURN * much)), math.exp(rng.normal(0, GROWTH * much))
    tilt = rng.normal(0, TILT * much / size, 2)
    cos, sin = growth * math.cos(turn), growth * math.sin(turn)
    about = np.array([[cos, -sin, 0], [sin, cos, 0], [*tilt, 1]])
    there = _translation(way * math.cos(angle), way * math.sin(angle))
    return np.asarray(there @ _translation(*place) @ about @ _translation(*-place))


def _translation(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def _view(plane: NDArray[np.float32], matrix: Matrix, size: int, *, mirrored: bool) -> NDArray[np.float32]:
    """What a frame shows of a plane (T, T) or (T, T, 3) whose pixel `matrix x` lies at its pixel x; beyond it mirrored, or 0."""
    import cv2

    border = cv2.BORDER_REFLECT_101 if mirrored else cv2.BORDER_CONSTANT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(plane, matrix, (size, size), flags=flags, borderMode=border), dtype=np.float32)


def _seen(front: NDArray[np.float32], flow: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the reference shows in front what the frame shows: (1, H, W) of the planes' numbers (2, H, W) and the flow."""
    import cv2

    size = front.shape[-1]
    rows, columns = np.arange(size)[:, None] + flow[1], np.arange(size) + flow[0]
    at = columns.astype(np.float32), rows.astype(np.float32)
    there = cv2.remap(front[1], *at, interpolation=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=-1)
    return np.asarray(there == front[0], dtype=np.float64)[None]
