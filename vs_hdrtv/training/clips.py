"""Clips of N frames as pairs: moving cameras, moving layers, changing exposure, cuts; and SDR clips linearised.

A clip is made in two steps. The first gives scene light, (N, H, W, 3): a camera that moves through a panorama or over a flat
picture, a second picture that moves in front of the first, a cut. The second gives pairs of it: `make_clip` as video reaches
people (an SDR grade by one operator, an HDR master), `make_exposure_clip` as a camera with changing exposure records it
(the data of VITM-TC, section 3.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..color.transfer import bt1886_eotf
from ..errors import InputError
from ..keyframes import dis
from . import camera, pairs, scenes
from .scenes import Picture

Frames = NDArray[np.float32]
"""(N, H, W, 3) linear light, arbitrary scale."""

CAMERA_GAMMA = 2.2
"""Of the camera response curve `x^(1/2.2)` of VITM-TC, section 3.5."""

EXPOSURE_STOPS = 0.8
"""Standard deviation of a changing exposure."""

LUMA = (0.2627, 0.6780, 0.0593)
"""Of BT.2020, table 4."""

OVEREXPOSURE = (1.0, 2.5)
"""Stops by which a clip made of SDR material is overexposed on average: what was white clips, and its light is known."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """What moves in a clip; the first three each as the share of clips, [0, 1].

    Attributes:
        layers: a second picture moves in front of the first.
        exposure: exposure changes smoothly, with the clipping that follows.
        cut: there is a cut to another scene.
        speed: standard deviation of the camera's pan, in degrees (flat pictures: hundredths of the width) a frame.
        zoom: standard deviation of the logarithm of the view's growth a frame. Where both are 0 the camera stands still.
    """

    layers: float = 0.4
    exposure: float = 0.4
    cut: float = 0.15
    speed: float = 0.5
    zoom: float = camera.ZOOM


UNCUT = Motion(cut=0.0)
"""What moves in training clips unless a recipe says otherwise: a network never sees frames of two scenes (`scenes`)."""


@dataclass(frozen=True)
class Clip:
    """A training or test clip, (N, 3, H, W) float32.

    Attributes:
        sdr: signal in [0, 1].
        hdr: PQ BT.2020 in [0, 1].
        operator: that brought the light down to SDR.
        cuts: numbers of the first frames of scenes, without 0.
    """

    sdr: NDArray[np.float32]
    hdr: NDArray[np.float32]
    operator: str
    cuts: tuple[int, ...]


@dataclass(frozen=True)
class ExposureClip:
    """A clip as a camera with changing exposure records it, (N, 3, H, W) float32, BT.709.

    Attributes:
        coded: `clip(light T)^(1/2.2)`, [0, 1]: equation 14 of VITM-TC.
        linear: `light T`, what a camera that never clips had recorded at the same exposure, [0, inf); 1.0 is where `coded` clips.
        exposure: (N,) T.
        cuts: numbers of the first frames of scenes, without 0.
    """

    coded: NDArray[np.float32]
    linear: NDArray[np.float32]
    exposure: NDArray[np.float64]
    cuts: tuple[int, ...]


def make_clip(
    pictures: list[Picture],
    frames: int,
    size: int,
    key: tuple[int, ...] | np.random.Generator,
    motion: Motion = Motion(),
    operator: str | None = None,
    look: float = 1.0,
    variety: pairs.Variety = pairs.PLAIN,
    primaries: str = "bt709",
) -> Clip:
    """An SDR/HDR clip, a function of its arguments alone.

    Args:
        pictures: of one split.
        frames: N.
        size: side in pixels, even.
        key: seed and index, two of which give two clips; or the generator that every random choice comes from.
        motion: what moves.
        operator: as for `pairs.make_pair`.
        look: as for `pairs.make_pair`.
        variety: as for `pairs.make_pair`; panoramas are seen by a camera always.
        primaries: of the pictures.

    Raises:
        InputError: every picture is black.
    """
    rng = np.random.default_rng(key)
    moving, cuts = _light(pictures, frames, size, rng, motion)
    light = pairs.expose(_planes(moving), rng, primaries)
    if rng.random() < motion.exposure:
        light = light * exposure_track(rng, frames)[:, None, None, None]
    sdr, hdr, name = pairs.make_frames(light, rng, operator, look, variety, primaries)
    return Clip(sdr.astype(np.float32), hdr.astype(np.float32), name, cuts)


def make_exposure_clip(
    pictures: list[Picture],
    frames: int,
    size: int,
    key: tuple[int, ...],
    motion: Motion = Motion(exposure=1.0),
) -> ExposureClip:
    """A clip of changing exposure and its unclipped light, a function of its arguments alone; arguments as for `make_clip`."""
    rng = np.random.default_rng(key)
    moving, cuts = _light(pictures, frames, size, rng, motion)
    # Mid-grey of `expose` is 0.16 of white: two stops and more above it clip.
    return _expose_clip(pairs.expose(_planes(moving), rng), frames, rng, motion, cuts)


def linearised(sdr: NDArray[np.float32], key: tuple[int, ...], cuts: tuple[int, ...] = ()) -> ExposureClip:
    """An exposure clip of an SDR clip, as VITM-TC makes one of REDS (section 3.5): its light, overexposed.

    The SDR's own light is the truth, so that what an exposure clips is known; no more range than the SDR had comes of it.
    It is decoded by BT.1886, as `sdr` is everywhere here, not by the camera's curve.

    Args:
        sdr: (N, 3, H, W) BT.1886 signal in [0, 1].
        key: seed and index.
        cuts: numbers of the first frames of scenes.
    """
    rng = np.random.default_rng(key)
    light = np.asarray(bt1886_eotf(sdr.astype(np.float64))) * 2.0 ** rng.uniform(*OVEREXPOSURE)
    return _expose_clip(light, len(sdr), rng, Motion(exposure=1.0), cuts)


def exposure_track(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """(frames,) positive factors: a slow drift, or a ramp from one exposure to another as a camera's automatic makes it."""
    if rng.random() < 0.5:
        stops = camera.smooth_track(rng, frames, EXPOSURE_STOPS)
    else:
        middle, width = rng.uniform(0, frames), rng.uniform(2, max(3, frames / 3))
        stops = rng.normal(0, 2 * EXPOSURE_STOPS) / (1 + np.exp(-(np.arange(frames) - middle) / width))
    return np.asarray(2.0**stops)


def optical_flow(hdr: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flow from each frame that has two neighbours to the one before and to the one after, as `warping.warp` takes it.

    Of the master: what SDR clips has no texture. DIS (Kroeger et al. 2016) is OpenCV's best for its time.

    Args:
        hdr: (N, 3, H, W) PQ BT.2020 in [0, 1], N at least 3, H and W at least 32.

    Returns:
        (2, N - 2, 2, H, W) pixels.
    """
    luma = np.einsum("c,nchw->nhw", LUMA, hdr)  # (N, H, W)
    codes = np.rint(255 * np.clip(luma, 0, 1)).astype(np.uint8)
    return np.stack([[dis.near(codes[n], codes[n + way]) for n in range(1, len(hdr) - 1)] for way in (-1, 1)])


def _expose_clip(
    light: NDArray[np.float64], frames: int, rng: np.random.Generator, motion: Motion, cuts: tuple[int, ...]
) -> ExposureClip:
    exposure = exposure_track(rng, frames) if rng.random() < motion.exposure else np.ones(frames)
    linear = light * exposure[:, None, None, None]
    coded = np.clip(linear, 0, 1) ** (1 / CAMERA_GAMMA)
    return ExposureClip(coded.astype(np.float32), linear.astype(np.float32), exposure, cuts)


# Scene light that moves.


def _light(
    pictures: list[Picture], frames: int, size: int, rng: np.random.Generator, motion: Motion
) -> tuple[Frames, tuple[int, ...]]:
    """(N, size, size, 3) light and the cuts."""
    first = _scene(pictures, frames, size, rng, motion)
    if frames < 2 or rng.random() >= motion.cut:
        return first, ()
    cut = int(rng.integers(1, frames))
    second = _scene(pictures, frames - cut, size, rng, motion)
    # A programme is graded shot by shot: both sides of a cut lie about equally high.
    second = second * np.float32(log_average(first) / log_average(second) * 2 ** rng.normal(0, 0.5))
    return np.concatenate([first[:cut], second]), (cut,)


def _scene(pictures: list[Picture], frames: int, size: int, rng: np.random.Generator, motion: Motion) -> Frames:
    """One scene: a moving view, for a share of them with another one in front."""
    light = _moving_view(pictures, frames, size, rng, motion)
    if rng.random() < motion.layers:
        front = _moving_view(pictures, frames, size, rng, motion)
        front = front * np.float32(log_average(light) / log_average(front) * 2 ** rng.normal(0, 1.0))
        alpha = _layer_masks(frames, size, rng)[..., None]
        light = alpha * front + (1 - alpha) * light
    return light.astype(np.float32)


def _moving_view(pictures: list[Picture], frames: int, size: int, rng: np.random.Generator, motion: Motion) -> Frames:
    for _ in range(100):  # a black view teaches nothing: draw again
        picture = pictures[rng.integers(len(pictures))]
        move = pan if scenes.is_panorama(picture) else slide
        light = move(picture, frames, size, rng, motion.speed, motion.zoom)
        if light.reshape(frames, -1).max(axis=1).min() > 0:
            return light
    raise InputError("clips: 100 views in a row were black; remove the black pictures")


def pan(panorama: Picture, frames: int, size: int, rng: np.random.Generator, speed: float, zoom: float = camera.ZOOM) -> Frames:
    """A camera that turns inside a panorama."""
    poses = camera.path(rng, camera.random_pose(rng, size, panorama.shape[1]), frames, speed, zoom)
    # Averaged once for all frames, whose fields of view are about the same: it is most of the work.
    panorama = camera.averaged(panorama, min(poses, key=lambda pose: pose.field), size)
    return np.stack([camera.view(panorama, pose, size, size) for pose in poses])


def slide(picture: Picture, frames: int, size: int, rng: np.random.Generator, speed: float, zoom: float = camera.ZOOM) -> Frames:
    """A square window that slides, turns and grows smoothly over a flat picture (VITM-TC, section 3.5)."""
    import cv2

    height, width = picture.shape[:2]
    # The window, turned, stays inside: half its diagonal is kept from every edge.
    largest = min(height, width) / math.sqrt(2)
    side = rng.uniform(min(0.5 * largest, max(0.3 * largest, size / 2)), 0.85 * largest)
    growth, turn = rng.normal(0, zoom), camera.smooth_track(rng, frames, 2 * speed)
    sides = np.clip(side * np.exp(growth * np.arange(frames)), 8, largest)
    shift = rng.normal(0, 0.01 * speed * side, 2)
    sway = np.stack([camera.smooth_track(rng, frames, 0.01 * speed * side) for _ in range(2)])
    start = [rng.uniform(largest / 2, limit - largest / 2) for limit in (width, height)]
    finest = size / sides.min()
    if finest < 0.75:
        picture = np.asarray(cv2.resize(picture, None, fx=finest, fy=finest, interpolation=cv2.INTER_AREA), dtype=np.float32)
    factor = np.array(picture.shape[1::-1]) / (width, height)
    found = []
    for n in range(frames):
        half = sides[n] / math.sqrt(2)
        x, y = (np.clip(start[i] + shift[i] * n + sway[i, n], half, (width, height)[i] - half) for i in (0, 1))
        angle, scale = math.radians(turn[n]), sides[n] / size
        cos, sin, centre = scale * math.cos(angle), scale * math.sin(angle), (size - 1) / 2
        # From a pixel of the view to one of the picture, whose first pixel's centre lies at 0.5.
        matrix = np.array([[cos, -sin, x - (cos - sin) * centre], [sin, cos, y - (sin + cos) * centre]])
        matrix = matrix * factor[:, None] - [[0, 0, 0.5]] * 2
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        found.append(cv2.warpAffine(picture, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE))
    return np.stack(found).astype(np.float32)


def _layer_masks(frames: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(N, size, size) opacity of the layer in front: a soft-edged irregular shape on a smooth path."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    radius, edge = rng.uniform(0.12, 0.35), rng.uniform(0.5, 3.0) / size
    start, velocity = rng.uniform(0.2, 0.8, 2), rng.normal(0, 0.02, 2)
    sway = np.stack([camera.smooth_track(rng, frames, 0.03) for _ in range(2)])
    lobes, depth, turn = rng.integers(2, 6), rng.uniform(0, 0.3), rng.uniform(0, 2 * math.pi)
    masks = []
    for n in range(frames):
        dx, dy = x - start[0] - velocity[0] * n - sway[0, n], y - start[1] - velocity[1] * n - sway[1, n]
        border = radius * (1 + depth * np.sin(lobes * np.arctan2(dy, dx) + turn))
        masks.append(np.clip((border - np.hypot(dx, dy)) / edge + 0.5, 0, 1))
    return np.stack(masks).astype(np.float32)


def log_average(light: Frames) -> float:
    """Log-average of the light that is there."""
    return float(np.exp(np.mean(np.log(np.maximum(light, light.max() * 1e-6)))))


def _planes(light: Frames) -> NDArray[np.float64]:
    """(N, 3, H, W) of (N, H, W, 3)."""
    return np.ascontiguousarray(np.moveaxis(light, -1, 1), dtype=np.float64)
