"""Where SDR is over-exposed: the mask, and new content."""

from __future__ import annotations

import os

import vapoursynth as vs

from .. import graph, stages
from ..arguments import Bars, Tag, one_line_errors, read_letterbox, retag
from ..color.overexposure import THRESHOLD
from ..scenes import Scenes
from .models import chosen_engine, find_model


@one_line_errors
def overexposure_mask(
    clip: vs.VideoNode,
    threshold: float = THRESHOLD,
    *,
    matrix: Tag = None,
    transfer: Tag = None,
    primaries: Tag = None,
    range: Tag = None,
    chroma_location: Tag = None,
    force: bool = False,
) -> vs.VideoNode:
    """M_H: where an SDR clip is over-exposed, which is where `generate_overexposed` works.

    Args:
        clip: SDR, any constant format.
        threshold: of the largest of R, G and B, 0 to 0.999; the mask rises from 0 there to 1 at white.
        matrix: see `feature_map`, as for the four that follow.
        transfer: outweighs `_Transfer`.
        primaries: outweighs `_Primaries`.
        range: outweighs `_Range`.
        chroma_location: outweighs `_ChromaLocation`.
        force: see `feature_map`.

    Returns:
        GRAYS, 0 to 1.

    Raises:
        vs.Error: the clip is interlaced or already HDR; the threshold is out of range; a tag is unknown.
    """
    clip = retag("overexposure_mask", clip, matrix, transfer, primaries, range, chroma_location)
    return graph.apply(stages.mask_overexposed(threshold), {"sdr": clip}, force=force)


@one_line_errors
def generate_overexposed(
    clip: vs.VideoNode,
    sdr: vs.VideoNode,
    model: str | os.PathLike[str] = "pdcg",
    *,
    engine: str | None = None,
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    steady: int = 0,
    scenes: Scenes = "auto",
    letterbox: Bars = None,
    force: bool = False,
) -> vs.VideoNode:
    """New content where SDR was over-exposed, by a generative network (PDCG). All other pixels stay as they are.

    Args:
        clip: PQ, BT.2020: the result of `feature_map` with the model that this one was trained after (its card says which).
        sdr: the SDR clip that it was made of.
        model: see `feature_map`.
        engine: see `feature_map`; None for the one that made `clip`, where neither device, precision nor threads is given.
        device: see `feature_map`, as for the two that follow.
        precision: with `fp16` all pixels are rounded to it.
        threads: CPU threads of the engine; None for all.
        steady: see `feature_map`, as for the one that follows.
        scenes: where scenes begin.
        letterbox: black bars of `sdr` that the network's frame-wide statistics leave out; what stands in them stays as it is.
        force: see `feature_map`.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: the clips differ in size or length or are not what they should be; the model, engine or device is not there.
    """
    card = find_model(model)
    chosen = chosen_engine(engine, device, precision, threads)
    bars = read_letterbox("generate_overexposed", sdr, letterbox, force)
    stage = stages.generate_overexposed(card, bars, steady)
    return graph.apply(stage, {"hdr": clip, "sdr": sdr}, engine=chosen, force=force, scenes=scenes)
