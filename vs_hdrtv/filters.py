"""The VapourSynth filters: one public function a stage, argument checks, one line for every error.

Each takes a clip first and returns a complete, ordinary clip. Applied one after another they are fused into one filter
(`graph`). Errors are `vapoursynth.Error`: `"feature_map: clip is interlaced (_FieldBased=2); deinterlace it first, ..."`.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Sequence

import vapoursynth as vs

from . import engines, graph, sources, stages, weights
from . import letterbox as letterboxes
from . import light as lights
from .arguments import Bars, Tag, one_line_errors, read_areas, read_letterbox, retag
from .color.overexposure import THRESHOLD
from .color.transfer import REFERENCE_WHITE
from .errors import InputError
from .letterbox import Letterbox

logger = logging.getLogger(__name__)

engines.preload()


@one_line_errors
def feature_map(
    clip: vs.VideoNode,
    model: str | os.PathLike[str] = "hdcfm",
    *,
    engine: str = "auto",
    device: str | None = None,
    precision: str = "fp32",
    threads: int | None = None,
    letterbox: Bars = None,
    matrix: Tag = None,
    transfer: Tag = None,
    primaries: Tag = None,
    range: Tag = None,
    chroma_location: Tag = None,
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
        vs.Error: the clip is interlaced or already HDR; the model, engine or device is not there; a tag or bars make no sense.
    """
    card = find_model(model)
    chosen = engines.create(engine, device=device, precision=precision, threads=threads)
    clip = retag("feature_map", clip, matrix, transfer, primaries, range, chroma_location)
    bars = read_letterbox("feature_map", clip, letterbox, force)
    return graph.apply(stages.feature_map(card, bars), {"sdr": clip}, engine=chosen, force=force)


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
        letterbox: black bars of `sdr` that the network's frame-wide statistics leave out; what stands in them stays as it is.
        force: see `feature_map`.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: the clips differ in size or length or are not what they should be; the model, engine or device is not there.
    """
    card = find_model(model)
    given = (engine, device, precision, threads) != (None, None, "fp32", None)
    chosen = engines.create(engine or "auto", device=device, precision=precision, threads=threads) if given else None
    bars = read_letterbox("generate_overexposed", sdr, letterbox, force)
    return graph.apply(stages.generate_overexposed(card, bars), {"hdr": clip, "sdr": sdr}, engine=chosen, force=force)


@one_line_errors
def blend(clip: vs.VideoNode, sdr: vs.VideoNode, strength: float = 1.0, *, force: bool = False) -> vs.VideoNode:
    """Less of a conversion: a mix with the plain BT.2408 mapping of the same frames.

    Args:
        clip: PQ, BT.2020: the result of `feature_map` or `inverse_tone_map`.
        sdr: the SDR clip that it was made of.
        strength: 0 (plain BT.2408) to 1 (`clip` as it is), even steps of the PQ signal between.
        force: see `feature_map`.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: the strength is out of range, the clips differ in size or length, or are not what they should be.
    """
    return graph.apply(stages.blend(strength), {"hdr": clip, "sdr": sdr}, force=force)


@one_line_errors
def grade(
    clip: vs.VideoNode, reference_white: float = REFERENCE_WHITE, highlight_gain: float = 1.0, saturation: float = 1.0
) -> vs.VideoNode:
    """What a colourist reaches for first. White moves, then highlights, then saturation.

    Args:
        clip: PQ, BT.2020: the result of `feature_map` or `inverse_tone_map`.
        reference_white: cd/m2 at which diffuse white (203 in `clip`) stands afterwards, 48 to 1000; all light moves with it.
        highlight_gain: of light above `reference_white`, growing smoothly from 1 there; 0 to 4, 1 changes nothing.
        saturation: of Ct and Cp (BT.2100-2, ICtCp), 0 (grey) to 4, 1 changes nothing.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: a value is out of range, or the clip is not PQ.
    """
    return graph.apply(stages.grade(reference_white, highlight_gain, saturation), {"hdr": clip})


@one_line_errors
def limit(
    clip: vs.VideoNode,
    ceiling: float = REFERENCE_WHITE,
    areas: Sequence[Sequence[int]] | None = None,
    *,
    mask: vs.VideoNode | None = None,
    source_peak: float = stages.MASTER_PEAK,
) -> vs.VideoNode:
    """A ceiling for burnt-in subtitles, logos and titles, which are meant to stand at white and not at 1000 cd/m2.

    Args:
        clip: PQ, BT.2020: the result of `feature_map` or `inverse_tone_map`.
        ceiling: cd/m2 that nothing there exceeds, 10 to 10000; a BT.2390 shoulder leads to it.
        areas: (left, top, width, height) in pixels of each rectangle, which fades out over 16 pixels; None for the whole picture.
        mask: grey clip instead of areas: its white is limited, its black is not.
        source_peak: cd/m2 that `clip` reaches.

    Returns:
        RGBS, BT.2020 primaries, PQ.

    Raises:
        vs.Error: a value is out of range, both areas and a mask are given, or the mask differs in size or length.
    """
    if areas is not None and mask is not None:
        raise InputError("limit: both areas and a mask are given; give one of them")
    rectangles = read_areas("limit", clip, areas)
    clips = {"hdr": clip} if mask is None else {"hdr": clip, "mask": mask}
    return graph.apply(stages.limit(ceiling, rectangles, source_peak, masked=mask is not None), clips)


@one_line_errors
def light_level(clip: vs.VideoNode, letterbox: Bars = None) -> vs.VideoNode:
    """The light of each frame as properties: `_HdrtvMaxRGB` and `_HdrtvAverageMaxRGB`, in cd/m2 (CTA-861.3, annex P).

    MaxCLL and MaxFALL are their maxima over a whole programme (`vs-hdrtv x265-args` and `convert` take them).

    Args:
        clip: PQ, of any format; measured on its own samples, so measure what is encoded.
        letterbox: black bars, which do not count in the average; not `auto`.

    Raises:
        vs.Error: the bars make no sense, or a frame is not PQ (when it is asked for).
    """
    bars = read_letterbox("light_level", clip, letterbox, False)
    return lights.light_level(clip, bars)


@one_line_errors
def detect_letterbox(clip: vs.VideoNode, samples: int = letterboxes.SAMPLES, *, force: bool = False) -> Letterbox:
    """Black bars of an SDR clip, found in some frames spread evenly over it; reads those frames at once.

    Args:
        clip: SDR, any constant format.
        samples: how many frames to look at.
        force: see `feature_map`.

    Raises:
        vs.Error: as `feature_map`; `samples` is below 1.
    """
    if samples < 1:
        raise InputError(f"detect_letterbox: samples is {samples}; look at 1 frame or more")
    bars = letterboxes.detect(sources.open_source("detect_letterbox", clip, "sdr", force=force).planes, samples)
    logger.info("detect_letterbox: %s", bars)
    return bars


@one_line_errors
def to_hdr10(
    clip: vs.VideoNode,
    peak: float = stages.MASTER_PEAK,
    *,
    source_peak: float = stages.MASTER_PEAK,
    format: str = "yuv420p10",
) -> vs.VideoNode:
    """Pack HDR to what an HDR10 encoder takes.

    Args:
        clip: PQ, BT.2020: the result of `feature_map` or `inverse_tone_map`.
        peak: mastering display's peak, 100 to 10000 cd/m2. No R, G or B is brighter (below `source_peak` by a BT.2390 shoulder),
            before chroma is subsampled: decoded 4:2:0 may overshoot at saturated edges, which MaxCLL counts.
        source_peak: cd/m2 that `clip` reaches; `grade` may have moved it.
        format: a key of `stages.PACKINGS`: yuv420p10, yuv422p10, yuv444p10 or the same with 12 bits.

    Returns:
        Limited range Y'CbCr, chroma co-sited at the top left, dithered by position; colour and mastering display properties set.

    Raises:
        vs.Error: the clip is not PQ; a peak is out of range; the format is unknown.
    """
    return graph.apply(stages.to_hdr10(peak, source_peak, format), {"hdr": clip})


@one_line_errors
def to_hlg(clip: vs.VideoNode, *, source_peak: float = stages.MASTER_PEAK, format: str = "yuv420p10") -> vs.VideoNode:
    """Pack HDR to HLG (BT.2100) by way of a 1000 cd/m2 display, as BT.2408-7, section 6 has it.

    Args:
        clip: PQ, BT.2020: the result of `feature_map` or `inverse_tone_map`.
        source_peak: see `to_hdr10`.
        format: see `to_hdr10`.

    Returns:
        Limited range Y'CbCr, chroma co-sited at the top left, dithered by position; colour properties set.

    Raises:
        vs.Error: the clip is not PQ; the format is unknown.
    """
    return graph.apply(stages.to_hlg(source_peak, format), {"hdr": clip})


def find_model(model: str | os.PathLike[str]) -> weights.ModelCard:
    """The card of a model; one whose training is not finished says so once."""
    card = weights.find(model)
    if card.preview:
        _say_preview(card.name)
    return card


@functools.cache
def _say_preview(name: str) -> None:
    logger.warning("model %s is a preview: its training is not finished (see its card)", name)


__all__ = [
    "blend",
    "detect_letterbox",
    "feature_map",
    "generate_overexposed",
    "grade",
    "inverse_tone_map",
    "light_level",
    "limit",
    "overexposure_mask",
    "to_hdr10",
    "to_hlg",
]
