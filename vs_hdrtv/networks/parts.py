"""The parts that a network is run in: what each reads, at which frames, and what it gives. Needs no torch.

A network of one part has the part `network`. DSLNet has three, which are filters of their own; each is an attribute of its
module. Every part is one graph (`PART`), and one that makes statistics of the whole frame has two more, for `steady=`:
`PART.statistics` gives them, `PART.steady` takes them in place of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError

WHOLE = "network"
"""The only part of most networks."""

STATISTICS, STEADY = "statistics", "steady"
"""The two other graphs of a part, and the signal between them: (1, S, 1, 1)."""

MAX_RADIUS = 16
"""Frames on each side that a network may look at."""

CHANNELS = {"sdr": 3, "hdr": 3, "features": 64, "reference": 3, "flow": 2, "linear": 3, "mask": 1}
"""Of each signal that parts read or write, where a part does not say otherwise."""

MULTIPLE, LEAST = 16, 64
"""Sides of frames that ICAM and FCPM take are multiples of the one and no less than the other."""

SHRUNK = {"deep": 16, "deep_reference": 16, "state": 2, "forward_state": 2, "backward_state": 2}
"""Signals of fewer pixels than the frame: how many of a side are one of theirs."""

ICAM_CHANNELS, ICAM_LEVELS, FCPM_CHANNELS = 24, (32, 48, 64, 96), 24
"""What these networks are made with: channels of ICAM's features at full size and at 1/2 ... 1/16, channels of FCPM's states."""


@dataclass(frozen=True)
class Tiling:
    """How a part can be run in pieces of a frame (`vs_hdrtv/tiling.py`).

    Attributes:
        halo: pixels around what is kept of a piece that it depends on, its statistics apart.
        step: pieces begin at multiples of this: what is shrunk is shrunk alike.
        placed: it must be told where in the frame a piece lies, and its statistics take as much memory as the part itself, so
            that they are measured in pieces too. Graphs in files cannot do that.
    """

    halo: int
    step: int
    placed: bool = False


@dataclass(frozen=True)
class Part:
    """A part of a network.

    Attributes:
        reads: signal to frame offsets, in the order of the arguments.
        writes: the signal that it gives.
        statistics: the signals among `reads` that its statistics of the whole frame are made of; empty where it makes none.
        channels: of signals that `CHANNELS` does not have, or has otherwise.
        multiple: that the frame's sides are of. Above 1, whoever runs the part extends frames; at 1, engines extend small ones.
        tiling: None where a pixel may depend on all others by more than statistics: attention, warping.
    """

    reads: Mapping[str, tuple[int, ...]]
    writes: str
    statistics: tuple[str, ...] = ()
    channels: Mapping[str, int] = field(default_factory=dict)
    multiple: int = 1
    tiling: Tiling | None = None

    def graph(self, name: str) -> Mapping[str, tuple[int, ...]]:
        """What the part itself (any name but the two), `STATISTICS` or `STEADY` reads, in the order of the arguments."""
        if name == STATISTICS:
            return {signal: self.reads[signal] for signal in self.statistics}
        return {**self.reads, STATISTICS: (0,)} if name == STEADY else self.reads


def of(network: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Part]:
    """The parts of a network, in the order in which they are run.

    Args:
        network: key of `registry.NETWORKS`.
        arguments: that it is made with; of these DSLNet's `radius` matters, and the channels of ICAM and FCPM.

    Raises:
        InputError: `network` is unknown, or `radius` is no number of frames.
    """
    radius = (arguments or {}).get("radius", 1)
    if type(radius) is not int or not 0 <= radius <= MAX_RADIUS:
        raise InputError(f"networks: radius of {network} is {radius!r}; it must be a whole number, 0 to {MAX_RADIUS}")
    if network not in _READS and network not in _PARTS:
        raise InputError(f"networks: unknown network {network!r}; choose one of {', '.join([*_READS, *_PARTS])}")
    if network in _PARTS:
        return _PARTS[network](arguments or {})
    window = {"sdr": tuple(range(-radius, radius + 1))}
    if network == "dslnet":
        return {
            "align": Part(window, "features", ("sdr",), tiling=_ALIGNED),
            "modulate": Part({"features": (0,), **window}, "features", ("sdr",), tiling=_CONDITIONED),
            "enhance": Part({"features": (0,)}, "hdr", tiling=_ENHANCED),
        }
    reads = _READS[network]
    if network == "flow":
        return {WHOLE: Part(reads, "flow")}
    return {WHOLE: Part(reads, "hdr", tuple(reads), tiling=_TILINGS.get(network))}


_CONDITIONED = Tiling(halo=64, step=32, placed=True)
"""A cell of a map at 1/32 sees 31 pixels around its own first; stretched, it may stand for the cell before."""

_ALIGNED = Tiling(halo=64, step=2, placed=True)
"""What offsets are made of: a 3x3, and at half the size two 17x17 and one 7x7. They may point farther; pieces are then wider."""

_ENHANCED = Tiling(halo=42, step=1)
"""Two 3x3, and four times two 3x3 and one 17x17."""

_TILINGS = {"hdcfm": _CONDITIONED, "hdcfm_mfi": _CONDITIONED, "pdcg": Tiling(halo=271, step=8)}
"""Networks of one part. PDCG's sixteen blocks have two 3x3 each at an eighth of the size."""

_NOW, _THREE = {"sdr": (0,)}, {"sdr": (-1, 0, 1)}
_READS: dict[str, Mapping[str, tuple[int, ...]]] = {
    "hdcfm": _NOW,
    "pdcg": {"hdr": (0,), "sdr": (0,)},
    "dslnet": _THREE,
    "kpn_mfi": _THREE,
    "hdcfm_mfi": _THREE,
    "flow": {"sdr": (0,), "reference": (0,)},
}
"""Network -> what it reads as a whole."""


def _icam(arguments: Mapping[str, Any]) -> dict[str, Part]:
    """ICAM's parts, `orders.recover`; `warp` and `validity` are for `align_reference`."""
    channels = arguments.get("channels", ICAM_CHANNELS)
    deepest = arguments.get("levels", ICAM_LEVELS)[-1]
    own = dict.fromkeys(("features", "reference_features", "aligned"), channels) | dict.fromkeys(
        ("deep", "deep_reference"), deepest
    )
    compared = ("features", "reference_features", "flow")
    rows = {
        "encode": (("sdr",), "features"),
        "correct": (compared, "flow"),
        "collect": (compared, "aligned"),
        "fuse": (("features", "aligned"), "features"),
        "condense": (("aligned",), "deep_reference"),
        "descend": (("features",), "deep"),
        "aggregate": (("deep", "deep_reference"), "deep"),
        "validity": (compared, "mask"),
        "warp": (("sdr", "flow"), "sdr"),
        "reconstruct": (("features", "deep"), "linear"),
    }
    return _at_once(rows, own)


def _fcpm(arguments: Mapping[str, Any]) -> dict[str, Part]:
    """FCPM's parts, `orders.propagate`."""
    keyframes, flows = (tuple(f"{name}_{index}" for index in range(1, 6)) for name in ("keyframe", "flow"))
    own = dict.fromkeys(("state", "forward_state", "backward_state"), arguments.get("channels", FCPM_CHANNELS))
    own |= dict.fromkeys((*keyframes, "linear_next", "linear_previous"), 3) | dict.fromkeys(flows, 2)
    rows = {
        "merge": (("sdr", *keyframes, *flows), "linear"),
        "backward": (("linear", "linear_next", "state", "flow"), "state"),
        "forward": (("linear", "linear_previous", "state", "flow"), "state"),
        "residual": (("linear", "forward_state", "backward_state"), "linear"),
    }
    return _at_once(rows, own)


def _at_once(rows: Mapping[str, tuple[tuple[str, ...], str]], channels: Mapping[str, int]) -> dict[str, Part]:
    """Parts of a table: what each reads, all of the same call, and what it writes."""
    return {
        name: Part(dict.fromkeys(reads, (0,)), writes, channels=channels, multiple=MULTIPLE)
        for name, (reads, writes) in rows.items()
    }


_PARTS: dict[str, Callable[[Mapping[str, Any]], dict[str, Part]]] = {"icam": _icam, "fcpm": _fcpm}
"""Network that is never run as a whole -> its parts by its arguments."""


def graphs(parts: Mapping[str, Part]) -> dict[str, Mapping[str, tuple[int, ...]]]:
    """Every graph of `parts` by its name (`network`, `network.statistics`, `align` ...), with what it reads."""
    found: dict[str, Mapping[str, tuple[int, ...]]] = {}
    for name, part in parts.items():
        found[name] = part.reads
        if part.statistics:
            found |= {f"{name}.{kind}": part.graph(kind) for kind in (STATISTICS, STEADY)}
    return found


def input_names(reads: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Names of a graph's inputs: the signal, with the frame's offset where it reads several (`sdr_m1`, `sdr_0`, `sdr_p1`)."""
    return [
        signal if len(offsets) == 1 else f"{signal}_{'mp'[offset > 0]}{abs(offset)}" if offset else f"{signal}_0"
        for signal, offsets in reads.items()
        for offset in offsets
    ]
