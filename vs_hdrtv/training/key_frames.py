"""Key frames with far references, as a camera with changing exposure records them: data of VITM-TC's ICAM (section 3.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..color.overexposure import overexposure_mask
from ..color.transfer import bt1886_inverse_eotf
from . import camera, clips, pairs
from .scenes import Picture

REFERENCE_STRIDE = 15
"""Frames between references (section 4.1); what a camera does in that time is what lies between two of them here."""

DRAWS = 8
"""Clips that are looked at for one whose key frame has enough over-exposed that a reference has not; then the last is taken."""

RECOVERABLE = 0.02
"""Share of a key frame's pixels that is enough."""

MOST = 0.6
"""Share of a key frame's pixels that may be over-exposed: a white frame has nothing that tells where things are."""

BRIGHTER = (-0.5, 1.0)
"""Stops by which clips are exposed above `pairs.expose`'s mid-grey, so that something clips."""

EXPOSURE_STOPS = 1.5
"""Standard deviation of the exposure from one reference to another: seconds lie between them."""

CONSISTENT = 0.12
"""Log-average of the light on which true flow is estimated, after a curve that clips nothing (x / (1 + x))."""


@dataclass(frozen=True)
class KeyFrame:
    """A key frame and its references, float32.

    Attributes:
        sdr: (1 + R, 3, H, W) BT.1886 signal in [0, 1], the key frame first, then references from the nearest in time on.
        linear: (3, H, W) the key frame's light, what a camera that never clips had recorded; 1.0 is where `sdr` clips.
        flow: (R, 2, H, W) pixels, from the key frame to each reference as `warping.warp` takes it, estimated where nothing clips
            and light is constant (section 3.3.1 has its truth in the same way).
    """

    sdr: NDArray[np.float32]
    linear: NDArray[np.float32]
    flow: NDArray[np.float32]


def make_key_frame(
    pictures: list[Picture],
    references: int,
    size: int,
    rng: np.random.Generator,
    motion: clips.Motion = clips.UNCUT,
    variety: pairs.Variety = pairs.PLAIN,
) -> KeyFrame:
    """A key frame with `references` references, a function of its arguments alone.

    Of the frames of a clip, `REFERENCE_STRIDE` apart, the most over-exposed is the key frame for half of the clips, any for the
    others.

    Args:
        pictures: of one split, BT.709.
        references: R, 1 or more.
        size: side in pixels, even, at least 32.
        rng: every random choice comes from it.
        motion: what moves, a frame; its exposure and cuts do not count.
        variety: compression of the SDR side.

    Raises:
        InputError: every picture is black.
    """
    # What a second of camera work adds up to: paths wander, so that displacements grow with the root of time.
    far = REFERENCE_STRIDE**0.5
    wide = replace(motion, exposure=0.0, cut=0.0, speed=motion.speed * far, zoom=motion.zoom * far)
    for _ in range(DRAWS):
        seed = tuple(int(part) for part in rng.integers(0, 2**31, 2))
        clip = clips.make_exposure_clip(pictures, references + 1, size, seed, wide)
        stops = rng.uniform(*BRIGHTER) + camera.smooth_track(rng, references + 1, EXPOSURE_STOPS, shortest=4.0)
        linear = clip.linear * np.exp2(stops)[:, None, None, None]  # (1 + R, 3, H, W)
        sdr = np.asarray(bt1886_inverse_eotf(np.clip(linear, 0, 1)), dtype=np.float64)
        lost = overexposure_mask(sdr)[:, 0] > 0  # (1 + R, H, W)
        shares = lost.mean(axis=(1, 2))
        key = int(shares.argmax()) if rng.random() < 0.5 else int(rng.integers(references + 1))
        if shares[key] <= MOST and shares[key] - shares.min() >= RECOVERABLE:
            break
    order = [key, *sorted((n for n in range(references + 1) if n != key), key=lambda n: (abs(n - key), n))]
    delivered = np.asarray(pairs.deliver(sdr, rng, variety))[order]
    return KeyFrame(
        sdr=np.ascontiguousarray(delivered, dtype=np.float32),
        linear=linear[key].astype(np.float32),
        flow=true_flow(clip.linear[order]),
    )


def true_flow(light: NDArray[np.floating]) -> NDArray[np.float32]:
    """Flow from the first frame to each other, estimated on light of one exposure, brought down by a curve that clips nothing.

    Args:
        light: (1 + R, 3, H, W) scene light, arbitrary scale.

    Returns:
        (R, 2, H, W) pixels.
    """
    luma = np.einsum("c,nchw->nhw", clips.LUMA, np.maximum(light, 0))  # (1 + R, H, W)
    level = np.exp(np.log(luma + 1e-6 * (luma.max() + 1e-12)).mean())
    exposed = luma * (CONSISTENT / level)
    codes = np.rint(255 * (exposed / (1 + exposed)) ** (1 / clips.CAMERA_GAMMA)).astype(np.uint8)
    return np.stack([clips.dis_flow(codes[0], each) for each in codes[1:]])
