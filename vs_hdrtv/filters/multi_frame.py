"""DSLNet's stages one by one: alignment, modulation, enhancement. Chained, they are `feature_map(model="dslnet")`."""

from __future__ import annotations

import os

import vapoursynth as vs

from .. import engines, graph, stages
from ..arguments import Tag, one_line_errors, retag
from ..errors import InputError
from ..scenes import Scenes
from .models import chosen_engine, find_model


@one_line_errors
def align(
    clip: vs.VideoNode,
    model: str | os.PathLike[str] = "dslnet",
    *,
    radius: int | None = None,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    steady: int = 0,
    scenes: Scenes = "auto",
    matrix: Tag = None,
    transfer: Tag = None,
    primaries: Tag = None,
    range: Tag = None,
    chroma_location: Tag = None,
    force: bool = False,
) -> vs.VideoNode:
    """Each frame and its neighbours as one set of features, brought into line by a deformable convolution (DMFA of DSLNet).

    Args:
        clip: SDR, any constant format; brought to BT.709 RGB by its frame properties.
        model: see `feature_map`; of the network `dslnet`.
        radius: neighbours on each side, to make sure of them: it is the model's that counts.
        engine: see `feature_map`, as for all that follow.
        device: of the engine.
        precision: `fp32`, or `fp16` on a GPU.
        threads: CPU threads of the engine; None for all.
        steady: frames on each side whose statistics (the mean that LDOE's dynamic convolution is made of) are averaged.
        scenes: where scenes begin.
        matrix: outweighs `_Matrix`.
        transfer: outweighs `_Transfer`.
        primaries: outweighs `_Primaries`.
        range: outweighs `_Range`.
        chroma_location: outweighs `_ChromaLocation`.
        force: convert a clip that is tagged PQ or HLG as if it were SDR.

    Returns:
        64 features, one below the other in GRAYS of 64 times the height; `_HdrtvChannels` is 64. Made only when it is looked at.

    Raises:
        vs.Error: as `feature_map`; the model is of another network or of another radius.
    """
    card = find_model(model)
    stage = stages.network_part("align", card, steady)
    own = len(card.parts["align"].reads["sdr"]) // 2
    if radius not in (None, own):
        raise InputError(f"align: radius is {radius}, but model {card.name!r} looks {own} to each side; leave radius out")
    chosen = engines.create(engine, device=device, precision=precision, threads=threads)
    clip = retag("align", clip, matrix, transfer, primaries, range, chroma_location)
    return graph.apply(stage, {"sdr": clip}, engine=chosen, force=force, scenes=scenes)


@one_line_errors
def modulate(
    clip: vs.VideoNode,
    sdr: vs.VideoNode,
    model: str | os.PathLike[str] = "dslnet",
    *,
    engine: str | None = None,
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    steady: int = 0,
    scenes: Scenes = "auto",
    force: bool = False,
) -> vs.VideoNode:
    """Features of `align`, scaled and shifted by what the frame and its neighbours are like (STFM of DSLNet: CME, SME, TME).

    Args:
        clip: features: the result of `align` with the same model.
        sdr: the SDR clip that they were made of.
        model: see `align`.
        engine: see `feature_map`; None for the one that made `clip`, where neither device, precision nor threads is given.
        device: see `feature_map`, as for all that follow.
        precision: `fp32`, or `fp16` on a GPU.
        threads: CPU threads of the engine; None for all.
        steady: frames on each side whose statistics (those of CME and TME) are averaged.
        scenes: where scenes begin.
        force: convert a clip that is tagged PQ or HLG as if it were SDR.

    Returns:
        Features, as `align`.

    Raises:
        vs.Error: the clips differ in size or length, or are not what they should be; as `align`.
    """
    stage = stages.network_part("modulate", find_model(model), steady)
    chosen = chosen_engine(engine, device, precision, threads)
    return graph.apply(stage, {"features": clip, "sdr": sdr}, engine=chosen, force=force, scenes=scenes)


@one_line_errors
def enhance(
    clip: vs.VideoNode,
    model: str | os.PathLike[str] = "dslnet",
    *,
    engine: str | None = None,
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
) -> vs.VideoNode:
    """Modulated features to HDR, by large kernels (LKQE of DSLNet).

    Args:
        clip: features: the result of `modulate` with the same model.
        model: see `align`.
        engine: see `modulate`.
        device: see `feature_map`, as for the two that follow.
        precision: `fp32`, or `fp16` on a GPU.
        threads: CPU threads of the engine; None for all.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: the clip holds no features; the model, engine or device is not there.
    """
    stage = stages.network_part("enhance", find_model(model))
    return graph.apply(stage, {"features": clip}, engine=chosen_engine(engine, device, precision, threads))
