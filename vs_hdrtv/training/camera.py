"""A virtual camera inside a panorama: perspective views of an equirectangular picture, and smooth paths of the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scenes import Picture

FIELDS_OF_VIEW = (45.0, 100.0)
"""Degrees of the horizontal field of view that are drawn: a portrait lens and a wide angle."""

PITCH = 25.0
"""Degrees up or down that views are drawn within: people look at the horizon, and the poles of panoramas are retouched."""

LARGEST_MAGNIFICATION = 1.5
"""Pixels of a view to one of the panorama at the view's centre: more would teach blur."""

ZOOM = 0.004
"""Standard deviation of the logarithm of the field's growth a frame."""


@dataclass(frozen=True)
class Pose:
    """Where the camera looks, in degrees.

    Attributes:
        yaw: to the right of the panorama's centre.
        pitch: upward.
        roll: of the picture, clockwise.
        field: horizontal field of view, in (0, 180).
    """

    yaw: float
    pitch: float = 0.0
    roll: float = 0.0
    field: float = 60.0


def view(panorama: Picture, pose: Pose, width: int, height: int) -> Picture:
    """(height, width, 3) rectilinear view of a (H, 2H, 3) equirectangular panorama, in its light.

    A panorama much finer than the view is averaged first, so that light is neither lost nor aliased.
    """
    import cv2

    panorama = averaged(panorama, pose, width)
    focal = _focal(pose, width)
    tall, wide = panorama.shape[:2]
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, (height - 1) / 2 - np.arange(height))
    rays = _rotation(pose) @ np.stack([x, y, np.full_like(x, focal)]).reshape(3, -1)  # right, up, forward
    longitude = np.arctan2(rays[0], rays[2])
    latitude = np.arcsin(np.clip(rays[1] / np.linalg.norm(rays, axis=0), -1, 1))
    # Centres of pixels: longitude -pi is the left edge of column 0, latitude pi/2 the upper edge of row 0.
    column = (longitude / (2 * math.pi) + 0.5) * wide - 0.5
    row = np.clip((0.5 - latitude / math.pi) * tall - 0.5, 0, tall - 1)
    # One column more on each side: remap wraps rows too, which a panorama does not.
    wrapped = np.concatenate([panorama[:, -1:], panorama, panorama[:, :1]], axis=1)
    columns, rows = (m.astype(np.float32).reshape(height, width) for m in (column + 1, row))
    seen = cv2.remap(wrapped, columns, rows, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(seen, dtype=np.float32)


def averaged(panorama: Picture, pose: Pose, width: int) -> Picture:
    """The panorama, averaged down to about the pixels of a view `width` wide where it is much finer."""
    import cv2

    scale = _focal(pose, width) * 2 * math.pi / panorama.shape[1]  # view pixels to a panorama pixel, at the centre
    if scale >= 0.75:
        return panorama
    size = max(8, round(panorama.shape[1] * scale)), max(4, round(panorama.shape[0] * scale))
    return np.asarray(cv2.resize(panorama, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def random_pose(rng: np.random.Generator, width: int, panorama_width: int) -> Pose:
    """A pose for views of `width` pixels, wide enough not to magnify the panorama by more than `LARGEST_MAGNIFICATION`."""
    low, high = FIELDS_OF_VIEW
    narrowest = 2 * math.degrees(math.atan(width / 2 / (LARGEST_MAGNIFICATION * panorama_width / (2 * math.pi))))
    field = rng.uniform(min(max(low, narrowest), high), high)
    return Pose(rng.uniform(-180, 180), float(np.clip(rng.normal(0, PITCH / 2), -PITCH, PITCH)), rng.normal(0, 2), field)


def path(rng: np.random.Generator, start: Pose, frames: int, speed: float = 0.5, zoom: float = ZOOM) -> list[Pose]:
    """A smooth path of `frames` poses from `start`.

    Args:
        rng: source of randomness.
        start: the first pose, but for the sway of a hand.
        frames: how many.
        speed: standard deviation of the pan in degrees a frame.
        zoom: standard deviation of the logarithm of the field's growth a frame.
    """
    pan, tilt = rng.normal(0, speed), rng.normal(0, speed / 3)
    growth = rng.normal(0, zoom)
    sway = [smooth_track(rng, frames, deviation) for deviation in (speed, speed / 2, speed / 4)]
    poses = []
    for n in range(frames):
        field = float(np.clip(start.field * math.exp(growth * n), 20, 120))
        pitch = float(np.clip(start.pitch + tilt * n + sway[1][n], -60, 60))
        poses.append(Pose(start.yaw + pan * n + sway[0][n], pitch, start.roll + sway[2][n], field))
    return poses


def smooth_track(rng: np.random.Generator, frames: int, deviation: float, shortest: float = 12.0) -> NDArray[np.float64]:
    """(frames,) sum of three sines of random phase and of periods from `shortest` to eight times that many frames.

    Its standard deviation over phases is `deviation`; two neighbours differ by less than
    `2 pi / shortest * sqrt(6) * deviation`.
    """
    n = np.arange(frames)
    periods = shortest * 8 ** rng.random(3)
    phases = rng.uniform(0, 2 * math.pi, 3)
    waves = np.sin(2 * math.pi * n / periods[:, None] + phases[:, None])  # (3, frames)
    track: NDArray[np.float64] = deviation * math.sqrt(2 / 3) * waves.sum(axis=0)
    return track


def _focal(pose: Pose, width: int) -> float:
    """Focal length in pixels of a view."""
    return width / 2 / math.tan(math.radians(pose.field) / 2)


def _rotation(pose: Pose) -> NDArray[np.float64]:
    """(3, 3): roll about the line of sight, then pitch, then yaw; axes right, up, forward."""
    yaw, pitch, roll = (math.radians(angle) for angle in (pose.yaw, pose.pitch, pose.roll))
    about_up = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_right = np.array([[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]])
    about_sight = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    return np.asarray(about_up @ about_right @ about_sight)
