"""Light of each frame of a PQ clip, as CTA-861.3 counts it: what MaxCLL and MaxFALL are the maxima of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .color.arrays import Array, namespace, on_host
from .color.planes import unpack
from .color.transfer import pq_eotf
from .errors import InputError
from .hdr10 import ContentLight

if TYPE_CHECKING:
    import vapoursynth as vs

    from .letterbox import Letterbox
    from .stages import Packing

MAX_RGB, AVERAGE_MAX_RGB = "_HdrtvMaxRGB", "_HdrtvAverageMaxRGB"
"""Frame properties, cd/m2: the brightest max(R, G, B) of a frame's pixels, and their average."""

_STATS = "_HdrtvStats"


def light_level(clip: vs.VideoNode, letterbox: Letterbox | None = None) -> vs.VideoNode:
    """The same frames with `_HdrtvMaxRGB` and `_HdrtvAverageMaxRGB`, in cd/m2.

    CTA-861.3, annex P: the maximum over the whole frame, the average over the active picture, of the pixels as they are (10-bit
    codes where the clip is packed). Chroma is brought to full size linearly, which does not overshoot by itself; what 4:2:0
    itself adds is counted.

    Args:
        clip: PQ, of any format.
        letterbox: black bars, which do not count in the average. A subtitle in them still counts in the maximum: no pixel is
            brighter than a MaxCLL says.

    Raises:
        InputError: the clip's format or size varies, or a frame is not PQ (when it is asked for).
    """
    import vapoursynth as vs

    from .sources import is_constant

    if not is_constant(clip):
        raise InputError("light_level: clip has variable format or size; measure the result of to_hdr10")
    rgb = clip.resize.Bilinear(format=vs.RGBS, transfer=vs.TRANSFER_LINEAR, nominal_luminance=1)
    largest = vs.core.std.Expr(rgb.std.SplitPlanes(), "x y max z max")
    # PlaneStats sums in double precision, in the order of the samples: no number of threads changes its bytes.
    whole = largest.std.PlaneStats(prop=_STATS)
    active = whole if letterbox is None else letterbox.crop(largest).std.PlaneStats(prop=_STATS)

    def write(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
        frame, most, average = f
        if frame.props.get("_Transfer") != vs.TRANSFER_ST2084:
            found = frame.props.get("_Transfer")
            raise vs.Error(f"light_level: clip is not PQ at frame {n} (_Transfer={found}); measure the result of to_hdr10")
        out = frame.copy()
        out.props[MAX_RGB] = most.props[f"{_STATS}Max"]
        out.props[AVERAGE_MAX_RGB] = average.props[f"{_STATS}Average"]
        return out

    return clip.std.ModifyFrame([clip, whole, active], write)


def packed_level(planes: tuple[Array, Array, Array], packing: Packing) -> tuple[float, float]:
    """The same two numbers of one frame, of the integer planes of a PQ result of `stages.to_hdr10`, in cd/m2."""
    rgb = unpack(planes, sampling=packing.sampling, depth=packing.depth)
    largest = on_host(pq_eotf(namespace(rgb).max(rgb, axis=1)))  # (1, H, W)
    return float(largest.max()), float(largest.mean(dtype=np.float64))


def programme_level(frames: Iterable[Mapping[str, Any]]) -> ContentLight:
    """MaxCLL and MaxFALL of a programme from the properties of all its frames.

    Raises:
        InputError: a frame was not measured, or there is none.
    """
    try:
        pairs = [(float(properties[MAX_RGB]), float(properties[AVERAGE_MAX_RGB])) for properties in frames]
    except KeyError:
        raise InputError("programme_level: a frame without measured light; pass the clip through light_level first") from None
    if not pairs:
        raise InputError("programme_level: no frames; measure at least one")
    return ContentLight.measured(*(max(pair[index] for pair in pairs) for index in (0, 1)))
