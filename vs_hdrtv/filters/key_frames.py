"""Detail that a frame has lost to over-exposure, from other frames of its scene: the stages of VITM-TC."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import vapoursynth as vs

from .. import engines, graph, sources, stages
from ..arguments import Tag, one_line_errors, retag
from ..color.arrays import Array
from ..engines import Engine
from ..errors import InputError
from ..keyframes import nodes
from ..keyframes import stages as light
from ..keyframes.grid import MAX_SEGMENT, MAX_STRIDE, OVERLAP, SEGMENT, Grid
from ..scenes import Scenes, cut_clip
from ..sources import ClipSource
from ..weights import find_model

if TYPE_CHECKING:
    from ..keyframes.propagation import Propagation
    from ..keyframes.recovery import Recovery

DIS = "dis"
"""Instead of a model of flow: OpenCV's DIS, at one exposure."""

type Model = str | os.PathLike[str]


@one_line_errors
def recover_keyframes(
    clip: vs.VideoNode,
    stride: int = 6,
    references: int = 6,
    reference_stride: int = 15,
    *,
    model: Model = "icam",
    flow: Model = DIS,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    scenes: Scenes = "auto",
    matrix: Tag = None,
    transfer: Tag = None,
    primaries: Tag = None,
    range: Tag = None,
    chroma_location: Tag = None,
    force: bool = False,
) -> vs.VideoNode:
    """Key frames with what over-exposure took from them, found in frames of the same scene seconds away (ICAM of VITM-TC).

    Groups of `stride` frames are counted from frame 0 and cut where scenes begin; the middle frame of each is its key frame.

    Args:
        clip: SDR, any constant format; brought to BT.709 RGB by its frame properties.
        stride: frames of a group, 1 (each frame is a key frame) to 60.
        references: frames that a key frame is compared with, on each side of it, inside its scene; 0 to 12.
        reference_stride: frames from one reference to the next; the farthest is at most 300 frames away.
        model: a shipped model, or the path of a model card (`.toml`) or of the `.safetensors` beside it; of the network `icam`.
        flow: model of the optical flow that is started from, or `dis`: OpenCV's.
        engine: see `feature_map`, as for all that follow.
        device: of the engine.
        precision: `fp32`, or `fp16` on a GPU.
        threads: CPU threads of the engine; None for all.
        scenes: where scenes begin, over which neither groups nor references reach.
        matrix: outweighs `_Matrix`.
        transfer: outweighs `_Transfer`.
        primaries: outweighs `_Primaries`.
        range: outweighs `_Range`.
        chroma_location: outweighs `_ChromaLocation`.
        force: convert a clip that is tagged PQ or HLG as if it were SDR.

    Returns:
        RGBS, linear light of BT.709 primaries, 1 being reference white, of the length of `clip`: frame n is the key frame of n's
        group. `_HdrtvKeyFrame` is its number, `_HdrtvReferences` how many references show the same thing.

    Raises:
        vs.Error: as `feature_map`; a number is out of range.
    """
    name = "recover_keyframes"
    grid = Grid(stride, references, reference_stride)
    grid.check(name)
    chosen = engines.create(engine, device=device, precision=precision, threads=threads)
    recovery = make_recovery(chosen, flow, model)
    clip = retag(name, clip, matrix, transfer, primaries, range, chroma_location)
    graph.check_signal(name, clip, "sdr")
    sources.open_source(name, clip, "sdr", force=force)  # says what is wrong with it, before anything is built on it
    cuts = cut_clip(name, clip, scenes)
    source = sources.open_source(name, nodes.held(clip, grid), "sdr", force=force, quiet=True)
    return nodes.recover(clip, source, cuts, grid, recovery, chosen)


@one_line_errors
def propagate_keyframes(
    clip: vs.VideoNode,
    keyframes: vs.VideoNode,
    stride: int | None = None,
    segment: int = SEGMENT,
    overlap: int = OVERLAP,
    *,
    model: Model = "fcpm",
    icam: Model | None = None,
    flow: Model | None = None,
    engine: str | None = None,
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    scenes: Scenes = "auto",
    force: bool = False,
) -> vs.VideoNode:
    """Key frames carried to every frame: warped, combined, and passed on from frame to frame both ways (FCPM of VITM-TC).

    Each segment of `segment` frames, counted from frame 0 and cut where scenes begin, is propagated with `overlap` frames more
    on each side, so that a frame depends on its segment alone and not on where anybody began. Where a frame is not over-exposed
    it is its own light; so it is where no key frame of the scene had a reference.

    Args:
        clip: the SDR clip that the key frames were recovered of.
        keyframes: the result of `recover_keyframes`.
        stride: of `recover_keyframes`; None for that of `keyframes`, or 6 where something stands between.
        segment: frames that are propagated at a time, 1 to 120; all of them are in memory.
        overlap: frames beyond each end, 0 to 60.
        model: see `recover_keyframes`; of the network `fcpm`.
        icam: the model that corrects the flow; None for that of `keyframes`, or `icam` where something stands between.
        flow: see `recover_keyframes`; None for that of `keyframes`, or `dis`.
        engine: see `feature_map`; None for the one that made `keyframes`, where neither device, precision nor threads is given.
        device: see `feature_map`, as for the two that follow.
        precision: `fp32`, or `fp16` on a GPU.
        threads: CPU threads of the engine; None for all.
        scenes: where scenes begin; `auto`: as for `keyframes`.
        force: see `recover_keyframes`.

    Returns:
        RGBS, linear light of BT.709 primaries, 1 being reference white: that of `clip`, with what was recovered where it is
        over-exposed.

    Raises:
        vs.Error: as `recover_keyframes`; the clips differ in size or length, or (when a frame is asked for) the key frames are of
            another stride or of other scenes.
    """
    name = "propagate_keyframes"
    made = nodes.made_with(keyframes)
    if stride is None:
        stride = Grid.stride if made is None else made.grid.stride
    stages.check_number(name, "stride", stride, 1, MAX_STRIDE)
    stages.check_number(name, "segment", segment, 1, MAX_SEGMENT)
    stages.check_number(name, "overlap", overlap, 0, MAX_SEGMENT // 2)
    if made is not None and (engine, device, precision, threads) == (None, None, "fp32", None):
        chosen = made.engine
    else:
        chosen = engines.create(engine or "auto", device=device, precision=precision, threads=threads)
    if made is not None and chosen is made.engine and icam is None and flow is None:
        recovery = made.recovery
    else:
        recovery = make_recovery(chosen, flow or DIS, icam or "icam")
    propagation = make_propagation(chosen, recovery, model)
    graph.check_signal(name, clip, "sdr")
    source = sources.open_source(name, clip, "sdr", force=force)
    keys = sources.open_source(name, keyframes, "linear")
    _check_alike(name, source, keys, "keyframes")
    cuts = made.cuts if made is not None and scenes == "auto" else cut_clip(name, clip, scenes)
    light_of_all = nodes.propagate(name, source, keys, cuts, stride, segment, overlap, propagation, chosen)
    return graph.apply(light.blend_recovered(), {"sdr": clip, "linear": light_of_all}, engine=chosen, force=force)


@one_line_errors
def merge_highlights(
    clip: vs.VideoNode,
    sdr: vs.VideoNode,
    recovered: vs.VideoNode,
    peak: float = stages.MASTER_PEAK,
    *,
    force: bool = False,
) -> vs.VideoNode:
    """Recovered highlights into the HDR clip of any stage: as bright as what stands around them, no step at their edge.

    Args:
        clip: PQ, BT.2020: the result of `feature_map`, `generate_overexposed` ...
        sdr: the SDR clip that it was made of.
        recovered: the result of `propagate_keyframes` of it.
        peak: cd/m2 that highlights approach, 100 to 10000; what comes no further than half of the way there is not changed.
        force: see `feature_map`.

    Returns:
        RGBS, BT.2020 primaries, PQ; `clip` itself where nothing was over-exposed or nothing brighter was found.

    Raises:
        vs.Error: the clips differ in size or length, or are not what they should be; `peak` is out of range.
    """
    return graph.apply(light.merge_highlights(peak), {"hdr": clip, "sdr": sdr, "linear": recovered}, force=force)


@one_line_errors
def estimate_flow(
    clip: vs.VideoNode,
    reference: vs.VideoNode,
    *,
    model: Model = "icam",
    flow: Model = DIS,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    force: bool = False,
) -> vs.VideoNode:
    """Optical flow between frames of different exposure: where in `reference` each pixel of `clip` lies.

    Where a frame of `reference` shows something else, which `flow='dis'` finds, its flow points outside of it everywhere.

    Args:
        clip: SDR, any constant format.
        reference: SDR of the same size and length, frame n of which frame n of `clip` is compared with, for example
            `clip[30:] + clip[-1] * 30`.
        model: see `recover_keyframes`: what corrects the flow.
        flow: see `recover_keyframes`.
        engine: see `feature_map`, as for all that follow.
        device: of the engine.
        precision: `fp32`, or `fp16` on a GPU.
        threads: CPU threads of the engine; None for all.
        force: convert clips that are tagged PQ or HLG as if they were SDR.

    Returns:
        GRAYS of twice the height: x above y, in pixels. `_HdrtvChannels` is 2.

    Raises:
        vs.Error: as `feature_map`; the clips differ in size or length.
    """
    name = "estimate_flow"
    chosen = engines.create(engine, device=device, precision=precision, threads=threads)
    recovery = make_recovery(chosen, flow, model)
    both = _two(name, clip, reference, force)

    def run(current: Array, other: Array) -> tuple[Array, Mapping[str, Any]]:
        return recovery.flow(current, other), {sources.FEATURE_CHANNELS: 2}

    template = vs.core.std.BlankClip(clip, format=vs.GRAYS, height=2 * clip.height, keep=True)
    return nodes.of_two(*both, template, chosen, run)


@one_line_errors
def align_reference(
    clip: vs.VideoNode,
    reference: vs.VideoNode,
    *,
    model: Model = "icam",
    flow: Model = DIS,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    force: bool = False,
) -> vs.VideoNode:
    """`reference`, warped onto `clip` by the corrected flow.

    Args:
        clip: see `estimate_flow`, as for all that follow.
        reference: SDR of the same size and length.
        model: what corrects the flow and tells what can be used.
        flow: what the flow is started from.
        engine: runs the networks.
        device: of the engine.
        precision: `fp32`, or `fp16` on a GPU.
        threads: CPU threads of the engine; None for all.
        force: convert clips that are tagged PQ or HLG as if they were SDR.

    Returns:
        RGBS, BT.709, SDR. `_Alpha` is a GRAYS frame: how much each pixel can be used, 0 to 1.

    Raises:
        vs.Error: as `estimate_flow`.
    """
    name = "align_reference"
    chosen = engines.create(engine, device=device, precision=precision, threads=threads)
    recovery = make_recovery(chosen, flow, model)
    both = _two(name, clip, reference, force)

    def run(current: Array, other: Array) -> tuple[Array, Mapping[str, Any]]:
        aligned, valid = recovery.align(current, other)
        alpha = vs.core.create_video_frame(vs.GRAYS, clip.width, clip.height)
        graph.write_planes(alpha, valid, chosen)
        return aligned, {**SDR_PROPERTIES, "_Alpha": alpha}

    template = vs.core.std.BlankClip(clip, format=vs.RGBS, keep=True)
    return nodes.of_two(*both, template, chosen, run)


SDR_PROPERTIES = {
    "_Matrix": int(vs.MATRIX_RGB),
    "_Transfer": int(vs.TRANSFER_BT709),
    "_Primaries": int(vs.PRIMARIES_BT709),
    "_Range": int(vs.RANGE_FULL),
}
"""Of `sdr`."""


def make_recovery(engine: Engine, flow: Model, model: Model) -> Recovery:
    """What recovers key frames: the initial flow by a model or by DIS, the rest by ICAM.

    Raises:
        InputError: a model is not there or is of another network, or OpenCV is to find the flow and is not installed.
    """
    from ..keyframes import registration
    from ..keyframes.recovery import Recovery

    if flow == DIS:
        registration.installed()
    return Recovery(engine, None if flow == DIS else find_model(flow), find_model(model))


def make_propagation(engine: Engine, recovery: Recovery, model: Model) -> Propagation:
    """What carries key frames to all frames, by the flow of `recovery`.

    Raises:
        InputError: as `make_recovery`.
    """
    from ..keyframes.propagation import Propagation

    return Propagation(recovery, engine, find_model(model))


def _two(name: str, clip: vs.VideoNode, reference: vs.VideoNode, force: bool) -> tuple[ClipSource, ClipSource]:
    for each in (clip, reference):
        graph.check_signal(name, each, "sdr")
    source, other = (sources.open_source(name, each, "sdr", force=force) for each in (clip, reference))
    _check_alike(name, source, other, "reference")
    return source, other


def _check_alike(name: str, one: ClipSource, other: ClipSource, what: str) -> None:
    shapes = [(*each.size, each.raw.num_frames) for each in (one, other)]
    if shapes[0] != shapes[1]:
        found = " and ".join(f"{which} {w}x{h}, {n} frames" for which, (w, h, n) in zip(("clip", what), shapes, strict=True))
        raise InputError(f"{name}: clips differ ({found}); give clips of one size and length")
