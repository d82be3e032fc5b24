"""Key frames of VITM-TC over frames: recovered when they are asked for, carried to all frames a segment at a time.

What they are made of is bounded: `Ahead` holds the frames that references lie on, `Propagated` the key frames around a segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from . import clips, host
from .core import (
    InputError,
    Propagation,
    Recovery,
    arrays,
    conversion,
    engines,
    grid,
    keyframe_stages,
    reading,
    scenes,
    stages,
    weights,
)
from .images import Floats, colors

DIS = "dis"
"""Instead of a model of flow: OpenCV's DIS."""


def recovery(engine: engines.Engine, flow: str, icam: str) -> Any:
    """What recovers key frames and tells the flow: `keyframes.recovery.Recovery`.

    Args:
        engine: runs it.
        flow: `DIS`, or a model as `host.model_names` has it.
        icam: the same.

    Raises:
        InputError: a model is of another network, or its files are missing or damaged.
    """
    start = None if flow == DIS else weights.find_model(host.model_path(flow))
    return Recovery(engine, start, weights.find_model(host.model_path(icam)))


def propagation(engine: engines.Engine, flow: str, icam: str, fcpm: str) -> Any:
    """What carries key frames to all frames: `keyframes.propagation.Propagation`; see `recovery`."""
    return Propagation(recovery(engine, flow, icam), engine, weights.find_model(host.model_path(fcpm)))


def reader(frames: clips.Frames, engine: engines.Engine) -> Callable[[int], Any]:
    """What puts a frame on the device; a run that the user cancelled ends there."""

    def read(frame: int) -> Any:
        host.stop_if_cancelled()
        return engine.upload(frames.read(frame))

    return read


def recover(
    frames: clips.Frames, key: int, references: tuple[int, ...], recovery: Any, engine: engines.Engine
) -> tuple[Floats, int]:
    """The light of a key frame, linear (1, 3, H, W), from its references; and how many of these show the same thing."""
    read = reader(frames, engine)
    light, used = recovery.recover(read(key), map(read, references))
    return arrays.tame(np.asarray(engine.download(light))), used


class Keys(Protocol):
    """The key frames of a clip."""

    def prepare(self, keys: tuple[int, ...]) -> None:
        """Have these, before there is something else on the device."""
        ...

    def light(self, key: int) -> Floats:
        """What was recovered, linear (1, 3, H, W)."""
        ...

    def references(self, key: int) -> int:
        """From how many references."""
        ...

    def forget(self, before: int) -> None:
        """No key frame before this one is asked for again."""
        ...


@dataclass(frozen=True, eq=False)
class KeyFrames:
    """The key frames of a batch, as they go from node to node.

    Attributes:
        images: linear, (K, H, W, 3 or 4).
        found: number of each key frame, and of how many references it was recovered.
        count: frames of the batch.
        cuts: frames with which scenes begin.
        grid: `keyframes.grid.Grid`.
        flow: see `recovery`.
        icam: model that recovered them, which corrects the flow of what propagates them too.
    """

    images: torch.Tensor
    found: dict[int, int]
    count: int
    cuts: frozenset[int]
    grid: Any
    flow: str
    icam: str

    def prepare(self, keys: tuple[int, ...]) -> None:
        """Nothing: they are there."""

    def light(self, key: int) -> Floats:
        """See `Keys.light`."""
        return colors(self.images, list(self.found).index(key))

    def references(self, key: int) -> int:
        """See `Keys.references`."""
        return self.found[key]

    def forget(self, before: int) -> None:
        """Nothing: the pictures are there anyway."""


@dataclass(eq=False)
class Recovered:
    """Key frames that are recovered when they are asked for, each once.

    Attributes:
        frames: the clip.
        cuts: where its scenes begin.
        grid: `keyframes.grid.Grid`.
        recovery: runs the networks.
        engine: whose arrays it takes.
    """

    frames: clips.Frames
    cuts: clips.Cuts
    grid: Any
    recovery: Any
    engine: engines.Engine
    _kept: dict[int, tuple[Floats, int]] = field(default_factory=dict)

    def numbers(self, key: int) -> tuple[int, ...]:
        """The references of a key frame, nearest first."""
        reach = self.grid.reference_reach
        known = self.frames.last(key + reach) + 1
        found: tuple[int, ...] = self.grid.references_of(key, reading.scene_around(key, self.cuts, reach, known))
        return found

    def prepare(self, keys: tuple[int, ...]) -> None:
        """See `Keys.prepare`."""
        for key in keys:
            if key not in self._kept:
                self._kept[key] = recover(self.frames, key, self.numbers(key), self.recovery, self.engine)

    def light(self, key: int) -> Floats:
        """See `Keys.light`."""
        return self._kept[key][0]

    def references(self, key: int) -> int:
        """See `Keys.references`."""
        return self._kept[key][1]

    def forget(self, before: int) -> None:
        """See `Keys.forget`."""
        for key in [key for key in self._kept if key < before]:
            del self._kept[key]
        self.cuts.forget(before - self.grid.reference_reach)


class Propagated:
    """The light of every frame of a clip, not blended: `clips.Frames` of the signal `linear`, to be read in order.

    Args:
        frames: the clip.
        is_cut: says of a frame whether a scene begins with it.
        keys: its key frames.
        grid: where they are.
        propagation: runs the networks.
        engine: whose arrays it takes.
        segment: frames that are propagated at a time.
        overlap: frames beyond each end of it.
    """

    def __init__(
        self,
        frames: clips.Frames,
        is_cut: Callable[[int], bool],
        keys: Keys,
        grid: Any,
        propagation: Any,
        engine: engines.Engine,
        segment: int,
        overlap: int,
    ) -> None:
        self._frames, self._is_cut, self._keys, self._grid = frames, is_cut, keys, grid
        self._propagation, self._engine, self._segment, self._overlap = propagation, engine, segment, overlap
        self.size, self.expected = frames.size, frames.expected
        self._last: tuple[int, Floats] | None = None
        self._going: Iterator[tuple[int, Any]] = iter(())

    def last(self, wanted: int) -> int:
        """See `clips.Frames.last`."""
        return self._frames.last(wanted)

    def read(self, frame: int) -> Floats:
        """See `clips.Frames.read`.

        Raises:
            InputError: the device's memory does not suffice. It is no `OutOfMemoryError`: tiles of other networks do not help.
        """
        frame = self.last(frame)
        try:
            return host.retry_out_of_memory(partial(self._read, frame))
        except Exception as error:
            if not host.is_out_of_memory(error):
                raise
        # Out here: an error that is being handled holds the feature maps of what raised it.
        width, height = self.size
        raise InputError(
            f"key frames: the memory of {self._engine.device} does not suffice for segments of {self._segment} frames of "
            f"{width}x{height}; give smaller frames, a smaller segment (Propagate Key Frames) or a preset other than recover"
        )

    def _read(self, frame: int) -> Floats:
        while self._last is None or self._last[0] != frame:
            ready = next(self._going, None)
            if ready is None:  # it has ended, with its block or with an error
                self._going = self._block(frame // self._segment)
                continue
            self._last = ready[0], arrays.tame(np.asarray(self._engine.download(ready[1])))
        return self._last[1]

    def _block(self, block: int) -> Iterator[tuple[int, Any]]:
        """Number and light of the frames of a block."""
        width, height = self.size
        host.make_room(self._engine, 3 * width * height)  # of all frames of a segment something stays on the device
        known = self._frames.last((block + 1) * self._segment - 1 + self._overlap + self._grid.nearest_reach) + 1
        read = reader(self._frames, self._engine)
        for part in reading.parts_of(block, self._segment, self._overlap, known, self._grid, self._is_cut):
            self._keys.prepare(part.keys)
            yield from reading.propagate(part, self._propagation, read, self._light, self._keys.references)

    def _light(self, key: int) -> Any:
        return self._engine.upload(self._keys.light(key))

    def signature(self, frame: int) -> NDArray[np.uint8]:
        """See `clips.Frames.signature`."""
        return self._frames.signature(frame)

    def forget(self, before: int) -> None:
        """See `clips.Frames.forget`."""
        begin = before - before % self._segment
        self._keys.forget(begin - self._overlap - self._grid.nearest_reach)


class Ahead:
    """Frames of which those stay that key frames still read: the clip's own plan forgets them much earlier.

    Args:
        frames: the clip.
        behind: frames that stay.
    """

    def __init__(self, frames: clips.Frames, behind: int) -> None:
        self._frames, self._behind = frames, behind
        self.size, self.expected = frames.size, frames.expected
        self.last, self.read, self.signature = frames.last, frames.read, frames.signature

    def forget(self, before: int) -> None:
        """See `clips.Frames.forget`."""
        self._frames.forget(before - self._behind)


def propagated(
    name: str, sdr: clips.Clip, keys: KeyFrames, engine: engines.Engine, fcpm: str, segment: int, overlap: int
) -> clips.Clip:
    """The light of a batch, with that of its key frames: `linear`, blended.

    Args:
        name: node that asks; messages start with it.
        sdr: the batch.
        keys: what was recovered of it.
        engine: runs the networks.
        fcpm: model that propagates.
        segment: see `Propagated`.
        overlap: see `Propagated`.

    Raises:
        InputError: the key frames are those of another batch; a model is missing.
    """
    width, height = sdr.size
    if (sdr.expected, height, width) != (keys.count, *keys.images.shape[1:3]):
        found = f"{keys.images.shape[2]}x{keys.images.shape[1]}, of {keys.count} frames"
        raise InputError(
            f"{name}: images are {width}x{height}, {sdr.expected} frames, key_frames {found}; give the images that they were "
            "recovered of"
        )
    (frames,) = sdr.sources.values()
    runner = propagation(engine, keys.flow, keys.icam, fcpm)
    light = Propagated(frames, keys.cuts.__contains__, keys, keys.grid, runner, engine, segment, overlap)
    return _blended(sdr, light)


def given(
    found: Iterable[stages.Stage], sdr: clips.Clip, look: conversion.Look, kind: str, precision: str
) -> dict[str, clips.Clip]:
    """What the stages of a preset read: `sdr`, and where key frames are merged in `linear`, made as the result goes on.

    Args:
        found: the stages.
        sdr: a source.
        look: the preset.
        kind: a key of `clips.SCENES`.
        precision: of the engine.

    Raises:
        InputError: a model is missing.
    """
    if not any("linear" in stage.given for stage in found):
        return {"sdr": sdr}
    preset, where, engine = conversion.PRESETS[look.preset], grid.Grid(), host.engine(precision)
    (frames,) = sdr.sources.values()
    segment, overlap = grid.SEGMENT, grid.OVERLAP
    behind = segment + overlap + where.nearest_reach + where.reference_reach + scenes.REACH
    cuts = clips.Cuts(frames, kind)
    runner = recovery(engine, DIS, preset.icam or "")
    keys = Recovered(frames, cuts, where, runner, engine)
    carrier = Propagation(runner, engine, weights.find_model(host.model_path(preset.fcpm or "")))
    shown = clips.source("sdr", Ahead(frames, behind), sdr.alpha)
    return {"sdr": shown, "linear": _blended(shown, Propagated(frames, cuts, keys, where, carrier, engine, segment, overlap))}


def _blended(sdr: clips.Clip, light: Propagated) -> clips.Clip:
    return clips.apply(keyframe_stages.blend_recovered(), {"sdr": sdr, "linear": clips.source("linear", light)})
