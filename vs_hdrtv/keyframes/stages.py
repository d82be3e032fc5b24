"""What is done with recovered light, as stages that fuse with those around them."""

from __future__ import annotations

from ..color import highlights
from ..color.arrays import Array
from ..color.overexposure import overexposure_mask
from ..stages import MASTER_PEAK, Stage, check_number


def blend_recovered() -> Stage:
    """`sdr` and what was recovered of it (`linear`) to `linear`: equation 1 of VITM-TC."""

    def function(sdr: Array, recovered: Array) -> Array:
        return highlights.blend(sdr, recovered, overexposure_mask(sdr))

    reads = {"sdr": (0,), "linear": (0,)}
    return Stage(name="propagate_keyframes", reads=reads, writes="linear", function=function)


def merge_highlights(peak: float = MASTER_PEAK) -> Stage:
    """`hdr` with the highlights of `linear`, the blended light of the same frame of `sdr`.

    Raises:
        InputError: `peak` is out of range.
    """
    check_number("merge_highlights", "peak", peak, 100, 10000, " cd/m2")

    def function(hdr: Array, sdr: Array, recovered: Array) -> Array:
        return highlights.merge_highlights(hdr, sdr, recovered, overexposure_mask(sdr), peak)

    reads = {"hdr": (0,), "sdr": (0,), "linear": (0,)}
    return Stage(name="merge_highlights", reads=reads, writes="hdr", function=function)
