"""SDR to HDR: by networks and by formulas."""

from __future__ import annotations

import os

import vapoursynth as vs

from .. import engines, graph, stages
from ..arguments import Bars, Tag, one_line_errors, read_letterbox, retag
from ..errors import InputError
from ..scenes import Scenes
from .models import find_model


@one_line_errors
def feature_map(
    clip: vs.VideoNode,
    model: str | os.PathLike[str] = "hdcfm",
    *,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    steady: int = 0,
    scenes: Scenes = "auto",
    letterbox: Bars = None,
    matrix: Tag = None,
    transfer: Tag = None,
    primaries: Tag = None,
    range: Tag = None,
    chroma_location: Tag = None,
    force: bool = False,
) -> vs.VideoNode:
    """SDR to HDR by a network: HDCFM, DSLNet (`align`, `modulate` and `enhance` in one), KPN-MFI, HDCFM with MFI.

    Args:
        clip: SDR, any constant format; brought to BT.709 RGB by its frame properties.
        model: a shipped model, or the path of a model card (`.toml`) or of the `.safetensors` beside it.
        engine: `auto` (CUDA where there is one, else `cpu`), or a key of `engines.ENGINES`.
        device: the engine's device, for example `cuda:1`; None for its first one.
        precision: `fp32`, or `fp16` on a GPU.
        threads: CPU threads of the engine; None for all. The bytes of a frame are promised for one number of threads.
        steady: k: statistics of the whole frame are the mean of those of the 2k + 1 frames around, inside the scene; 0 to 32. It
            takes the pumping out that they cause, and about twice the time.
        scenes: where scenes begin, over which neither neighbours nor `steady` reach: `auto` (as the clip's `_SceneChangePrev` and
            `_SceneChangeNext` say, found where it has none), `props`, `none`, or a list of first frames.
        letterbox: black bars that the network's frame-wide statistics leave out; what stands in them is mapped by BT.2408.
        matrix: outweighs the clip's `_Matrix`; a name of `sources.TAGS` (`709`, `170m`, ...) or a code point of H.273.
        transfer: the same for `_Transfer`.
        primaries: the same for `_Primaries`.
        range: the same for `_Range`: `limited` or `full`.
        chroma_location: the same for `_ChromaLocation`.
        force: convert a clip that is tagged PQ or HLG as if it were SDR.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: the clip is interlaced or already HDR; the model, engine or device is not there; a tag, bars, `steady` or
            `scenes` make no sense.
    """
    card = find_model(model)
    chosen = engines.create(engine, device=device, precision=precision, threads=threads)
    clip = retag("feature_map", clip, matrix, transfer, primaries, range, chroma_location)
    bars = read_letterbox("feature_map", clip, letterbox, force)
    stage = stages.feature_map(card, bars, steady)
    return graph.apply(stage, {"sdr": clip}, engine=chosen, force=force, scenes=scenes)


@one_line_errors
def predict_kernels(
    clip: vs.VideoNode,
    model: str | os.PathLike[str] = "kpn_mfi",
    *,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    steady: int = 0,
    scenes: Scenes = "auto",
    letterbox: Bars = None,
    matrix: Tag = None,
    transfer: Tag = None,
    primaries: Tag = None,
    range: Tag = None,
    chroma_location: Tag = None,
    force: bool = False,
) -> vs.VideoNode:
    """SDR to HDR by a kernel for each pixel and colour, predicted from three frames (KPN-MFI).

    Args:
        clip: SDR, any constant format; brought to BT.709 RGB by its frame properties.
        model: see `feature_map`; of the network `kpn_mfi`.
        engine: see `feature_map`, as for all that follow.
        device: of the engine.
        precision: `fp32`, or `fp16` on a GPU.
        threads: CPU threads of the engine; None for all.
        steady: frames on each side whose statistics are averaged.
        scenes: where scenes begin.
        letterbox: black bars that the network does not see.
        matrix: outweighs `_Matrix`.
        transfer: outweighs `_Transfer`.
        primaries: outweighs `_Primaries`.
        range: outweighs `_Range`.
        chroma_location: outweighs `_ChromaLocation`.
        force: convert a clip that is tagged PQ or HLG as if it were SDR.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: as `feature_map`; the model is of another network.
    """
    card = find_model(model)
    if card.network != "kpn_mfi":
        raise InputError(
            f"predict_kernels: model {card.name!r} is no KPN-MFI; use feature_map(clip, {card.name!r}), or model='kpn_mfi'"
        )
    chosen = engines.create(engine, device=device, precision=precision, threads=threads)
    clip = retag("predict_kernels", clip, matrix, transfer, primaries, range, chroma_location)
    bars = read_letterbox("predict_kernels", clip, letterbox, force)
    stage = stages.feature_map(card, bars, steady, "predict_kernels")
    return graph.apply(stage, {"sdr": clip}, engine=chosen, force=force, scenes=scenes)


@one_line_errors
def inverse_tone_map(
    clip: vs.VideoNode,
    method: str = "bt2446a",
    *,
    matrix: Tag = None,
    transfer: Tag = None,
    primaries: Tag = None,
    range: Tag = None,
    chroma_location: Tag = None,
    force: bool = False,
) -> vs.VideoNode:
    """SDR to HDR by a published formula.

    Args:
        clip: SDR, any constant format.
        method: `bt2446a` or `bt2446c` (BT.2446-1, methods A and C), `bt2408` (BT.2408-7, display light, white at 203 cd/m2).
        matrix: see `feature_map`, as for the four that follow.
        transfer: outweighs `_Transfer`.
        primaries: outweighs `_Primaries`.
        range: outweighs `_Range`.
        chroma_location: outweighs `_ChromaLocation`.
        force: convert a clip that is tagged PQ or HLG as if it were SDR.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: the clip is interlaced or already HDR; the method or a tag is unknown.
    """
    clip = retag("inverse_tone_map", clip, matrix, transfer, primaries, range, chroma_location)
    return graph.apply(stages.inverse_tone_map(method), {"sdr": clip}, force=force)
