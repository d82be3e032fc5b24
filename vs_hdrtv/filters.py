"""The VapourSynth filters: one public function a stage, argument checks, one line for every error.

Each takes a clip first and returns a complete, ordinary clip. Applied one after another they are fused into one filter
(`graph`). Errors are `vapoursynth.Error`: `"feature_map: clip is interlaced (_FieldBased=2); deinterlace it first, ..."`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass

import vapoursynth as vs

from . import engines, graph, stages, weights
from .errors import InputError

logger = logging.getLogger(__name__)

engines.preload()


def _filter[**P](function: Callable[P, vs.VideoNode]) -> Callable[P, vs.VideoNode]:
    """Bad input becomes `vs.Error`, whose one line is what vspipe and editors show."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> vs.VideoNode:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            raise vs.Error(str(error)) from None

    return wrapper


@_filter
def feature_map(
    clip: vs.VideoNode,
    model: str = "hdcfm",
    *,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    force: bool = False,
) -> vs.VideoNode:
    """SDR to HDR by a feature-mapping network (HDCFM).

    Args:
        clip: SDR, any constant format; brought to BT.709 RGB by its frame properties.
        model: a shipped model, or the path of a model card (`.toml`) or of the `.safetensors` beside it.
        engine: `auto` (CUDA where there is one, else `cpu`), or a key of `engines.ENGINES`.
        device: the engine's device, for example `cuda:1`; None for its first one.
        precision: `fp32`, or `fp16` on a GPU.
        threads: CPU threads of the engine; None for all. The bytes of a frame are promised for one number of threads.
        force: convert a clip that is tagged PQ or HLG as if it were SDR.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: the clip is interlaced or already HDR; the model, engine or device is not there.
    """
    card = weights.find(model)
    if card.preview:
        _say_preview(card.name)
    chosen = engines.create(engine, device=device, precision=precision, threads=threads)
    return graph.apply(stages.feature_map(card), {"sdr": clip}, engine=chosen, force=force)


@_filter
def inverse_tone_map(clip: vs.VideoNode, method: str = "bt2446a", *, force: bool = False) -> vs.VideoNode:
    """SDR to HDR by a published formula.

    Args:
        clip: SDR, any constant format.
        method: `bt2446a` or `bt2446c` (BT.2446-1, methods A and C), `bt2408` (BT.2408-7, display light, white at 203 cd/m2).
        force: convert a clip that is tagged PQ or HLG as if it were SDR.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: the clip is interlaced or already HDR; the method is unknown.
    """
    return graph.apply(stages.inverse_tone_map(method), {"sdr": clip}, force=force)


@_filter
def to_hdr10(clip: vs.VideoNode, peak: float = stages.MASTER_PEAK) -> vs.VideoNode:
    """Pack HDR to what an HDR10 encoder takes.

    Args:
        clip: PQ, BT.2020: the result of `feature_map` or `inverse_tone_map`.
        peak: mastering display's peak, 100 to 10000 cd/m2. No R, G or B is brighter (below 1000 by a BT.2390 shoulder), before
            chroma is subsampled: decoded 4:2:0 may overshoot at saturated edges.

    Returns:
        YUV420P10, limited range, top-left chroma, dithered by position; colour and mastering display properties set.

    Raises:
        vs.Error: the clip is not PQ; the peak is out of range.
    """
    return graph.apply(stages.to_hdr10(peak), {"hdr": clip})


@_filter
def to_hlg(clip: vs.VideoNode) -> vs.VideoNode:
    """Pack HDR to HLG (BT.2100) by way of a 1000 cd/m2 display, as BT.2408-7, section 6 has it.

    Args:
        clip: PQ, BT.2020: the result of `feature_map` or `inverse_tone_map`.

    Returns:
        YUV420P10, limited range, top-left chroma, dithered by position; colour properties set.

    Raises:
        vs.Error: the clip is not PQ.
    """
    return graph.apply(stages.to_hlg(), {"hdr": clip})


@dataclass(frozen=True)
class Preset:
    """What `sdr_to_hdr` chains: a network or a formula."""

    model: str | None = None
    method: str | None = None


PRESETS: dict[str, Preset] = {
    "fast": Preset(model="hdcfm"),
    "bt2446a": Preset(method="bt2446a"),
    "bt2446c": Preset(method="bt2446c"),
    "bt2408": Preset(method="bt2408"),
}
"""`fast` is HDCFM; the others are the analytic baselines."""


@_filter
def sdr_to_hdr(
    clip: vs.VideoNode,
    preset: str = "fast",
    *,
    model: str | None = None,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    peak: float = stages.MASTER_PEAK,
    hlg: bool = False,
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
        peak: see `to_hdr10`.
        hlg: pack to HLG instead of PQ.
        force: see `feature_map`.

    Returns:
        YUV420P10, BT.2020, PQ or HLG; see `to_hdr10` and `to_hlg`.

    Raises:
        vs.Error: as the filters that it chains.
    """
    if preset not in PRESETS:
        raise InputError(f"sdr_to_hdr: unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
    chosen = PRESETS[preset]
    network = model or chosen.model
    if network is not None:
        hdr = feature_map(clip, network, engine=engine, device=device, precision=precision, threads=threads, force=force)
    else:
        assert chosen.method is not None
        hdr = inverse_tone_map(clip, chosen.method, force=force)
    if hlg and peak != stages.MASTER_PEAK:
        raise InputError(f"sdr_to_hdr: peak is {peak} with hlg=True; HLG has no mastering display, leave peak out")
    return to_hlg(hdr) if hlg else to_hdr10(hdr, peak)


@functools.cache
def _say_preview(name: str) -> None:
    logger.warning("model %s is a preview: its training is not finished (see its card)", name)


__all__ = ["PRESETS", "feature_map", "inverse_tone_map", "sdr_to_hdr", "to_hdr10", "to_hlg"]
