"""Key frames with far references, as a camera with changing exposure records them: data of VITM-TC's ICAM (section 3.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..color.overexposure import overexposure_mask
from ..color.transfer import bt1886_inverse_eotf
from ..keyframes import dis
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

PANS = 1.5
"""Powers of two by which the fastest cameras are faster than the others, so that a part of the frame is out of sight."""

CONSISTENT = 0.12
"""Log-average of the light on which true flow is estimated, after a curve that clips nothing (x / (1 + x))."""


Estimate = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""An SDR frame and its reference (3, H, W) -> flow (2, H, W) in pixels."""


@dataclass(frozen=True)
class KeyFrame:
    """A key frame and its references, float32.

    Attributes:
        sdr: (1 + R, 3, H, W) BT.1886 signal in [0, 1], the key frame first, then references from the nearest in time on.
        linear: (3, H, W) the key frame's light, what a camera that never clips had recorded; 1.0 is where `sdr` clips.
        flow: (R, 2, H, W) pixels, from the key frame to each reference as `warping.warp` takes it, estimated where nothing clips
            and light is constant (section 3.3.1 has its truth in the same way); `estimated` where either found nothing.
        estimated: the same, estimated from `sdr`: what the network is given.
    """

    sdr: NDArray[np.float32]
    linear: NDArray[np.float32]
    flow: NDArray[np.float32]
    estimated: NDArray[np.float32]


def make_key_frame(
    pictures: list[Picture],
    references: int,
    size: int,
    rng: np.random.Generator,
    estimate: Estimate,
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
        estimate: flow from one SDR frame to another.
        motion: what moves, a frame; its exposure and cuts do not count.
        variety: compression of the SDR side.

    Raises:
        InputError: every picture is black.
    """
    # What a second of camera work adds up to: paths wander, so that displacements grow with the root of time. Some pan.
    far = REFERENCE_STRIDE**0.5 * 2 ** rng.uniform(0, PANS)
    wide = replace(motion, speed=motion.speed * far, zoom=motion.zoom * far)
    for _ in range(DRAWS):
        sdr, linear, light = exposed(pictures, references + 1, size, rng, wide, period=4.0)  # (1 + R, 3, H, W) each
        shares = overexposed_shares(sdr)
        key = int(shares.argmax()) if rng.random() < 0.5 else int(rng.integers(references + 1))
        if shares[key] <= MOST and shares[key] - shares.min() >= RECOVERABLE:
            break
    order = [key, *sorted((n for n in range(references + 1) if n != key), key=lambda n: (abs(n - key), n))]
    seen = np.asarray(pairs.deliver(sdr, rng, variety))[order].astype(np.float32)
    estimated = np.stack([estimate(seen[0], each) for each in seen[1:]])
    flow, agreed = true_flow(light[order])
    found = (agreed >= dis.ALIKE) & (estimated != dis.nowhere(size, size)).any(axis=(1, 2, 3))  # (R,)
    return KeyFrame(
        sdr=seen,
        linear=linear[key].astype(np.float32),
        flow=np.where(found[:, None, None, None], flow, estimated),
        estimated=estimated,
    )


def exposed(
    pictures: list[Picture], frames: int, size: int, rng: np.random.Generator, motion: clips.Motion, period: float
) -> tuple[NDArray[np.float64], NDArray[np.floating], NDArray[np.float32]]:
    """A clip of one scene as a camera with changing exposure sees it, before anything is delivered.

    Args:
        pictures: of one split, BT.709.
        frames: N.
        size: side in pixels, even.
        rng: every random choice comes from it.
        motion: what moves; its exposure and cuts do not count.
        period: frames of the fastest change of exposure (`camera.smooth_track`).

    Returns:
        BT.1886 signal, its light before it clips (1.0 is where it does), and the light at constant exposure, (N, 3, H, W) each.

    Raises:
        InputError: every picture is black.
    """
    seed = tuple(int(part) for part in rng.integers(0, 2**31, 2))
    light = clips.make_exposure_clip(pictures, frames, size, seed, replace(motion, exposure=0.0, cut=0.0)).linear
    stops = rng.uniform(*BRIGHTER) + camera.smooth_track(rng, frames, EXPOSURE_STOPS, shortest=period)
    linear = light * np.exp2(stops)[:, None, None, None]  # (N, 3, H, W)
    return np.asarray(bt1886_inverse_eotf(np.clip(linear, 0, 1)), dtype=np.float64), linear, light


def overexposed_shares(sdr: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the pixels of each frame (N, 3, H, W) that are over-exposed, (N,)."""
    return np.asarray((overexposure_mask(sdr)[:, 0] > 0).mean(axis=(1, 2)))


def true_flow(light: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Flow from the first frame to each other, estimated on light of one exposure, brought down by a curve that clips nothing.

    Args:
        light: (1 + R, 3, H, W) scene light, arbitrary scale.

    Returns:
        (R, 2, H, W) pixels, and the agreement of each reference (R,), see `dis.estimate`.
    """
    luma = np.einsum("c,nchw->nhw", clips.LUMA, np.maximum(light, 0))  # (1 + R, H, W)
    level = np.exp(np.log(luma + 1e-6 * (luma.max() + 1e-12)).mean())
    exposed = luma * (CONSISTENT / level)
    codes = np.rint(255 * (exposed / (1 + exposed)) ** (1 / clips.CAMERA_GAMMA)).astype(np.uint8)
    flows, agreed = zip(*(dis.of_codes(codes[0], each) for each in codes[1:]), strict=True)
    return np.stack(flows), np.array(agreed)


@dataclass(frozen=True)
class Segment:
    """A group of frames, the five key frames nearest to it and what those are recovered from, float32. Data of FCPM.

    Attributes:
        sdr: (T, 3, H, W) BT.1886 signal in [0, 1].
        linear: (T, 3, H, W) light, each frame in its own exposure.
        keys: (5, 3, H, W) key frames' signal, in time order; the group's own is in the middle.
        references: (R, 3, H, W) signal of the references that all of them share.
        key_references: (5, R, 2, H, W) pixels, flow estimated from each key frame to each reference.
        to_keys: (T, 5, 2, H, W) from each frame to each key frame.
        to_next: (T - 1, 2, H, W) from each frame to the next.
        to_previous: (T - 1, 2, H, W) from each frame but the first to the one before.
    """

    sdr: NDArray[np.float32]
    linear: NDArray[np.float32]
    keys: NDArray[np.float32]
    references: NDArray[np.float32]
    key_references: NDArray[np.float32]
    to_keys: NDArray[np.float32]
    to_next: NDArray[np.float32]
    to_previous: NDArray[np.float32]


GROUP, KEYS = 6, 5
"""Frames of a group (its key frame's stride, section 4.1), and key frames that a frame is merged from (section 3.4)."""

KEY_NUMBERS, FIRST = tuple(range(GROUP // 2, GROUP * KEYS, GROUP)), GROUP * (KEYS // 2)
"""Of the frames that a segment is cut out of: its key frames, and the first one of its own."""


def nearest(frame: int) -> list[int]:
    """Numbers of a segment's key frames by their distance from its frame, the earlier one of two first."""
    return sorted(range(KEYS), key=lambda k: abs(KEY_NUMBERS[k] - FIRST - frame))


def make_segment(
    pictures: list[Picture],
    size: int,
    rng: np.random.Generator,
    estimate: Estimate,
    motion: clips.Motion = clips.UNCUT,
    variety: pairs.Variety = pairs.PLAIN,
) -> Segment:
    """A group of `GROUP` frames in the middle of `KEYS` groups, a function of its arguments alone.

    Args:
        pictures: of one split, BT.709.
        size: side in pixels, a multiple of 16, at least 64.
        rng: every random choice comes from it.
        estimate: flow from one SDR frame to another.
        motion: what moves, a frame; its exposure and cuts do not count.
        variety: compression of the SDR side.

    Raises:
        InputError: every picture is black.
    """
    frames, first = GROUP * KEYS, FIRST
    inside = range(first, first + GROUP)
    for _ in range(DRAWS):
        sdr, linear, _ = exposed(pictures, frames, size, rng, motion, period=2.0 * frames)
        if RECOVERABLE <= overexposed_shares(sdr)[first : first + GROUP].mean() <= MOST:
            break
    seen = np.asarray(pairs.deliver(sdr, rng, variety)).astype(np.float32)
    keys = list(KEY_NUMBERS)
    references = [0, frames - 1]
    return Segment(
        sdr=seen[first : first + GROUP],
        linear=linear[first : first + GROUP].astype(np.float32),
        keys=seen[keys],
        references=seen[references],
        key_references=np.stack([[estimate(seen[key], seen[other]) for other in references] for key in keys]),
        to_keys=np.stack([[estimate(seen[n], seen[key]) for key in keys] for n in inside]),
        to_next=np.stack([estimate(seen[n], seen[n + 1]) for n in inside[:-1]]),
        to_previous=np.stack([estimate(seen[n + 1], seen[n]) for n in inside[:-1]]),
    )
