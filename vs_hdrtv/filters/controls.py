"""A colourist's controls, on PQ."""

from __future__ import annotations

from collections.abc import Sequence

import vapoursynth as vs

from .. import graph, stages
from ..arguments import one_line_errors, read_areas
from ..color.transfer import REFERENCE_WHITE
from ..errors import InputError


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
