"""From stages to clips: the lineage that fuses a chain into one plan, and the one VapourSynth callback of the project.

A clip that a stage returned is remembered with its plan. A stage applied to such a clip extends the plan instead of stacking a
second filter, so that a chain uploads its source once and downloads its result once. Anything else between two stages ends
the plan; the next stage then reads the materialised clip, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import vapoursynth as vs

from . import engines
from .color.arrays import Array, namespace
from .engines import Engine
from .errors import InputError
from .hdr10 import SIGNALLING, MasteringDisplay
from .pipeline import Calls, Source, Step, compute, windows
from .sources import ClipSource, open_source
from .stages import Stage


@dataclass(frozen=True, eq=False)
class Plan:
    """What a clip of this package is made of: the last step, the clips that it reads, and the engine that runs it."""

    step: Step
    sources: Mapping[Source, ClipSource]
    engine: Engine
    calls: Calls


_PLANS: WeakKeyDictionary[vs.VideoNode, Plan] = WeakKeyDictionary()


def plan_of(clip: vs.VideoNode) -> Plan | None:
    """The plan behind a clip that a stage returned, None for any other clip."""
    return _PLANS.get(clip) if isinstance(clip, vs.VideoNode) else None


def apply(stage: Stage, clips: Mapping[str, vs.VideoNode], *, engine: Engine | None = None, force: bool = False) -> vs.VideoNode:
    """Clip of `stage`, fused with the stages that its input clips come from.

    Args:
        stage: what to do.
        clips: the clip of each signal that the stage reads, all of one length and size.
        engine: runs networks; None takes that of the first input clip's plan, else `engines.create("auto")`.
        force: take a clip tagged PQ or HLG for SDR.

    Raises:
        InputError: a clip cannot be read as its signal, the clips differ in length or size, or the model cannot be loaded.
    """
    plans = {signal: plan for signal, clip in clips.items() if (plan := plan_of(clip)) is not None}
    for signal, plan in plans.items():
        if plan.step.stage.writes != signal:
            found = plan.step.stage
            raise InputError(
                f"{stage.name}: clip is {found.writes}, the result of {found.name}; it reads {signal}: "
                f"give it the clip that went into {found.name}"
            )
    if engine is None:
        engine = next((plan.engine for plan in plans.values()), None) or engines.create("auto")
    inputs: dict[str, Source | Step] = {}
    sources: dict[Source, ClipSource] = {}
    calls: dict[Stage, Callable[..., Array]] = {}
    for signal in clips:
        plan = plans.get(signal)
        if plan is not None and plan.engine is engine:
            inputs[signal] = plan.step
            sources.update(plan.sources)
            calls.update(plan.calls)
    for signal, clip in clips.items():
        if signal in inputs:
            continue
        same = next((key for key, value in sources.items() if value.raw is clip and key.signal == signal), None)
        if same is None:
            same = Source(signal)
            sources[same] = open_source(stage.name, clip, signal, force=force, known=signal in plans)
        inputs[signal] = same
    _check_alike(stage.name, sources)
    call = engine.load(stage.card) if stage.card is not None else stage.function
    assert call is not None, f"{stage.name} has neither a network nor a function"
    plan = Plan(Step(stage, inputs), sources, engine, calls | {stage: call})
    node = _materialise(plan)
    _PLANS[node] = plan
    return node


def _check_alike(name: str, sources: Mapping[Source, ClipSource]) -> None:
    shapes = {(source.raw.width, source.raw.height, source.raw.num_frames) for source in sources.values()}
    if len(shapes) > 1:
        found = " and ".join(f"{w}x{h}, {n} frames" for w, h, n in sorted(shapes))
        raise InputError(f"{name}: clips differ ({found}); give clips of one size and length")


_FORMATS = {"packed": vs.YUV420P10, "mask": vs.GRAYS}
"""Format of a materialised signal; RGBS for the others."""

_COLOUR_PROPERTIES = (
    "_Matrix", "_Transfer", "_Primaries", "_Range", "_ColorRange", "_ChromaLocation",
    "MasteringDisplayPrimariesX", "MasteringDisplayPrimariesY", "MasteringDisplayWhitePointX", "MasteringDisplayWhitePointY",
    "MasteringDisplayMinLuminance", "MasteringDisplayMaxLuminance", "ContentLightLevelMax", "ContentLightLevelAverage",
)  # fmt: skip
"""What described the source's colours and does not describe the result's."""


def _materialise(plan: Plan) -> vs.VideoNode:
    """The clip of a plan."""
    stage = plan.step.stage
    template_source = next(iter(plan.sources.values())).raw
    width, height = template_source.width, template_source.height
    if stage.writes == "packed":
        width, height = width + width % 2, height + height % 2
    out_format = _FORMATS.get(stage.writes, vs.RGBS)
    template = vs.core.std.BlankClip(template_source, width, height, format=out_format, keep=True)
    inputs, positions = _window_clips(plan)
    properties = _properties(stage)
    last = template.num_frames - 1

    def run(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
        def fetch(source: Source, frame: int) -> Array:
            return plan.sources[source].read(f[positions[source][1] + frame - n], plan.engine)

        try:
            for source, clip in plan.sources.items():
                clip.check(f[positions[source][0]].props, n)
            result = compute(plan.step, n, (0, last), plan.calls, fetch)
        except InputError as error:
            raise vs.Error(str(error)) from None
        out = vs.core.create_video_frame(out_format, width, height)
        _write(out, result, plan.engine)
        _copy_properties(f[0].props, out.props, properties)
        return out

    # ModifyFrame alone runs one callback at a time; made anew for each frame inside FrameEval, they run in parallel.
    def frame(n: int) -> vs.VideoNode:
        return template.std.ModifyFrame(inputs, run)

    return template.std.FrameEval(frame, clip_src=inputs)


def _window_clips(plan: Plan) -> tuple[list[vs.VideoNode], dict[Source, tuple[int, int]]]:
    """The clips of the callback, and for each source the place of its raw clip and of its planes at offset 0."""
    clips: list[vs.VideoNode] = []
    positions: dict[Source, tuple[int, int]] = {}
    for source, (low, high) in windows(plan.step).items():
        clip = plan.sources[source]
        positions[source] = (len(clips), len(clips) + 1 - low)
        clips.append(clip.raw)
        clips.extend(_shifted(clip.window_clip(plan.engine), offset) for offset in range(low, high + 1))
    return clips, positions


def _shifted(clip: vs.VideoNode, offset: int) -> vs.VideoNode:
    """Clip whose frame n is frame n + offset of `clip`, the ends repeated, of the same length."""
    count = clip.num_frames
    if offset == 0:
        return clip
    if abs(offset) >= count:
        return (clip[-1] if offset > 0 else clip[0]) * count
    if offset > 0:
        return clip[offset:] + clip[-1] * offset
    return clip[0] * -offset + clip[:offset]


def _write(out: vs.VideoFrame, result: Array, engine: Engine) -> None:
    planes = result if isinstance(result, tuple) else tuple(result[:, index : index + 1] for index in range(result.shape[1]))
    for index, plane in enumerate(planes):
        target = np.asarray(out[index])
        if target.dtype.kind == "u":
            # Half the bytes to bring down; 10-bit codes fit.
            xp = namespace(plane)
            plane = xp.astype(plane, xp.int16)
        target[...] = engine.download(plane)[0, 0]


def _properties(stage: Stage) -> dict[str, Any]:
    """Colour properties of a stage's result."""
    if stage.writes == "packed":
        packed: dict[str, Any] = dict(SIGNALLING[stage.transfer or "pq"].frame_properties())
        if stage.peak is not None:
            packed |= MasteringDisplay(max_luminance=stage.peak).frame_properties()
        return packed
    if stage.writes == "hdr":
        return {
            "_Matrix": vs.MATRIX_RGB,
            "_Transfer": vs.TRANSFER_ST2084,
            "_Primaries": vs.PRIMARIES_BT2020,
            "_Range": vs.RANGE_FULL,
        }
    return {"_Range": vs.RANGE_FULL}


def _copy_properties(source: Mapping[str, Any], target: Any, changed: Mapping[str, Any]) -> None:
    for key, value in source.items():
        if key not in _COLOUR_PROPERTIES:
            target[key] = value
    for key, value in changed.items():
        target[key] = value
