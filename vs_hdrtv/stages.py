"""Stages: what the program can do to a frame, as pure functions of named signals at named frame offsets.

`SIGNALS` are what travels between them (`docs/architecture.md`). A stage is run either by an engine (a network, by its model
card) or as an array function, which takes numpy arrays and torch tensors alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from .color.arrays import Array, namespace
from .color.planes import rgb_to_ycbcr420
from .color.tone_curves import INVERSE_TONE_MAPS, bt2390_eetf
from .color.transfer import hlg_inverse_ootf, hlg_oetf, pq_eotf, pq_inverse_eotf
from .errors import InputError
from .weights import ModelCard

SIGNALS = ("sdr", "hdr", "linear", "mask", "features", "flow", "packed")
"""All (N, C, H, W); `packed` is a tuple of three integer-valued planes, the end of a chain."""

MASTER_PEAK = 1000.0
"""cd/m2 that networks and baselines reach (their training masters' peak, BT.2446's HDR peak)."""

HLG_PEAK = 1000.0
"""cd/m2 of the display by which PQ and HLG are converted into each other. BT.2408-7, section 6."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """One thing that is done to a frame.

    Attributes:
        name: the public filter that it belongs to; messages start with it.
        reads: signal to the frame offsets at which it is read, relative to the frame that is asked for.
        writes: signal that it gives.
        card: the model that an engine runs; its network takes the signals of `reads` in that order, offsets in order.
        function: or the array function, called with one array a signal and offset, in the same order.
        transfer: of a `packed` result: `pq` or `hlg`.
        peak: of a `packed` PQ result: cd/m2 of the mastering display.
    """

    name: str
    reads: Mapping[str, tuple[int, ...]]
    writes: str
    card: ModelCard | None = None
    function: Callable[..., Array] | None = None
    transfer: str | None = None
    peak: float | None = None


def feature_map(card: ModelCard) -> Stage:
    """HDCFM and its like: `sdr` to `hdr` by a network."""
    return Stage(name="feature_map", reads={"sdr": (0,)}, writes="hdr", card=card)


def inverse_tone_map(method: str) -> Stage:
    """An analytic baseline: `sdr` to `hdr`.

    Raises:
        InputError: `method` is unknown.
    """
    if method not in INVERSE_TONE_MAPS:
        raise InputError(f"inverse_tone_map: unknown method {method!r}; choose one of {', '.join(INVERSE_TONE_MAPS)}")
    return Stage(name="inverse_tone_map", reads={"sdr": (0,)}, writes="hdr", function=INVERSE_TONE_MAPS[method])


def to_hdr10(peak: float) -> Stage:
    """`hdr` to 10-bit Y'CbCr 4:2:0, PQ, nothing brighter than `peak` cd/m2."""
    _check_peak("to_hdr10", peak)
    function = partial(pack_pq, peak=peak)
    return Stage(name="to_hdr10", reads={"hdr": (0,)}, writes="packed", function=function, transfer="pq", peak=peak)


def to_hlg() -> Stage:
    """`hdr` to 10-bit Y'CbCr 4:2:0, HLG of a 1000 cd/m2 display."""
    return Stage(name="to_hlg", reads={"hdr": (0,)}, writes="packed", function=pack_hlg, transfer="hlg")


def pack_pq(hdr: Array, peak: float = MASTER_PEAK) -> tuple[Array, Array, Array]:
    """(N, 3, H, W) PQ signal to the three planes of `rgb_to_ycbcr420`."""
    return rgb_to_ycbcr420(limit_peak(hdr, peak))


def pack_hlg(hdr: Array) -> tuple[Array, Array, Array]:
    """(N, 3, H, W) PQ signal to the three planes of `rgb_to_ycbcr420`, HLG coded. BT.2408-7, section 6.1."""
    light = pq_eotf(limit_peak(hdr, HLG_PEAK))
    return rgb_to_ycbcr420(hlg_oetf(hlg_inverse_ootf(light, HLG_PEAK)))


def limit_peak(hdr: Array, peak: float) -> Array:
    """Bring PQ signal (N, 3, H, W) of a 1000 cd/m2 programme under `peak` cd/m2, hue kept.

    Below 1000 the BT.2390 shoulder on the largest channel, one gain for the three; then, at any peak, a clip: a network may
    overshoot, and the file's mastering display says that nothing does.
    """
    xp = namespace(hdr)
    top = pq_inverse_eotf(xp.ones_like(hdr[..., :1, :1, :1]) * peak)
    if peak < MASTER_PEAK:
        largest = xp.max(hdr, axis=-3, keepdims=True)
        light = pq_eotf(largest)
        gain = pq_eotf(bt2390_eetf(largest, peak, MASTER_PEAK)) / xp.where(light > 1e-4, light, 1e-4 + 0 * light)
        hdr = pq_inverse_eotf(pq_eotf(hdr) * gain)
    return xp.where(hdr < top, hdr, top)


def _check_peak(name: str, peak: float) -> None:
    if not 100 <= peak <= 10000:
        raise InputError(f"{name}: peak is {peak}; give the mastering display's peak in cd/m2, from 100 to 10000")
