"""From stages to clips: the lineage that fuses a chain into one plan, and the one VapourSynth callback of the project.

A clip that a stage returned is remembered with its plan. A stage applied to such a clip extends the plan instead of stacking a
second filter, so that a chain uploads its source once and downloads its result once. Anything else between two stages ends
the plan; the next stage then reads the materialised clip, with the same result.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import vapoursynth as vs

from . import engines
from .color.arrays import Array, namespace
from .color.planes import SUBSAMPLED
from .engines import Engine
from .errors import InputError
from .light import AVERAGE_MAX_RGB, MAX_RGB
from .networks import parts
from .pipeline import CUTS, Calls, Memo, Source, Step, build, compute, cuts_of, load, windows
from .scenes import CUT, Scenes, check, cut_clip, shifted
from .sources import FEATURE_CHANNELS, FEATURES_OF, ClipSource, check_features, open_source
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


def check_signal(name: str, clip: vs.VideoNode, signal: str) -> None:
    """Refuse a clip that a stage returned for another signal, which frame 0 would tell only once the network has run.

    Raises:
        InputError: it is one.
    """
    plan = plan_of(clip)
    if plan is not None and plan.step.stage.writes != signal:
        found = plan.step.stage
        made = "finish it with modulate and enhance" if (found.writes, signal) == ("features", "hdr") else ""
        remedy = made or f"give it the clip that went into {found.name}"
        raise InputError(f"{name}: clip is {found.writes}, the result of {found.name}; it reads {signal}: {remedy}")


def apply(
    stage: Stage,
    clips: Mapping[str, vs.VideoNode],
    *,
    engine: Engine | None = None,
    force: bool = False,
    scenes: Scenes = "auto",
) -> vs.VideoNode:
    """Clip of `stage`, fused with the stages that its input clips come from.

    Args:
        stage: what to do.
        clips: the clip of each signal that the stage has to be given, all of one length and size.
        engine: runs networks; None takes that of the first input clip's plan, else `engines.create("auto")`.
        force: take a clip tagged PQ or HLG for SDR.
        scenes: what a stage that reads several frames does not read over; see `scenes.cut_clip`. With `auto` it follows the
            stages before it that read several frames.

    Raises:
        InputError: a clip cannot be read as its signal, the clips differ in length or size, the model cannot be loaded, or
            `scenes` makes no sense.
    """
    plans = {signal: plan for signal, clip in clips.items() if (plan := plan_of(clip)) is not None}
    for signal, plan in plans.items():
        found = plan.step.stage
        check_signal(stage.name, clips[signal], signal)
        if signal == "features":
            check_features(stage.name, _properties(found))
            if stage.card and found.card and stage.card.safetensors_sha256 != found.card.safetensors_sha256:
                used, named = found.card.name, stage.card.name
                raise InputError(
                    f"{stage.name}: clip holds features of model {used!r}, not of {named!r}; give both stages one model"
                )
    if engine is None:
        engine = next((plan.engine for plan in plans.values()), None) or engines.create("auto")
    inputs: dict[str, Source | Step] = {}
    sources: dict[Source, ClipSource] = {}
    calls: dict[Stage, Callable[..., Array]] = {}
    for signal in clips:
        plan = plans.get(signal)
        if plan is not None and plan.engine is engine:
            inputs[signal] = _adopt(plan, sources)
            calls.update(plan.calls)
    for signal, clip in clips.items():
        if signal in inputs:
            continue
        same = next((key for key, value in sources.items() if value.raw is clip and key.signal == signal), None)
        if same is None:
            same = Source(signal)
            sources[same] = open_source(stage.name, clip, signal, force=force, known=signal in plans)
        inputs[signal] = same
    _check_alike(stage, sources)
    cuts = _cuts(stage, inputs, sources, scenes)
    plan = Plan(build(stage, inputs, cuts), sources, engine, calls | load(stage, engine))
    node = _materialise(plan)
    _PLANS[node] = plan
    return node


def _cuts(stage: Stage, inputs: Mapping[str, Source | Step], sources: dict[Source, ClipSource], scenes: Scenes) -> Source | None:
    """The cuts that a stage does not read over, None for one that reads frame n alone; a new source is added to `sources`."""
    if not stage.is_temporal:
        if scenes != "auto":
            check(stage.name, next(iter(sources.values())).raw, scenes)
        return None
    pictures = [source for source in sources if source.signal not in (CUTS, "mask", "features")]
    # The picture as it was shot, where it is there: what came of it may have lost what tells two scenes apart.
    picture = next((source for source in pictures if source.signal == "sdr"), pictures[0])
    if scenes == "auto":
        for node in (inputs[signal] for signal in stage.given):
            if isinstance(node, Source) and _has_cuts(sources[node].raw):
                picture = node
                break
            if (followed := cuts_of(node)) is not None:
                return followed
    clip = cut_clip(stage.name, sources[picture].raw, scenes)
    same = next((key for key, value in sources.items() if value.raw is clip), None)
    if same is None:
        same = Source(CUTS)
        sources[same] = ClipSource(clip, clip, {}, stage.name, CUTS, force=False)
    return same


def _has_cuts(clip: vs.VideoNode) -> bool:
    """Whether a clip comes from a stage that reads several frames, whatever was done to it since."""
    plan = plan_of(clip)
    if plan is not None:  # its frame 0 would run the network
        return cuts_of(plan.step) is not None
    with clip.get_frame(0) as frame:
        return CUT in frame.props


def _adopt(plan: Plan, sources: dict[Source, ClipSource]) -> Step:
    """The last step of `plan`, reading what `sources` already hold from there; what is new is added to them."""
    known = {(key.signal, id(value.raw), value.force): key for key, value in sources.items()}
    replaced: dict[Source | Step, Source | Step] = {}
    for source, clip in plan.sources.items():
        replaced[source] = known.get((source.signal, id(clip.raw), clip.force), source)
        if replaced[source] is source:
            sources[source] = clip

    step = _rebuilt(plan.step, replaced)
    assert isinstance(step, Step)
    return step


def _rebuilt(node: Source | Step, replaced: dict[Source | Step, Source | Step]) -> Source | Step:
    """`node` with what it is made of replaced; what stays the same stays the same object."""
    if node not in replaced and isinstance(node, Step):
        inputs = {signal: _rebuilt(value, replaced) for signal, value in node.inputs.items()}
        cuts = None if node.cuts is None else replaced[node.cuts]
        same = cuts is node.cuts and all(inputs[signal] is node.inputs[signal] for signal in inputs)
        assert not isinstance(cuts, Step)
        replaced[node] = node if same else Step(node.stage, inputs, cuts)
    return replaced[node]


def _check_alike(stage: Stage, sources: Mapping[Source, ClipSource]) -> None:
    shapes = [(source.signal, *source.size, source.raw.num_frames) for source in sources.values() if source.signal != CUTS]
    if len({shape[1:] for shape in shapes}) > 1:
        found = " and ".join(f"{signal} {w}x{h}, {n} frames" for signal, w, h, n in sorted(shapes))
        raise InputError(f"{stage.name}: clips differ ({found}); give clips of one size and length")
    _, width, height, _ = shapes[0]
    if stage.letterbox is not None:
        stage.letterbox.check(stage.name, width, height)


def _format(stage: Stage) -> vs.VideoFormat:
    """Format of a materialised signal."""
    if stage.writes != "packed":
        return vs.core.get_video_format(vs.GRAYS if stage.writes in ("mask", "features") else vs.RGBS)
    axes = SUBSAMPLED[stage.packing.sampling]
    return vs.core.query_video_format(vs.YUV, vs.INTEGER, stage.packing.depth, int(-1 in axes), int(-2 in axes))


COLOUR_PROPERTIES = (
    "_Matrix", "_Transfer", "_Primaries", "_Range", "_ColorRange", "_ChromaLocation",
    "MasteringDisplayPrimariesX", "MasteringDisplayPrimariesY", "MasteringDisplayWhitePointX", "MasteringDisplayWhitePointY",
    "MasteringDisplayMinLuminance", "MasteringDisplayMaxLuminance", "ContentLightLevelMax", "ContentLightLevelAverage",
    "DolbyVisionRPU", "HDR10Plus", MAX_RGB, AVERAGE_MAX_RGB, FEATURE_CHANNELS, FEATURES_OF,
)  # fmt: skip
"""What described the source's colours and light and does not describe the result's."""


def _materialise(plan: Plan) -> vs.VideoNode:
    """The clip of a plan."""
    stage = plan.step.stage
    first = next(iter(plan.sources.values()))
    out_format = _format(stage)
    width, height = first.size
    width, height = _even_if(width, out_format.subsampling_w), _even_if(height, out_format.subsampling_h)
    if stage.writes == "features":
        height *= parts.CHANNELS["features"]  # one below the other
    template = vs.core.std.BlankClip(first.raw, width, height, format=out_format.id, keep=True)
    inputs, positions = _window_clips(plan)
    properties = _properties(stage)
    last = template.num_frames - 1
    cuts = cuts_of(plan.step)
    memo = Memo(plan.step)  # of this clip alone: it goes with it

    def run(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
        def frame_of(source: Source, frame: int) -> vs.VideoFrame:
            return f[positions[source][1] + frame - n]

        def fetch(source: Source, frame: int) -> Array:
            return plan.sources[source].read(frame_of(source, frame), plan.engine)

        def is_cut(source: Source, frame: int) -> bool:
            return bool(frame_of(source, frame).props[CUT])

        with one_line_frame_errors(stage.name, plan.engine, first.size):
            for source, clip in plan.sources.items():
                clip.check(f[positions[source][0]].props, n)
            result = compute(plan.step, n, (0, last), plan.calls, fetch, is_cut, memo)
            out = vs.core.create_video_frame(out_format.id, width, height)
            write_planes(out, result, plan.engine)
        # What the next stage follows, should the user put something between.
        found = {} if cuts is None else {CUT: int(is_cut(cuts, n))}
        copy_properties(f[0].props, out.props, properties | found)
        return out

    # ModifyFrame alone runs one callback at a time; made anew for each frame inside FrameEval, they run in parallel.
    def frame(n: int) -> vs.VideoNode:
        return template.std.ModifyFrame(inputs, run)

    return template.std.FrameEval(frame, clip_src=inputs)


@contextlib.contextmanager
def one_line_frame_errors(name: str, engine: Engine, size: tuple[int, int]) -> Iterator[None]:
    """Bad input and memory that does not suffice become `vs.Error`, whose one line is the last that VapourSynth shows.

    Args:
        name: filter whose frame is computed inside.
        engine: computes it.
        size: (width, height) of its source.
    """
    try:
        yield
    except InputError as error:
        raise vs.Error(str(error)) from None
    except Exception as error:
        if not engines.is_out_of_memory(error):
            raise
        raise vs.Error(str(engines.does_not_suffice(engine.name, engine.device, name, *size))) from None


def _even_if(side: int, subsampling: int) -> int:
    """`side`, or the even number above it where chroma is subsampled along it."""
    return side + side % 2 if subsampling else side


def _window_clips(plan: Plan) -> tuple[list[vs.VideoNode], dict[Source, tuple[int, int]]]:
    """The clips of the callback, and for each source the place of its raw clip and of its planes at offset 0."""
    clips: list[vs.VideoNode] = []
    positions: dict[Source, tuple[int, int]] = {}
    for source, (low, high) in windows(plan.step).items():
        clip = plan.sources[source]
        positions[source] = (len(clips), len(clips) + 1 - low)
        clips.append(clip.raw)
        clips.extend(shifted(clip.window_clip(plan.engine), offset) for offset in range(low, high + 1))
    return clips, positions


def write_planes(out: vs.VideoFrame, result: Array, engine: Engine) -> None:
    """A signal's value into a new frame of its format."""
    if isinstance(result, tuple):
        planes = result
    elif len(out) < result.shape[1]:  # features: (1, C, H, W) -> (1, 1, C H, W)
        planes = (result.reshape(1, 1, -1, result.shape[3]),)
    else:
        planes = tuple(result[:, index : index + 1] for index in range(result.shape[1]))
    for index, plane in enumerate(planes):
        target = np.asarray(out[index])
        if target.dtype.kind == "u":
            # Half the bytes to bring down; 10-bit codes fit.
            xp = namespace(plane)
            plane = xp.astype(plane, xp.int16)
        target[...] = engine.download(plane)[0, 0]


LINEAR_PROPERTIES = {
    "_Matrix": int(vs.MATRIX_RGB),
    "_Transfer": int(vs.TRANSFER_LINEAR),
    "_Primaries": int(vs.PRIMARIES_BT709),
    "_Range": int(vs.RANGE_FULL),
}
"""Of `linear`."""


def _properties(stage: Stage) -> dict[str, Any]:
    """Colour properties of a stage's result."""
    if stage.writes == "packed":
        return stage.packed_properties()
    if stage.writes == "hdr":
        return {
            "_Matrix": vs.MATRIX_RGB,
            "_Transfer": vs.TRANSFER_ST2084,
            "_Primaries": vs.PRIMARIES_BT2020,
            "_Range": vs.RANGE_FULL,
        }
    if stage.writes == "linear":
        return LINEAR_PROPERTIES
    if stage.writes == "features":
        return {FEATURE_CHANNELS: parts.CHANNELS["features"], FEATURES_OF: stage.name}
    return {"_Range": vs.RANGE_FULL}


def copy_properties(source: Mapping[str, Any], target: Any, changed: Mapping[str, Any]) -> None:
    """Properties of a source frame for a frame made of it, `changed` in place of what described its colours and light."""
    for key, value in source.items():
        if key not in COLOUR_PROPERTIES:
            target[key] = value
    for key, value in changed.items():
        target[key] = value
