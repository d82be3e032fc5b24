"""The parts that a network is run in: what each reads, at which frames, and what it gives. Needs no torch.

A network of one part has the part `network`. DSLNet has three, which are filters of their own; each is an attribute of its
module. Every part is one graph (`PART`), and one that makes statistics of the whole frame has two more, for `steady=`:
`PART.statistics` gives them, `PART.steady` takes them in place of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError

WHOLE = "network"
"""The only part of most networks."""

STATISTICS, STEADY = "statistics", "steady"
"""The two other graphs of a part, and the signal between them: (1, S, 1, 1)."""

MAX_RADIUS = 16
"""Frames on each side that a network may look at."""

CHANNELS = {"sdr": 3, "hdr": 3, "features": 64, "reference": 3, "flow": 2}
"""Of each signal that parts read or write."""


@dataclass(frozen=True)
class Part:
    """A part of a network.

    Attributes:
        reads: signal to frame offsets, in the order of the arguments.
        writes: the signal that it gives.
        statistics: the signals among `reads` that its statistics of the whole frame are made of; empty where it makes none.
    """

    reads: Mapping[str, tuple[int, ...]]
    writes: str
    statistics: tuple[str, ...] = ()

    def graph(self, name: str) -> Mapping[str, tuple[int, ...]]:
        """What the part itself (any name but the two), `STATISTICS` or `STEADY` reads, in the order of the arguments."""
        if name == STATISTICS:
            return {signal: self.reads[signal] for signal in self.statistics}
        return {**self.reads, STATISTICS: (0,)} if name == STEADY else self.reads


def of(network: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Part]:
    """The parts of a network, in the order in which they are run.

    Args:
        network: key of `registry.NETWORKS`.
        arguments: that it is made with; DSLNet's `radius`.

    Raises:
        InputError: `network` is unknown, or `radius` is no number of frames.
    """
    radius = (arguments or {}).get("radius", 1)
    if type(radius) is not int or not 0 <= radius <= MAX_RADIUS:
        raise InputError(f"networks: radius of {network} is {radius!r}; it must be a whole number, 0 to {MAX_RADIUS}")
    if network not in _READS:
        raise InputError(f"networks: unknown network {network!r}; choose one of {', '.join(_READS)}")
    window = {"sdr": tuple(range(-radius, radius + 1))}
    if network == "dslnet":
        return {
            "align": Part(window, "features", ("sdr",)),
            "modulate": Part({"features": (0,), **window}, "features", ("sdr",)),
            "enhance": Part({"features": (0,)}, "hdr"),
        }
    reads = _READS[network]
    if network == "flow":
        return {WHOLE: Part(reads, "flow")}
    return {WHOLE: Part(reads, "hdr", tuple(reads))}


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
