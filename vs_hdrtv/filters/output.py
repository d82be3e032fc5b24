"""What an encoder takes, and what is measured on it."""

from __future__ import annotations

import logging

import vapoursynth as vs

from .. import graph, sources, stages
from .. import letterbox as letterboxes
from .. import light as lights
from ..arguments import Bars, one_line_errors, read_letterbox
from ..errors import InputError
from ..letterbox import Letterbox

logger = logging.getLogger(__name__)


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
