"""Plans: chains of stages as a small graph over one or several sources, and the value of one frame of a plan.

A plan knows nothing of VapourSynth or ComfyUI: a front gives `fetch`, which hands over a source's frame on the engine's device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .color.arrays import Array
from .stages import Stage


@dataclass(frozen=True, eq=False)
class Source:
    """A place where frames come in; told apart by identity."""

    signal: str


@dataclass(frozen=True, eq=False)
class Step:
    """A stage and where each signal that it reads comes from."""

    stage: Stage
    inputs: Mapping[str, Source | Step]


Calls = Mapping[Stage, Callable[..., Array]]
"""What runs each stage: its array function, or its network as an engine loaded it."""

Fetch = Callable[[Source, int], Array]
"""`fetch(source, frame)` -> (1, C, H, W) on the engine's device."""


def windows(step: Step) -> dict[Source, tuple[int, int]]:
    """Lowest and highest frame offset at which each source of a plan is read, 0 always being inside."""
    found: dict[Source, tuple[int, int]] = {}
    waiting: list[tuple[Source | Step, int, int]] = [(step, 0, 0)]
    while waiting:
        node, low, high = waiting.pop()
        if isinstance(node, Source):
            known = found.get(node, (0, 0))
            found[node] = (min(known[0], low), max(known[1], high))
        else:
            reads = node.stage.reads.items()
            inputs = [(node.inputs[signal], low + min(offsets), high + max(offsets)) for signal, offsets in reads]
            waiting += reversed(inputs)  # the first input's sources come first: the result has their properties
    return found


def compute(step: Step, frame: int, scene: tuple[int, int], calls: Calls, fetch: Fetch) -> Array:
    """Value of `step` at `frame`.

    Args:
        step: end of the plan.
        frame: frame number.
        scene: first and last frame of the scene that `frame` lies in. A stage that reads over its ends gets the nearest
            frame inside, which lies inside the window already asked for.
        calls: what runs each stage of the plan.
        fetch: gives the sources' frames.
    """
    return _Frame(scene, calls, fetch).value(step, frame)


class _Frame:
    """The values that one frame is made of, each computed once.

    A class and not functions inside one another: those would hold each other, and with them every array of the frame, until the
    garbage collector passes by.
    """

    def __init__(self, scene: tuple[int, int], calls: Calls, fetch: Fetch) -> None:
        self._scene, self._calls, self._fetch = scene, calls, fetch
        self._known: dict[tuple[Source | Step, int], Array] = {}

    def value(self, node: Source | Step, at: int) -> Array:
        """What `node` gives at frame `at`."""
        key = (node, at)
        if key not in self._known:
            self._known[key] = self._fetch(node, at) if isinstance(node, Source) else self._run(node, at)
        return self._known[key]

    def _run(self, node: Step, at: int) -> Array:
        first, last = self._scene
        arrays = [
            self.value(node.inputs[signal], min(max(at + offset, first), last))
            for signal, offsets in node.stage.reads.items()
            for offset in offsets
        ]
        return self._calls[node.stage](*arrays)
