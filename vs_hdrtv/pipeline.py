"""Plans: chains of stages as a small graph over one or several sources, and the value of one frame of a plan.

A plan knows nothing of VapourSynth or ComfyUI: a front gives `fetch`, which hands over a source's frame on the engine's device.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from weakref import WeakKeyDictionary, WeakValueDictionary

from .color.arrays import Array
from .engines import Engine
from .stages import Stage


@dataclass(frozen=True, eq=False)
class Source:
    """A place where frames come in; told apart by identity. The signal `cuts` says of a frame whether a scene begins with it."""

    signal: str


CUTS = "cuts"
"""The signal of a source that has no picture."""


@dataclass(frozen=True, eq=False)
class Step:
    """A stage, where each signal that it reads comes from, and the cuts that it does not read over (None: it reads over all)."""

    stage: Stage
    inputs: Mapping[str, Source | Step]
    cuts: Source | None = None


Node = Source | Step

Calls = Mapping[Stage, Callable[..., Array]]
"""What runs each stage: its array function, or its network as an engine loaded it."""

Fetch = Callable[[Source, int], Array]
"""`fetch(source, frame)` -> (1, C, H, W) on the engine's device."""

IsCut = Callable[[Source, int], bool]
"""`is_cut(source of cuts, frame)`: a scene begins with that frame."""

MEMO_FRAMES = 16
"""Values of each part of a plan that its memo holds beyond the part's own window, for frames in flight; 0 for no memo."""

MEMO_BYTES = 1 << 30
"""Their size: 2160p in float32 is 100 MB a frame. Pictures go first where it is passed: statistics cost nothing to keep."""


def build(stage: Stage, given: Mapping[str, Node], cuts: Source | None = None) -> Step:
    """The plan of a stage and its inner ones; an inner stage that several of them read is one step.

    Args:
        stage: the last.
        given: what each signal of `stage.given` comes from.
        cuts: what the stages that read several frames do not read over.
    """
    made: dict[Stage, Step] = {}

    def step(stage: Stage) -> Step:
        if stage not in made:
            inputs = {signal: step(stage.inner[signal]) if signal in stage.inner else given[signal] for signal in stage.reads}
            made[stage] = Step(stage, inputs, cuts if stage.reads_neighbours else None)
        return made[stage]

    return step(stage)


def load(stage: Stage, engine: Engine) -> dict[Stage, Callable[..., Array]]:
    """What runs a stage and its inner ones.

    Raises:
        InputError: a model's file is missing or damaged, or the engine cannot run it.
    """
    found: dict[Stage, Callable[..., Array]] = {}
    for inner in stage.inner.values():
        found |= load(inner, engine)
    if stage.card is not None:
        found[stage] = _network(stage, engine)
    else:
        assert stage.function is not None, f"{stage.name} has neither a network nor a function"
        found[stage] = stage.function
    return found


_NETWORKS: WeakKeyDictionary[Engine, WeakValueDictionary[tuple[str, ...], Callable[..., Array]]] = WeakKeyDictionary()


def _network(stage: Stage, engine: Engine) -> Callable[..., Array]:
    """The stage's graph on `engine`, loaded once while a plan has it: shots of different looks share it, and its buffers."""
    assert stage.card is not None
    loaded = _NETWORKS.setdefault(engine, WeakValueDictionary())
    key = (str(stage.card.path), stage.card.graph(stage.graph).sha256, stage.card.safetensors_sha256, stage.graph)
    network = loaded.get(key)
    if network is None:
        network = loaded[key] = engine.load(stage.card, stage.graph)
    return network


def spans(step: Step) -> dict[Node, tuple[int, int]]:
    """Lowest and highest frame offset at which each part of a plan is needed, 0 always being inside."""
    found: dict[Node, tuple[int, int]] = {}
    waiting: list[tuple[Node, int, int]] = [(step, 0, 0)]
    while waiting:
        node, low, high = waiting.pop()
        known = found.get(node, (0, 0))
        found[node] = (min(known[0], low), max(known[1], high))
        if isinstance(node, Step):
            # A frame at a cut or an end is read in place of any of its neighbours: 0 counts as an offset.
            inputs: list[tuple[Node, int, int]] = [
                (node.inputs[signal], low + min(0, *offsets), high + max(0, *offsets))
                for signal, offsets in node.stage.reads.items()
            ]
            if node.cuts is not None:
                # Frames on the way from frame m to m + offset are looked at; the lowest one's own flag is not asked for.
                lowest, highest = (bound(end for _, *ends in inputs for end in ends) for bound in (min, max))
                inputs.append((node.cuts, min(lowest + 1, highest), highest))
            waiting += reversed(inputs)  # the first input's sources come first: the result has their properties
    return found


def windows(step: Step) -> dict[Source, tuple[int, int]]:
    """Lowest and highest frame offset at which each source of a plan is read, 0 always being inside; cuts come last."""
    found = {node: span for node, span in spans(step).items() if isinstance(node, Source)}
    return dict(sorted(found.items(), key=lambda item: item[0].signal == CUTS))


def cuts_of(node: Node) -> Source | None:
    """The cuts of the last step of a plan that has some, None where none of its steps has."""
    if isinstance(node, Source):
        return None
    below = (cuts_of(value) for value in node.inputs.values())
    return node.cuts or next((cuts for cuts in below if cuts is not None), None)


class Memo:
    """The values of a plan that several frames are made of, of each part the least recently used out first; safe between threads.

    It saves work and nothing else: a value is a function of its part of the plan and its frame alone, whoever computes it. Two
    threads that want the same value at once compute it once.

    Args:
        step: end of the plan.
        frames: values of each part held beyond its window; None for `MEMO_FRAMES`, 0 for no memo.
        size: bytes held at most; None for `MEMO_BYTES`.
    """

    def __init__(self, step: Step, frames: int | None = None, size: int | None = None) -> None:
        self._frames = MEMO_FRAMES if frames is None else frames
        self._size = MEMO_BYTES if size is None else size
        self._most = _held(step, self._frames) if self._frames else {}
        self._lock = threading.Lock()
        self._kept: dict[Node, OrderedDict[int, Array]] = {node: OrderedDict() for node in self._most}
        self._bytes = 0
        self._waited: dict[tuple[Node, int], Future[Array]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    @property
    def bytes(self) -> int:
        """What is held."""
        return self._bytes

    def holds(self, node: Node) -> bool:
        """Whether more than one frame is made of a value of `node`."""
        return node in self._most

    def get(self, key: tuple[Node, int], compute: Callable[[Node, int], Array]) -> Array:
        """The value of a key, computed where nobody has or is about to."""
        while True:
            with self._lock:
                values = self._kept[key[0]]
                if key[1] in values:
                    values.move_to_end(key[1])
                    return values[key[1]]
                other = self._waited.get(key)
                if other is None:
                    own = self._waited[key] = Future()
                    break
            # No two threads wait for each other: who computes waits for what the value is made of, and plans have no loops.
            try:
                return other.result()
            except CancelledError:
                pass  # it failed there; here it fails with an error of its own
        try:
            array = compute(*key)
        except BaseException:
            with self._lock:
                del self._waited[key]
            own.cancel()
            raise
        with self._lock:
            del self._waited[key]
            self._keep(key, array)
        own.set_result(array)
        return array

    def _keep(self, key: tuple[Node, int], array: Array) -> None:
        node, at = key
        self._kept[node][at] = array
        self._bytes += array.nbytes
        if len(self._kept[node]) > self._most[node]:
            self._drop(self._kept[node])
        while self._bytes > self._size:
            self._drop(max((item for item in self._kept.items() if item[1]), key=_dispensable)[1])

    def _drop(self, values: OrderedDict[int, Array]) -> None:
        self._bytes -= values.popitem(last=False)[1].nbytes


def _dispensable(item: tuple[Node, OrderedDict[int, Array]]) -> tuple[int, bool]:
    """How soon values of a part go: the largest first (those of a part are alike), of two as large what only has to be read."""
    node, values = item
    return int(next(reversed(values.values())).nbytes), isinstance(node, Source)


def _held(step: Step, spare: int) -> dict[Node, int]:
    """The parts of a plan whose values several frames are made of, and how many values of each are worth holding.

    What one other part alone reads, at its own frame, is made once if that is.
    """
    found = spans(step)
    readers: dict[Node, list[tuple[int, ...]]] = {node: [] for node in found}
    for node in found:
        if isinstance(node, Step):
            for signal, offsets in node.stage.reads.items():
                readers[node.inputs[signal]].append(offsets)
    several = (node for node, (low, high) in found.items() if low < high and readers[node] != [(0,)])
    return {node: found[node][1] - found[node][0] + 1 + spare for node in several}


def compute(
    step: Step,
    frame: int,
    bounds: tuple[int, int],
    calls: Calls,
    fetch: Fetch,
    is_cut: IsCut | None = None,
    memo: Memo | None = None,
) -> Array:
    """Value of `step` at `frame`.

    Args:
        step: end of the plan.
        frame: frame number.
        bounds: first and last frame of the clip. A stage that reads over its ends or over a cut gets the nearest frame inside,
            which lies inside the window already asked for.
        calls: what runs each stage of the plan.
        fetch: gives the sources' frames.
        is_cut: says where scenes begin; None for nowhere.
        memo: of this plan, to be given for each of its frames.
    """
    return _Frame(bounds, calls, fetch, is_cut, memo).value(step, frame)


class _Frame:
    """The values that one frame is made of, each computed once.

    A class and not functions inside one another: those would hold each other, and with them every array of the frame, until the
    garbage collector passes by.
    """

    def __init__(self, bounds: tuple[int, int], calls: Calls, fetch: Fetch, is_cut: IsCut | None, memo: Memo | None) -> None:
        self._bounds, self._calls, self._fetch, self._is_cut, self._memo = bounds, calls, fetch, is_cut, memo
        self._known: dict[tuple[Node, int], Array] = {}

    def value(self, node: Node, at: int) -> Array:
        """What `node` gives at frame `at`."""
        key = (node, at)
        if key not in self._known:
            if self._memo is not None and self._memo.holds(node):
                self._known[key] = self._memo.get(key, self._make)
            else:
                self._known[key] = self._make(node, at)
        return self._known[key]

    def _make(self, node: Node, at: int) -> Array:
        if isinstance(node, Source):
            return self._fetch(node, at)
        arrays = [
            self.value(node.inputs[signal], self._inside(node.cuts, at, offset))
            for signal, offsets in node.stage.reads.items()
            for offset in offsets
        ]
        return self._calls[node.stage](*arrays)

    def _inside(self, cuts: Source | None, at: int, offset: int) -> int:
        """`at + offset`, or the frame nearest to it in the scene of `at`."""
        first, last = self._bounds
        wanted = min(max(at + offset, first), last)
        if cuts is None or self._is_cut is None:
            return wanted
        way = 1 if wanted > at else -1
        while at != wanted and not self._is_cut(cuts, max(at, at + way)):
            at += way
        return at
