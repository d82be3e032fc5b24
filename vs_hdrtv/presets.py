"""The main job as one filter: the chain of `conversion`, with per-shot overrides."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import vapoursynth as vs

from . import engines, graph, shots, stages
from .arguments import Bars, Tag, one_line_errors, read_areas, read_letterbox, retag
from .color.transfer import REFERENCE_WHITE
from .conversion import PRESETS, Look, Preset, chain
from .errors import InputError
from .filters import propagate_keyframes, recover_keyframes
from .keyframes.grid import Grid
from .scenes import Scenes

engines.preload()  # before VapourSynth's plug-ins


@one_line_errors
def sdr_to_hdr(
    clip: vs.VideoNode,
    preset: str = "fast",
    *,
    model: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    steady: int = 0,
    scenes: Scenes = "auto",
    stride: int = Grid.stride,
    references: int = Grid.references,
    reference_stride: int = Grid.reference_stride,
    strength: float = 1.0,
    reference_white: float = REFERENCE_WHITE,
    highlight_gain: float = 1.0,
    saturation: float = 1.0,
    ceiling: float | None = None,
    ceiling_areas: Sequence[Sequence[int]] | None = None,
    letterbox: Bars = None,
    shots: str | os.PathLike[str] | None = None,
    peak: float = stages.MASTER_PEAK,
    hlg: bool = False,
    format: str = "yuv420p10",
    matrix: Tag = None,
    transfer: Tag = None,
    primaries: Tag = None,
    range: Tag = None,
    chroma_location: Tag = None,
    force: bool = False,
) -> vs.VideoNode:
    """The main job: SDR in, a clip for an HDR10 or HLG encoder out.

    Args:
        clip: SDR, any constant format.
        preset: a key of `PRESETS`.
        model: network to use instead of the preset's own; see `feature_map`.
        engine: see `feature_map`; the analytic presets take it too and need no weights.
        device: see `feature_map`.
        precision: see `feature_map`.
        threads: see `feature_map`.
        steady: see `feature_map`; of no meaning to the analytic presets.
        scenes: see `feature_map`.
        stride: see `recover_keyframes`, as for the two that follow; of no meaning to presets without key frames.
        references: on each side of a key frame.
        reference_stride: frames from one reference to the next.
        strength: see `blend`.
        reference_white: see `grade`, as for the two that follow.
        highlight_gain: of light above reference white.
        saturation: of Ct and Cp.
        ceiling: see `limit`; None for none.
        ceiling_areas: where the ceiling holds; None for the whole picture.
        letterbox: black bars; see `feature_map`.
        shots: text file of parameters for some frames (see `shots`).
        peak: see `to_hdr10`.
        hlg: pack to HLG instead of PQ.
        format: see `to_hdr10`.
        matrix: see `feature_map`, as for the four that follow.
        transfer: outweighs `_Transfer`.
        primaries: outweighs `_Primaries`.
        range: outweighs `_Range`.
        chroma_location: outweighs `_ChromaLocation`.
        force: see `feature_map`.

    Returns:
        Y'CbCr, BT.2020, PQ or HLG; see `to_hdr10` and `to_hlg`.

    Raises:
        vs.Error: as the filters that it chains; the shots make no sense.
    """
    if hlg and peak != stages.MASTER_PEAK:
        raise InputError(f"sdr_to_hdr: peak is {peak} with hlg=True; HLG has no mastering display, leave peak out")
    stages.check_steady("sdr_to_hdr", steady)  # also where a formula has no use for it
    grid = Grid(stride, references, reference_stride)
    grid.check("sdr_to_hdr")
    if ceiling is None and ceiling_areas is not None and shots is None:
        raise InputError("sdr_to_hdr: ceiling_areas without a ceiling; give ceiling in cd/m2, for example 203")
    clip = retag("sdr_to_hdr", clip, matrix, transfer, primaries, range, chroma_location)
    look = Look(
        preset=preset,
        model=model,
        strength=strength,
        reference_white=reference_white,
        highlight_gain=highlight_gain,
        saturation=saturation,
        ceiling=ceiling,
        letterbox=read_letterbox("sdr_to_hdr", clip, letterbox, force),
    )
    rectangles = read_areas("sdr_to_hdr", clip, ceiling_areas)

    device_engine = engines.create(engine, device=device, precision=precision, threads=threads)

    def recovered(preset: Preset) -> vs.VideoNode:
        said: dict[str, Any] = {"device": device, "precision": precision, "threads": threads, "scenes": scenes, "force": force}
        keyframes = recover_keyframes(clip, *astuple(grid), model=preset.icam or "", engine=engine, **said)
        return propagate_keyframes(clip, keyframes, model=preset.fcpm or "", engine=engine, **said)

    def convert(look: Look) -> vs.VideoNode:
        chained, source_peak = chain(look, steady, rectangles)
        packed = stages.to_hlg(source_peak, format) if hlg else stages.to_hdr10(peak, source_peak, format)
        clips = {"sdr": clip}
        if any("linear" in stage.given for stage in chained):
            clips["linear"] = recovered(PRESETS[look.preset])
        for stage in (*chained, packed):
            given = {signal: clips[signal] for signal in stage.given}
            clips["hdr"] = graph.apply(stage, given, engine=device_engine, force=force, scenes=scenes)
        return clips["hdr"]

    return convert(look) if shots is None else _by_shot(clip.num_frames, Path(shots), look, convert)


def _by_shot(frames: int, path: Path, look: Look, convert: Callable[[Look], vs.VideoNode]) -> vs.VideoNode:
    """One whole clip for every different look, spliced: a frame's neighbours are those of the source in all of them."""
    whole: dict[Look, vs.VideoNode] = {}
    parts = []
    for first, end, shot in shots.ranges(shots.read(path), frames):
        changes = dict(shot.parameters) if shot is not None else {}
        if "preset" in changes:
            changes["model"] = None  # the shot's preset brings its own
        own = replace(look, **changes)  # type: ignore[arg-type]  # `shots` has read each value as its type
        if own not in whole:
            whole[own] = convert(own)
        parts.append(whole[own][first:end])
    return vs.core.std.Splice(parts)


__all__ = ["PRESETS", "Preset", "sdr_to_hdr"]
