"""The source of a conversion as whole pictures: which frames, deinterlaced or not, and what is refused."""

from __future__ import annotations

import argparse
import logging
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .. import media
from ..errors import InputError
from ..hdr10 import SIGNALLING
from ..scan import Scan, recognise

if TYPE_CHECKING:
    import vapoursynth as vs

logger = logging.getLogger(__name__)

NAME = "convert"

_SDR_TRANSFERS = {1, 4, 5, 6, 7, 13, 14, 15}
"""Transfer characteristics of SDR. H.273, table 3."""

_DOLBY_SDR = 2
"""`dv_bl_signal_compatibility_id` of a base layer in SDR."""


def cut(arguments: argparse.Namespace, frames: int) -> tuple[int, int]:
    """First frame and the one to stop before, inside the file."""
    start: int = arguments.start
    end: int = frames if arguments.end is None else arguments.end
    if not 0 <= start < frames:
        raise InputError(f"{NAME}: --start is {start}; {arguments.input} has frames 0 to {frames - 1}")
    if not start < end <= frames:
        raise InputError(f"{NAME}: --end is {end}; choose {start + 1} to {frames} (the frame to stop before)")
    return start, end


def pictures(source: media.Source, start: int, arguments: argparse.Namespace) -> tuple[vs.VideoNode, Fraction]:
    """The source as whole pictures, and how many of them one of its frames makes.

    Raises:
        InputError: it is interlaced and nobody said what to do, or HDR already.
    """
    from ..sources import is_constant

    clip, path = source.clip, arguments.input
    if not is_constant(clip):
        raise InputError(f"{NAME}: {path} changes its size or format midway; cut it into parts that are alike")
    _say_cut(source)
    properties = clip.get_frame(start).props
    for kind, signalling in SIGNALLING.items():
        transfer = properties.get("_Transfer") if arguments.transfer is None else None
        if transfer == signalling.transfer and not arguments.force:
            raise InputError(f"{NAME}: {path} is HDR already ({kind.upper()}); --force converts it as if it were SDR")
    _check_dynamic(source, properties.get("_Transfer"), arguments)
    if arguments.progressive:
        return clip.std.SetFieldBased(0), Fraction(1)
    # What the pictures themselves show: tags are often wrong in both directions.
    found = recognise(clip)
    if arguments.deinterlace and found.kind == "progressive" and not found.tagged and not found.mixed:
        logger.warning("%s looks progressive (%s); --deinterlace doubles its frames all the same", path, found.evidence)
    if arguments.deinterlace:
        return _deinterlace(clip), Fraction(2)
    if arguments.detelecine:
        return _detelecine(clip, found), Fraction(4, 5)
    if found.tagged:
        raise InputError(f"{NAME}: {path} is interlaced; {_REMEDIES[found.kind].format(found.evidence)}")
    if found.kind != "progressive":
        remedy = _REMEDIES[found.kind].format(found.evidence)
        logger.warning("%s looks %s though it is not tagged so; %s", path, found.kind, remedy)
    elif found.mixed:
        logger.warning("%s: %s (%s); --deinterlace", path, found.advice, found.evidence)
    return clip, Fraction(1)


def _say_cut(source: media.Source) -> None:
    """A clip of 4:2:0 has even sides: BestSource leaves out the last row or column of a picture that has not."""
    with media.open_media(source.path, NAME) as container:
        stream: Any = container.streams[source.track]
        coded = (stream.width, stream.height)
    clip = (source.clip.width, source.clip.height)
    if any(side % 2 and side - 1 in clip for side in coded):
        size, kept = f"{coded[0]}x{coded[1]}", f"{clip[0]}x{clip[1]}"
        logger.warning("%s is %s; %s of it is converted, since 4:2:0 has even sides", source.path, size, kept)


_REMEDIES = {
    "interlaced": "add --deinterlace ({})",
    "telecined": "film under 3:2 pulldown ({}): --detelecine gives it back, --deinterlace makes video of it",
    "progressive": "its frames look whole ({}): add --progressive to take them so, or --deinterlace",
}
"""What to do about a file that is tagged interlaced, or looks it, by what its pictures show."""


def _check_dynamic(source: media.Source, transfer: int | None, arguments: argparse.Namespace) -> None:
    """Dolby Vision, HDR10+ and their like: they speak of an HDR picture, and of one that is not what comes out.

    Raises:
        InputError: the picture that they belong to is not SDR.
    """
    with media.open_media(source.path, NAME) as container:
        stream: Any = container.streams[source.track]
        found = media.dynamic_metadata(stream, media.first_frame(container, stream, NAME))
        dolby = media.dolby_vision(stream)
    if not found:
        return
    names, sdr = " and ".join(found), transfer in _SDR_TRANSFERS
    if dolby is not None:
        sdr = dolby.compatibility == _DOLBY_SDR
    if not sdr and not arguments.force:
        raise InputError(f"{NAME}: {source.path} is HDR already ({names}); --force converts its base layer as if it were SDR")
    logger.warning("%s holds %s, left out: it does not fit the new picture", source.path, names)


def _deinterlace(clip: vs.VideoNode) -> vs.VideoNode:
    import vapoursynth as vs

    if not hasattr(vs.core, "bwdif"):
        raise InputError(f"{NAME}: VapourSynth has no bwdif; install it with pip install vapoursynth-bwdif")
    return vs.core.bwdif.Bwdif(clip, field=3)  # 3: a frame for each field, top first unless the frame says otherwise


def _detelecine(clip: vs.VideoNode, found: Scan) -> vs.VideoNode:
    import vapoursynth as vs

    if not hasattr(vs.core, "vivtc"):
        raise InputError(f"{NAME}: VapourSynth has no vivtc; install it with pip install vapoursynth-vivtc")
    # VFM looks at pairs of fields, VDecimate at five frames: what they give depends on the clip alone.
    matched = vs.core.vivtc.VFM(clip, order=int(found.field_order != "bottom"))
    return vs.core.vivtc.VDecimate(matched).std.SetFieldBased(0)
