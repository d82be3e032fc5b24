"""FCPM over arrays: the frames of a segment from its recovered key frames. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from ..color.arrays import Array
from ..engines import Engine
from ..modelcard import ModelCard
from ..networks import orders
from .reading import Made
from .recovery import Recovery, Seen, extended, load

HELD = orders.KEYS + 3
"""Frames whose features are held: a frame, its neighbours and its key frames."""


class Propagation:
    """Runs FCPM, with the flow of a `Recovery`. All pictures are arrays of the engine's kind.

    Args:
        recovery: corrects the flow.
        engine: runs FCPM.
        fcpm: model.

    Raises:
        InputError: the model is of another network, or its files are missing or damaged.
    """

    def __init__(self, recovery: Recovery, engine: Engine, fcpm: ModelCard) -> None:
        self._recovery = recovery
        self._run = load(engine, fcpm, "fcpm")
        self._channels = fcpm.parts["backward"].channels["state"]

    def propagate(
        self,
        frames: Sequence[Array],
        keyframes: Sequence[Array],
        keyframe_sources: Sequence[Array],
        keys_of: Sequence[tuple[int, ...]],
    ) -> Iterator[Array]:
        """All frames of a segment, its overlap included.

        Of each frame the merged light, a state of half its size and the result of the backward pass are in memory, and the
        features of `HELD` frames; inputs are asked for when they are needed, some of them again.

        Args:
            frames: sdr, each (1, 3, H, W).
            keyframes: recovered, linear, each (1, 3, H, W).
            keyframe_sources: their sdr frames.
            keys_of: for each frame, numbers of five key frames, nearest first, repeated where there are fewer.

        Yields:
            linear (1, 3, H, W) of each frame, not blended with its own light.
        """
        if not keys_of:
            return
        height, width = frames[0].shape[-2:]

        @lru_cache(HELD)
        def seen(is_key: bool, index: int) -> Seen:
            return self._recovery.see((keyframe_sources if is_key else frames)[index])

        @lru_cache(HELD)
        def light(index: int) -> Array:
            return extended(keyframes[index])

        found = orders.propagate(
            self._run,
            Made(len(frames), lambda t: seen(False, t).picture),
            Made(len(keyframes), light),
            keys_of,
            lambda t, key: self._recovery.between(seen(False, t), seen(True, key)),
            lambda t, other: self._recovery.between(seen(False, t), seen(False, other)),
            self._channels,
        )
        for each in found:
            yield each[:, :, :height, :width]
