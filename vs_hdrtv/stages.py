"""Stages: what the program can do to a frame, as pure functions of named signals at named frame offsets.

`SIGNALS` are what travels between them (`docs/architecture.md`). A stage is run either by an engine (a network, by its model
card) or as an array function, which takes numpy arrays and torch tensors alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .color import grading
from .color.arrays import Array, namespace
from .color.overexposure import THRESHOLD, overexposure_mask
from .color.planes import SUBSAMPLED, rgb_to_ycbcr
from .color.tone_curves import INVERSE_TONE_MAPS, bt2408
from .color.transfer import REFERENCE_WHITE, hlg_inverse_ootf, hlg_oetf, pq_eotf, pq_inverse_eotf
from .errors import InputError
from .hdr10 import SIGNALLING, MasteringDisplay
from .letterbox import Letterbox
from .modelcard import ModelCard
from .networks import parts

SIGNALS = ("sdr", "hdr", "linear", "mask", "features", "flow", "packed")
"""All (N, C, H, W); `packed` is a tuple of three integer-valued planes, the end of a chain."""

MAX_STEADY = 32
"""Frames on each side whose statistics may be taken: a window of more than two seconds follows nothing that happens in it."""

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
        card: the model that an engine runs; the graph takes the signals of `reads` in that order, offsets in order.
        graph: which of the model's graphs (`networks.parts`).
        function: or the array function, called with one array a signal and offset, in the same order.
        inner: what it reads that is not given but made, of what is given, by a stage of its own.
        letterbox: black bars that it was made for, which have to leave something of the picture.
        transfer: of a `packed` result: `pq` or `hlg`.
        packing: of a `packed` result: its planes.
        peak: of a `packed` PQ result: cd/m2 of the mastering display.
    """

    name: str
    reads: Mapping[str, tuple[int, ...]]
    writes: str
    card: ModelCard | None = None
    graph: str = parts.WHOLE
    function: Callable[..., Array] | None = None
    inner: Mapping[str, Stage] = field(default_factory=dict)
    letterbox: Letterbox | None = None
    transfer: str | None = None
    packing: Packing = Packing()
    peak: float | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """The signals that it and its inner stages have to be given."""
        own = (signal for signal in self.reads if signal not in self.inner)
        return tuple(dict.fromkeys([*own, *(signal for stage in self.inner.values() for signal in stage.given)]))

    @property
    def reads_neighbours(self) -> bool:
        """Whether it reads other frames than the one that is asked for, whatever its inner stages do."""
        return any(offset for offsets in self.reads.values() for offset in offsets)

    @property
    def is_temporal(self) -> bool:
        """Whether it or an inner stage reads other frames than the one that is asked for."""
        return self.reads_neighbours or any(stage.is_temporal for stage in self.inner.values())

    def packed_properties(self) -> dict[str, Any]:
        """Frame properties of a `packed` result: colour, and of PQ the mastering display."""
        packed: dict[str, Any] = dict(SIGNALLING[self.transfer or "pq"].frame_properties())
        if not SUBSAMPLED[self.packing.sampling]:
            del packed["_ChromaLocation"]  # 4:4:4 has a chroma sample at each luma sample
        if self.peak is not None:
            packed |= MasteringDisplay(max_luminance=self.peak).frame_properties()
        return packed


def feature_map(card: ModelCard, letterbox: Letterbox | None = None, steady: int = 0, name: str = "feature_map") -> Stage:
    """HDCFM and its like: `sdr` to `hdr` by a network, part by part.

    Args:
        card: the model.
        letterbox: black bars that the network does not see; what stands in them becomes BT.2408.
        steady: frames on each side of which the network's statistics of the whole frame are the mean; 0 for its own alone.
        name: the public filter.

    Raises:
        InputError: the model reads or writes something else, or has no such statistics.
    """
    _check_card(name, card, {"sdr"})
    return _mapped(name, card, letterbox, steady, bt2408)


def generate_overexposed(card: ModelCard, letterbox: Letterbox | None = None, steady: int = 0) -> Stage:
    """PDCG: `hdr` with new content where `sdr` is over-exposed; mask and blend are inside the network. Bars stay as they are.

    Args:
        card: the model.
        letterbox: see `feature_map`.
        steady: see `feature_map`.

    Raises:
        InputError: as `feature_map`.
    """
    _check_card("generate_overexposed", card, {"hdr", "sdr"})
    hdr = card.reads.index("hdr")
    return _mapped("generate_overexposed", card, letterbox, steady, lambda *arrays: arrays[hdr])


def network_part(name: str, card: ModelCard, steady: int = 0) -> Stage:
    """One part of a network as a stage of its own: DSLNet's `align`, `modulate` and `enhance`.

    Args:
        name: of the part, which is that of the public filter.
        card: the model.
        steady: see `feature_map`.

    Raises:
        InputError: the network has no such part, or the part makes no statistics.
    """
    if name not in card.parts:
        raise InputError(
            f"{name}: model {card.name!r} has no stage {name}; use feature_map(clip, {card.name!r}), or a DSLNet, model='dslnet'"
        )
    return _part(name, card, name, steady, {})


def _mapped(name: str, card: ModelCard, letterbox: Letterbox | None, steady: int, bars: Callable[..., Array]) -> Stage:
    """A whole network, the picture between the bars alone; the bars, and what stands in them, become what `bars` gives."""
    if not letterbox:
        return _chain(name, card, steady, {})
    given = dict.fromkeys(card.reads, (0,))
    crop = partial(_active, letterbox=letterbox)
    active = {signal: Stage(name=name, reads={signal: (0,)}, writes=signal, function=crop) for signal in card.reads}
    return Stage(
        name=name,
        reads={"active": (0,), **given},
        writes="hdr",
        function=partial(_between_bars, letterbox=letterbox, bars=bars),
        inner={"active": _chain(name, card, steady, active)},
        letterbox=letterbox,
    )


def _chain(name: str, card: ModelCard, steady: int, inner: Mapping[str, Stage]) -> Stage:
    """All parts of a network one after another."""
    last: Stage | None = None
    can = any(part.statistics for part in card.parts.values())
    for part, what in card.parts.items():
        own = {signal: inner[signal] for signal in what.reads if signal in inner}
        if last is not None:
            own[last.writes] = last
        last = _part(name, card, part, steady if what.statistics or not can else 0, own)
    assert last is not None, f"{card.network} has no parts"
    return last


def _part(name: str, card: ModelCard, part: str, steady: int, inner: Mapping[str, Stage]) -> Stage:
    """A part of a network; with `steady`, its statistics are the mean of those of the frames around."""
    what = card.parts[part]
    check_steady(name, steady)
    if not steady:
        return Stage(name=name, reads=what.reads, writes=what.writes, card=card, graph=part, inner=inner)
    if not what.statistics:
        raise InputError(f"{name}: steady is {steady}, but this part of {card.name} has no statistics of the frame; leave it out")
    graphs = {kind: f"{part}.{kind}" for kind in (parts.STATISTICS, parts.STEADY)}
    for graph in graphs.values():
        card.graph(graph)  # an older export has none
    reads = what.graph(parts.STATISTICS)
    own = Stage(
        name=name,
        reads=reads,
        writes=parts.STATISTICS,
        card=card,
        graph=graphs[parts.STATISTICS],
        inner={signal: stage for signal, stage in inner.items() if signal in reads},
    )
    mean = Stage(
        name=name,
        reads={parts.STATISTICS: tuple(range(-steady, steady + 1))},
        writes=parts.STATISTICS,
        function=_mean,
        inner={parts.STATISTICS: own},
    )
    return Stage(
        name=name,
        reads=what.graph(parts.STEADY),
        writes=what.writes,
        card=card,
        graph=graphs[parts.STEADY],
        inner={**inner, parts.STATISTICS: mean},
    )


def check_steady(name: str, steady: int) -> None:
    """Refuse a window of statistics that is too long.

    Raises:
        InputError: it is, or is negative.
    """
    check_number(name, "steady", steady, 0, MAX_STEADY)


def _mean(*arrays: Array) -> Array:
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total / len(arrays)


def mask_overexposed(threshold: float = THRESHOLD) -> Stage:
    """M_H: `sdr` to the soft `mask` of what is over-exposed."""
    check_number("overexposure_mask", "threshold", threshold, 0, 0.999)
    function = partial(overexposure_mask, threshold=threshold)
    return Stage(name="overexposure_mask", reads={"sdr": (0,)}, writes="mask", function=function)


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
    check_number("blend", "strength", strength, 0, 1)

    def function(hdr: Array, sdr: Array) -> Array:
        return grading.blend(hdr, bt2408(sdr), strength)

    return Stage(name="blend", reads={"hdr": (0,), "sdr": (0,)}, writes="hdr", function=function)


def grade(reference_white: float, highlight_gain: float, saturation: float) -> Stage:
    """`hdr` with its white moved to `reference_white` cd/m2, then its highlights and its saturation changed."""
    check_number("grade", "reference_white", reference_white, 48, 1000, " cd/m2")
    check_number("grade", "highlight_gain", highlight_gain, 0, 4)
    check_number("grade", "saturation", saturation, 0, 4)

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
    check_number("limit", "ceiling", ceiling, 10, 10000, " cd/m2")
    check_number("limit", "source_peak", source_peak, 100, 10000, " cd/m2")
    reads: dict[str, tuple[int, ...]] = {"hdr": (0,)}
    if masked:
        reads["mask"] = (0,)
        function: Callable[..., Array] = partial(grading.limit_where, ceiling=ceiling, source_peak=source_peak)
    else:
        function = partial(grading.limit_areas, areas=tuple(areas), ceiling=ceiling, source_peak=source_peak)
    return Stage(name="limit", reads=reads, writes="hdr", function=function)


def to_hdr10(peak: float, source_peak: float = MASTER_PEAK, packing: str = "yuv420p10") -> Stage:
    """`hdr` to integer Y'CbCr, PQ, nothing brighter than `peak` cd/m2."""
    check_number("to_hdr10", "peak", peak, 100, 10000, " cd/m2")
    check_number("to_hdr10", "source_peak", source_peak, 100, 10000, " cd/m2")
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
    check_number("to_hlg", "source_peak", source_peak, 100, 10000, " cd/m2")
    planes = _packing("to_hlg", packing)

    def function(hdr: Array) -> tuple[Array, ...]:
        light = pq_eotf(grading.limit_peak(hdr, HLG_PEAK, source_peak))
        signal = hlg_oetf(hlg_inverse_ootf(light, HLG_PEAK))
        return rgb_to_ycbcr(signal, sampling=planes.sampling, depth=planes.depth)

    return Stage(name="to_hlg", reads={"hdr": (0,)}, writes="packed", function=function, transfer="hlg", packing=planes)


def _active(picture: Array, letterbox: Letterbox) -> Array:
    """The picture between the bars."""
    rows, columns = letterbox.active(*picture.shape[-2:])
    return picture[..., rows, columns]  # (N, C, h, w)


def _between_bars(active: Array, *arrays: Array, letterbox: Letterbox, bars: Callable[..., Array]) -> Array:
    """`active` where it was cut out, around it what `bars` gives of `arrays`: (N, C, h, w), each (N, C, H, W) -> (N, C, H, W)."""
    height, width = arrays[0].shape[-2:]
    rows, _ = letterbox.active(height, width)

    def bar(rows: slice, columns: slice) -> Array:
        return bars(*(array[..., rows, columns] for array in arrays))

    middle = [active]
    if letterbox.left:
        middle.insert(0, bar(rows, slice(letterbox.left)))
    if letterbox.right:
        middle.append(bar(rows, slice(width - letterbox.right, None)))
    picture = [_join(middle, -1)]
    if letterbox.top:
        picture.insert(0, bar(slice(letterbox.top), slice(None)))
    if letterbox.bottom:
        picture.append(bar(slice(height - letterbox.bottom, None), slice(None)))
    return _join(picture, -2)  # (N, C, H, W)


def _join(parts: list[Array], axis: int) -> Array:
    return parts[0] if len(parts) == 1 else namespace(parts[0]).concat(parts, axis=axis)


def _check_card(name: str, card: ModelCard, reads: set[str]) -> None:
    if set(card.reads) != reads or card.writes != "hdr":
        found, wanted = (" and ".join(signals) for signals in (card.reads, sorted(reads)))
        other = "; use generate_overexposed" if "hdr" in card.reads else ""
        raise InputError(
            f"{name}: model {card.name!r} reads {found} and writes {card.writes}; it takes one from {wanted} to hdr{other}"
        )


def _packing(name: str, packing: str) -> Packing:
    if packing not in PACKINGS:
        raise InputError(f"{name}: unknown format {packing!r}; choose one of {', '.join(PACKINGS)}")
    return PACKINGS[packing]


def check_number(name: str, what: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Refuse a number out of range, in one line.

    Raises:
        InputError: it is.
    """
    if not (isinstance(value, int | float) and low <= value <= high):
        raise InputError(f"{name}: {what} is {value!r}; give {low} to {high}{unit}")
