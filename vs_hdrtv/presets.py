"""The main job as one filter: presets, a colourist's controls and per-shot overrides, chained from the filters of each stage."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import vapoursynth as vs

from . import engines, graph, shots, stages
from .arguments import Bars, Tag, one_line_errors, read_areas, read_letterbox, retag
from .color.transfer import PQ_PEAK, REFERENCE_WHITE
from .errors import InputError
from .filters import blend, grade, to_hdr10, to_hlg
from .filters.models import find_model
from .letterbox import Letterbox
from .scenes import Scenes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """What `sdr_to_hdr` chains: a network, then one for over-exposure, or a formula; the cd/m2 that SDR white becomes at most."""

    model: str | None = None
    overexposed: str | None = None
    method: str | None = None
    peak: float = stages.MASTER_PEAK


PRESETS: dict[str, Preset] = {
    "fast": Preset(model="hdcfm"),
    "kernels": Preset(model="kpn_mfi"),
    "bt2446a": Preset(method="bt2446a"),
    "bt2446c": Preset(method="bt2446c", peak=333.0),  # 332.6: BT.2446-1, table 7
    "bt2408": Preset(method="bt2408", peak=REFERENCE_WHITE),
}
"""`fast` is HDCFM, `kernels` KPN-MFI; the others are the analytic baselines."""


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What a shot may have of its own (`shots.PARAMETERS`)."""

    preset: str
    model: str | os.PathLike[str] | None
    strength: float
    reference_white: float
    highlight_gain: float
    saturation: float
    ceiling: float | None
    letterbox: Letterbox | None


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
    if ceiling is None and ceiling_areas is not None and shots is None:
        raise InputError("sdr_to_hdr: ceiling_areas without a ceiling; give ceiling in cd/m2, for example 203")
    clip = retag("sdr_to_hdr", clip, matrix, transfer, primaries, range, chroma_location)
    look = _Look(
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

    def convert(look: _Look) -> vs.VideoNode:
        if look.preset not in PRESETS:
            known = ", ".join(PRESETS)
            raise InputError(f"sdr_to_hdr: unknown preset {look.preset!r}; choose one of {known}, or give a network as model=")
        chosen = PRESETS[look.preset]
        network = chosen.model if look.model is None else look.model
        if look.strength == 0:
            chosen, network = PRESETS["bt2408"], None
        if network is not None:
            mapping = stages.feature_map(find_model(network), look.letterbox, steady)
        else:
            mapping = stages.inverse_tone_map(chosen.method or "")
            if steady:
                logger.warning("sdr_to_hdr: steady=%d changes nothing here: a formula measures no frame", steady)
        hdr = graph.apply(mapping, {"sdr": clip}, engine=device_engine, force=force, scenes=scenes)
        if chosen.overexposed is not None:
            stage = stages.generate_overexposed(find_model(chosen.overexposed), look.letterbox, steady)
            hdr = graph.apply(stage, {"hdr": hdr, "sdr": clip}, engine=device_engine, force=force, scenes=scenes)
        if look.strength not in (0, 1):
            hdr = blend(hdr, clip, look.strength, force=force)
        grading = (look.reference_white, look.highlight_gain, look.saturation)
        if grading != (REFERENCE_WHITE, 1, 1):
            hdr = grade(hdr, *grading)
        brightest = stages.MASTER_PEAK if network is not None else max(chosen.peak, REFERENCE_WHITE)
        source_peak = min(max(stages.graded_peak(look.reference_white, look.highlight_gain, brightest), 100.0), PQ_PEAK)
        if look.ceiling is not None:
            stage = stages.limit(look.ceiling, rectangles, source_peak, masked=False)
            hdr = graph.apply(stage, {"hdr": hdr})
        if hlg:
            return to_hlg(hdr, source_peak=source_peak, format=format)
        return to_hdr10(hdr, peak, source_peak=source_peak, format=format)

    return convert(look) if shots is None else _by_shot(clip.num_frames, Path(shots), look, convert)


def _by_shot(frames: int, path: Path, look: _Look, convert: Callable[[_Look], vs.VideoNode]) -> vs.VideoNode:
    """One whole clip for every different look, spliced: a frame's neighbours are those of the source in all of them."""
    whole: dict[_Look, vs.VideoNode] = {}
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
