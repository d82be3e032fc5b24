"""Stages: what the program can do to a frame, as pure functions of named signals at named frame offsets.

`SIGNALS` are what travels between them (`docs/architecture.md`). A stage is run either by an engine (a network, by its model
card) or as an array function, which takes numpy arrays and torch tensors alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from .color import grading
from .color.arrays import Array, namespace
from .color.overexposure import THRESHOLD, overexposure_mask
from .color.planes import rgb_to_ycbcr
from .color.tone_curves import INVERSE_TONE_MAPS, bt2408
from .color.transfer import REFERENCE_WHITE, hlg_inverse_ootf, hlg_oetf, pq_eotf, pq_inverse_eotf
from .errors import InputError
from .letterbox import Letterbox
from .weights import ModelCard

SIGNALS = ("sdr", "hdr", "linear", "mask", "features", "flow", "packed")
"""All (N, C, H, W); `packed` is a tuple of three integer-valued planes, the end of a chain."""

MASTER_PEAK = 1000.0
"""cd/m2 that networks and baselines reach (their training masters' peak, BT.2446's HDR peak)."""

HLG_PEAK = 1000.0
"""cd/m2 of the display by which PQ and HLG are converted into each other. BT.2408-7, section 6."""


@dataclass(frozen=True)
class Packing:
    """Integer planes that a chain ends in: Y'CbCr, limited range, chroma co-sited at the top left.

    Attributes:
        sampling: key of `color.planes.SUBSAMPLED`.
        depth: bits a sample.
    """

    sampling: str = "420"
    depth: int = 10


PACKINGS: dict[str, Packing] = {
    f"yuv{sampling}p{depth}": Packing(sampling, depth) for sampling in ("420", "422", "444") for depth in (10, 12)
}
"""What `to_hdr10` and `to_hlg` give, by the name of the VapourSynth format in small letters."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """One thing that is done to a frame.

    Attributes:
        name: the public filter that it belongs to; messages start with it.
        reads: signal to the frame offsets at which it is read, relative to the frame that is asked for.
        writes: signal that it gives.
        card: the model that an engine runs; its network takes the signals of `reads` in that order, offsets in order.
        function: or the array function, called with one array a signal and offset, in the same order.
        letterbox: black bars that the network does not see.
        bars: array function of the same arrays that gives what stands in them.
        transfer: of a `packed` result: `pq` or `hlg`.
        packing: of a `packed` result: its planes.
        peak: of a `packed` PQ result: cd/m2 of the mastering display.
    """

    name: str
    reads: Mapping[str, tuple[int, ...]]
    writes: str
    card: ModelCard | None = None
    function: Callable[..., Array] | None = None
    letterbox: Letterbox | None = None
    bars: Callable[..., Array] = bt2408
    transfer: str | None = None
    packing: Packing = Packing()
    peak: float | None = None


def feature_map(card: ModelCard, letterbox: Letterbox | None = None) -> Stage:
    """HDCFM and its like: `sdr` to `hdr` by a network.

    Raises:
        InputError: the model reads or writes something else.
    """
    _check_card("feature_map", card, {"sdr"})
    return Stage(name="feature_map", reads={"sdr": (0,)}, writes="hdr", card=card, letterbox=letterbox or None)


def mask_overexposed(threshold: float = THRESHOLD) -> Stage:
    """M_H: `sdr` to the soft `mask` of what is over-exposed."""
    _check_number("overexposure_mask", "threshold", threshold, 0, 0.999)
    function = partial(overexposure_mask, threshold=threshold)
    return Stage(name="overexposure_mask", reads={"sdr": (0,)}, writes="mask", function=function)


def generate_overexposed(card: ModelCard, letterbox: Letterbox | None = None) -> Stage:
    """PDCG: `hdr` with new content where `sdr` is over-exposed; mask and blend are inside the network. Bars stay as they are.

    Raises:
        InputError: the model reads or writes something else.
    """
    _check_card("generate_overexposed", card, {"hdr", "sdr"})
    return Stage(
        name="generate_overexposed",
        reads=dict.fromkeys(card.reads, (0,)),
        writes="hdr",
        card=card,
        letterbox=letterbox or None,
        bars=lambda *arrays: arrays[card.reads.index("hdr")],
    )


def inverse_tone_map(method: str) -> Stage:
    """An analytic baseline: `sdr` to `hdr`.

    Raises:
        InputError: `method` is unknown.
    """
    if method not in INVERSE_TONE_MAPS:
        raise InputError(f"inverse_tone_map: unknown method {method!r}; choose one of {', '.join(INVERSE_TONE_MAPS)}")
    return Stage(name="inverse_tone_map", reads={"sdr": (0,)}, writes="hdr", function=INVERSE_TONE_MAPS[method])


def blend(strength: float) -> Stage:
    """`hdr` mixed with the BT.2408 mapping of `sdr`: 0 is the mapping, 1 is `hdr`."""
    _check_number("blend", "strength", strength, 0, 1)

    def function(hdr: Array, sdr: Array) -> Array:
        return grading.blend(hdr, bt2408(sdr), strength)

    return Stage(name="blend", reads={"hdr": (0,), "sdr": (0,)}, writes="hdr", function=function)


def grade(reference_white: float, highlight_gain: float, saturation: float) -> Stage:
    """`hdr` with its white moved to `reference_white` cd/m2, then its highlights and its saturation changed."""
    _check_number("grade", "reference_white", reference_white, 48, 1000, " cd/m2")
    _check_number("grade", "highlight_gain", highlight_gain, 0, 4)
    _check_number("grade", "saturation", saturation, 0, 4)

    def function(hdr: Array) -> Array:
        # What is left as it is costs nothing and changes no bit.
        if reference_white != REFERENCE_WHITE:
            hdr = grading.scale_light(hdr, reference_white / REFERENCE_WHITE)
        if highlight_gain != 1:
            hdr = grading.scale_highlights(hdr, highlight_gain, reference_white)
        return hdr if saturation == 1 else grading.scale_saturation(hdr, saturation)

    return Stage(name="grade", reads={"hdr": (0,)}, writes="hdr", function=function)


def graded_peak(reference_white: float, highlight_gain: float, peak: float = MASTER_PEAK) -> float:
    """cd/m2 that `grade` makes of `peak` cd/m2."""
    return grading.highlight_peak(peak * reference_white / REFERENCE_WHITE, highlight_gain, reference_white)


def limit(ceiling: float, areas: Sequence[grading.Area], source_peak: float, *, masked: bool) -> Stage:
    """`hdr` under `ceiling` cd/m2 inside `areas`, or where a `mask` says so."""
    _check_number("limit", "ceiling", ceiling, 10, 10000, " cd/m2")
    _check_number("limit", "source_peak", source_peak, 100, 10000, " cd/m2")
    reads: dict[str, tuple[int, ...]] = {"hdr": (0,)}
    if masked:
        reads["mask"] = (0,)
        function: Callable[..., Array] = partial(grading.limit_where, ceiling=ceiling, source_peak=source_peak)
    else:
        function = partial(grading.limit_areas, areas=tuple(areas), ceiling=ceiling, source_peak=source_peak)
    return Stage(name="limit", reads=reads, writes="hdr", function=function)


def to_hdr10(peak: float, source_peak: float = MASTER_PEAK, packing: str = "yuv420p10") -> Stage:
    """`hdr` to integer Y'CbCr, PQ, nothing brighter than `peak` cd/m2."""
    _check_number("to_hdr10", "peak", peak, 100, 10000, " cd/m2")
    _check_number("to_hdr10", "source_peak", source_peak, 100, 10000, " cd/m2")
    planes = _packing("to_hdr10", packing)
    top = float(pq_inverse_eotf(np.array(peak, dtype=np.float64)))

    def function(hdr: Array) -> tuple[Array, ...]:
        limited = grading.limit_peak(hdr, peak, source_peak)
        return rgb_to_ycbcr(limited, sampling=planes.sampling, depth=planes.depth, top=top)

    return Stage(
        name="to_hdr10", reads={"hdr": (0,)}, writes="packed", function=function, transfer="pq", packing=planes, peak=peak
    )


def to_hlg(source_peak: float = MASTER_PEAK, packing: str = "yuv420p10") -> Stage:
    """`hdr` to integer Y'CbCr, HLG of a 1000 cd/m2 display. BT.2408-7, section 6.1."""
    _check_number("to_hlg", "source_peak", source_peak, 100, 10000, " cd/m2")
    planes = _packing("to_hlg", packing)

    def function(hdr: Array) -> tuple[Array, ...]:
        light = pq_eotf(grading.limit_peak(hdr, HLG_PEAK, source_peak))
        signal = hlg_oetf(hlg_inverse_ootf(light, HLG_PEAK))
        return rgb_to_ycbcr(signal, sampling=planes.sampling, depth=planes.depth)

    return Stage(name="to_hlg", reads={"hdr": (0,)}, writes="packed", function=function, transfer="hlg", packing=planes)


def without_bars(network: Callable[..., Array], letterbox: Letterbox, bars: Callable[..., Array]) -> Callable[..., Array]:
    """A network to `hdr` that sees the active picture alone; the bars, and what stands in them, become what `bars` gives."""

    def call(*arrays: Array) -> Array:
        height, width = arrays[0].shape[-2:]
        rows, columns = letterbox.active(height, width)

        def part(function: Callable[..., Array], rows: slice, columns: slice) -> Array:
            return function(*(array[..., rows, columns] for array in arrays))

        middle = [part(network, rows, columns)]
        if letterbox.left:
            middle.insert(0, part(bars, rows, slice(letterbox.left)))
        if letterbox.right:
            middle.append(part(bars, rows, slice(width - letterbox.right, None)))
        picture = [_join(middle, -1)]
        if letterbox.top:
            picture.insert(0, part(bars, slice(letterbox.top), slice(None)))
        if letterbox.bottom:
            picture.append(part(bars, slice(height - letterbox.bottom, None), slice(None)))
        return _join(picture, -2)  # (N, 3, H, W)

    return call


def _join(parts: list[Array], axis: int) -> Array:
    return parts[0] if len(parts) == 1 else namespace(parts[0]).concat(parts, axis=axis)


def _check_card(name: str, card: ModelCard, reads: set[str]) -> None:
    if set(card.reads) != reads or card.writes != "hdr":
        found, wanted = (" and ".join(signals) for signals in (card.reads, sorted(reads)))
        raise InputError(f"{name}: model {card.name!r} reads {found} and writes {card.writes}; it takes one from {wanted} to hdr")


def _packing(name: str, packing: str) -> Packing:
    if packing not in PACKINGS:
        raise InputError(f"{name}: unknown format {packing!r}; choose one of {', '.join(PACKINGS)}")
    return PACKINGS[packing]


def _check_number(name: str, what: str, value: float, low: float, high: float, unit: str = "") -> None:
    if not (isinstance(value, int | float) and low <= value <= high):
        raise InputError(f"{name}: {what} is {value!r}; give {low} to {high}{unit}")
