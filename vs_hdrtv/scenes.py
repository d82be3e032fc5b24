"""Scene cuts: which frame begins a scene, so that a stage that reads several frames stays inside one.

Frame n begins a scene is a function of the clip and n alone, and of frames within three of it: a frame server has no whole clip,
and a detector with a memory (scxvid) would have to read all that comes before. `_SceneChangePrev` and `_SceneChangeNext`, where
the user's own detector has set them, are believed. They are VapourSynth's own:

    _SceneChangePrev = 1    between this frame and the one before there is a cut: it begins a scene
    _SceneChangeNext = 1    between this frame and the one after there is a cut: it ends a scene

One of the two is enough: scxvid sets the first alone, mvtools one or the other, as its vectors point. wwxd has its own name for
the first, `Scenechange`. They say nothing of frames that were put side by side later: detect after editing.

Without them a cut is found on luma scaled down to `WIDTH` x `HEIGHT`, compared by the order of its pixels: exposure, fades and
grading change values and leave the order. It needs no plug-in, so that all machines of a farm find the same cuts;
`scripts/scene_cuts.py` measures it beside the detectors that are installed.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

if TYPE_CHECKING:
    import vapoursynth as vs

type Scenes = str | Sequence[int]
"""`auto`: as the clip's properties say, found where they say nothing. `props`: as they say. `none`: one scene. Or a list of the
frames that begin scenes."""

CUT = "_HdrtvCut"
"""Frame property of the results of stages that read several frames: 1 where they took a scene to begin. `auto` follows it."""

PREVIOUS = ("_SceneChangePrev", "Scenechange")
"""Properties that say of a frame that it begins a scene."""

NEXT = "_SceneChangeNext"
"""And that it ends one."""

KINDS = ("auto", "props", "none")


def cut_clip(name: str, clip: vs.VideoNode, scenes: Scenes) -> vs.VideoNode:
    """1x1 clip of `clip`'s length whose frames have the property `CUT`: 1 where a scene begins, else 0.

    A window of it costs nothing, however long: full frames stay where they are. The same clip and scenes give the same object, so
    that stages of one plan share it.

    Args:
        name: filter that asks; messages start with it.
        clip: constant format and size.
        scenes: see `Scenes`.

    Raises:
        InputError: `scenes` is none of those, names a frame that the clip does not have, or is `props` and the clip has none.
    """
    check(name, clip, scenes)
    key = scenes if isinstance(scenes, str) else tuple(scenes)
    known = _CLIPS.setdefault(clip, {})
    if key not in known:
        known[key] = _clip(clip, key)
    return known[key]


_CLIPS: WeakKeyDictionary[vs.VideoNode, dict[str | tuple[int, ...], vs.VideoNode]] = WeakKeyDictionary()


def check(name: str, clip: vs.VideoNode, scenes: Scenes) -> None:
    """Refuse scenes that make no sense for `clip`; see `cut_clip`.

    Raises:
        InputError: they do not.
    """
    choice = f"{', '.join(KINDS)} or a list of the frames that begin scenes, for example [0, 240]"
    if isinstance(scenes, str):
        if scenes not in KINDS:
            raise InputError(f"{name}: unknown scenes {scenes!r}; give {choice}")
        if scenes == "props":
            with clip.get_frame(0) as frame:
                if not any(key in frame.props for key in (*PREVIOUS, NEXT)):
                    raise InputError(
                        f"{name}: scenes is 'props' but frame 0 has no _SceneChangePrev or _SceneChangeNext, which every frame "
                        "needs (0 or 1); run a detector, for example core.scxvid.Scxvid(clip), or use scenes='auto'"
                    )
        return
    if not isinstance(scenes, list | tuple | range) or not all(type(first) is int for first in scenes):
        raise InputError(f"{name}: scenes is {scenes!r}; give {choice}")
    beyond = next((first for first in scenes if not 0 <= first < clip.num_frames), None)
    if beyond is not None:
        raise InputError(f"{name}: scenes names frame {beyond}; the clip has frames 0 to {clip.num_frames - 1}")


def _clip(clip: vs.VideoNode, scenes: str | tuple[int, ...]) -> vs.VideoNode:
    import vapoursynth as vs

    blank = vs.core.std.BlankClip(width=1, height=1, format=vs.GRAY8, length=clip.num_frames, keep=True)
    answers = [blank.std.SetFrameProps(**{CUT: answer}) for answer in (0, 1)]
    if scenes == "none":
        return answers[0]
    if not isinstance(scenes, str):
        firsts = frozenset(scenes)
        return blank.std.FrameEval(lambda n: answers[n in firsts], clip_src=answers)
    properties = [CUT] if scenes == "auto" else []
    carried = blank.std.CopyFrameProps(clip, props=[*properties, *PREVIOUS, NEXT])
    unsaid = _found(clip, blank) if scenes == "auto" else answers[0]

    def frame(n: int, f: list[vs.VideoFrame]) -> vs.VideoNode:
        told = _told(f[0].props, f[1].props if n else {})
        return unsaid if told is None else answers[told]

    return blank.std.FrameEval(frame, prop_src=[carried, shifted(carried, -1)], clip_src=[*answers, unsaid])


def _told(props: Mapping[str, Any], before: Mapping[str, Any]) -> bool | None:
    """What the properties of a frame and of the one before say of a cut between them; None for nothing."""
    if CUT in props:  # what stages before took, whatever it was made of
        return bool(props[CUT])
    said = [each[key] for each, keys in ((props, PREVIOUS), (before, (NEXT,))) for key in keys if key in each]
    return any(value not in (0, b"", b"0") for value in said) if said else None


def shifted(clip: vs.VideoNode, offset: int) -> vs.VideoNode:
    """Clip whose frame n is frame n + offset of `clip`, the ends repeated, of the same length."""
    count = clip.num_frames
    if offset == 0:
        return clip
    if abs(offset) >= count:
        return (clip[-1] if offset > 0 else clip[0]) * count
    if offset > 0:
        return clip[offset:] + clip[-1] * offset
    return clip[0] * -offset + clip[:offset]


# Cuts found by the picture.

WIDTH, HEIGHT = 32, 18
"""Pixels of a signature."""

Signatures = NDArray[np.uint8]
"""(N, HEIGHT, WIDTH) luma."""

LEAST = 0.35
"""Difference of two frames (1 - rank correlation) below which there is no cut between them: slow motion differs by up to 0.1."""

CUTS = ((0.35, 0.3, 0.0), (0.35, 0.2, 3.0), (0.35, 0.1, 8.0), (0.6, 0.0, 8.0))
"""A frame begins a scene where it differs from the frame before by more than the first number, at the best shift by more than the
second, and (without a shift) by more than the third number times as much as its neighbours differ from theirs. Two scenes differ
by 0.2 to 1 at the best shift, two frames of the fastest pan by 0.25; a still camera that gets a push by 0.4, and 0.05 at the
best shift. Smooth pictures fit at some shift whatever they show: the last line."""

SHIFTS = 5, 9
"""Pixels, down and across, by which a picture may move from frame to frame: more than a quarter of it."""

REACH = 3
"""Frames on both sides of a cut that are looked at."""

RETURN = 0.6
"""Share of a cut's difference below which a frame before it and one after it are of one scene: what came between was a flash."""

LEVEL = 96.0
"""8-bit codes of mean and contrast by which a frame without order (black, a flat card) must differ to differ by 1."""


def ranks(signatures: Signatures) -> NDArray[np.float32]:
    """(N, HEIGHT * WIDTH) ranks of a frame's pixels, ties sharing their mean rank, at mean 0 and norm 1; 0 for a flat frame."""
    flat = signatures.reshape(len(signatures), -1)
    count = len(flat)
    histogram = np.bincount((flat + 256 * np.arange(count)[:, None]).ravel(), minlength=256 * count).reshape(count, 256)
    middle = np.cumsum(histogram, axis=1) - (histogram - 1) / 2
    ranked = np.take_along_axis(middle, flat.astype(np.intp), axis=1)
    ranked -= ranked.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(ranked, axis=1, keepdims=True)
    # A frame of two or three neighbouring codes is black with noise: it has no order.
    ordered = np.ptp(flat, axis=1)[:, None] > 3
    return np.asarray(np.where(ordered, ranked / np.maximum(norm, 1e-9), 0), dtype=np.float32)


def differences(signatures: Signatures) -> NDArray[np.float32]:
    """(N, N) how much each frame differs from each: 1 - rank correlation, or by level where one of them has no order."""
    order = ranks(signatures)
    codes = signatures.reshape(len(signatures), -1).astype(np.float32)
    level = np.stack([codes.mean(axis=1), codes.std(axis=1)])  # (2, N)
    apart = np.abs(level[:, :, None] - level[:, None]).sum(axis=0) / LEVEL  # (N, N)
    flat = ~order.any(axis=1)
    return np.asarray(np.where(flat[:, None] | flat, np.minimum(apart, 1), 1 - order @ order.T), dtype=np.float32)


def moved_difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Least difference of two frames (`ranks`, not flat) over all `SHIFTS` of one against the other, where they overlap."""
    pair = [order.reshape(HEIGHT, WIDTH) for order in (one, other)]
    best = 1.0
    for down in range(-SHIFTS[0], SHIFTS[0] + 1):
        for across in range(-SHIFTS[1], SHIFTS[1] + 1):
            a = pair[0][max(0, down) : HEIGHT + min(0, down), max(0, across) : WIDTH + min(0, across)].ravel()
            b = pair[1][max(0, -down) : HEIGHT + min(0, -down), max(0, -across) : WIDTH + min(0, -across)].ravel()
            a, b = a - a.mean(), b - b.mean()
            norm = float((a @ a) * (b @ b))
            if norm > 0:
                best = min(best, 1 - float(a @ b) / norm**0.5)
    return best


def begins_scene(signatures: Signatures) -> bool:
    """Whether a scene begins with the frame in the middle: a pure function of the `REACH` frames before it, it, and those after.

    Args:
        signatures: (2 REACH, HEIGHT, WIDTH) of frames n - REACH to n + REACH - 1; beyond the clip's ends the last frame again.
    """
    before, here = REACH - 1, REACH
    if differences(signatures[before : here + 1])[0, 1] <= LEAST:
        return False  # nearly every frame, at a third of the work
    between = differences(signatures)
    own = between[before, here]
    if between[:here, here:].min() <= RETURN * own:
        return False
    order = ranks(signatures[before : here + 1])
    moved = moved_difference(*order) if order.any(axis=1).all() else own
    around = np.delete(np.diagonal(between, 1), before).max()
    return any(own > least and moved > shift and own > times * around for least, shift, times in CUTS)


def _found(clip: vs.VideoNode, blank: vs.VideoNode) -> vs.VideoNode:
    small = signatures_of(clip)
    inputs = [blank, *(shifted(small, offset) for offset in range(-REACH, REACH))]

    def run(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
        out = f[0].copy()
        out.props[CUT] = int(begins_scene(np.stack([np.asarray(frame[0]) for frame in f[1:]])))
        return out

    # As in `graph`: ModifyFrame alone runs one callback at a time.
    return blank.std.FrameEval(lambda n: blank.std.ModifyFrame(inputs, run), clip_src=inputs)


def signature(luma: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH) of one frame, for fronts without a frame server.

    Args:
        luma: (H, W) in codes of 8 bits.
    """
    small = _triangle(luma.shape[0], HEIGHT) @ luma.astype(np.float32) @ _triangle(luma.shape[1], WIDTH).T
    return np.asarray(np.clip(np.round(small), 0, 255).astype(np.uint8))


@functools.lru_cache(maxsize=8)
def _triangle(size: int, target: int) -> NDArray[np.float32]:
    """(target, size) weights of bilinear scaling that looks at all samples, mirrored at the edges, as zimg does it."""
    step = max(size / target, 1.0)
    weights = np.zeros((target, size))
    for row in range(target):
        middle = (row + 0.5) * size / target - 0.5
        for place in range(int(np.floor(middle - step)), int(np.ceil(middle + step)) + 1):
            mirrored = place if 0 <= place < size else -place - 1 if place < 0 else 2 * size - place - 1
            weights[row, min(max(mirrored, 0), size - 1)] += max(0.0, 1 - abs(place - middle) / step)
    scaled: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled


def signatures_of(clip: vs.VideoNode) -> vs.VideoNode:
    """Clip of a clip's signatures."""
    import vapoursynth as vs

    assert clip.format is not None
    if clip.format.color_family == vs.RGB:
        return clip.resize.Bilinear(WIDTH, HEIGHT, format=vs.GRAY8, matrix=vs.MATRIX_BT709)
    luma = clip.std.ShufflePlanes(0, vs.GRAY) if clip.format.color_family == vs.YUV else clip
    # Tags that do not fit one plane (a matrix, a transfer) would be refused; they say nothing of its order.
    return luma.std.RemoveFrameProps().resize.Bilinear(WIDTH, HEIGHT, format=vs.GRAY8)
