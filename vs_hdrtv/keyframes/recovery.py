"""ICAM over arrays: aligned flow, references warped onto a frame, key frames recovered. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..color import highlights
from ..color.arrays import Array
from ..color.overexposure import overexposure_mask
from ..color.transfer import bt1886_eotf
from ..engines import Engine
from ..errors import InputError
from ..modelcard import ModelCard
from ..networks import orders, parts
from . import dis


def extended(picture: Array) -> Array:
    """A picture whose last row and column are repeated up to sides that the networks take.

    Args:
        picture: (1, C, H, W), numpy or torch.

    Returns:
        (1, C, H', W'), multiples of `parts.MULTIPLE`, at least `parts.LEAST`; the picture itself where it is such.
    """
    sides = picture.shape[-2:]
    wanted = [max(-(-side // parts.MULTIPLE) * parts.MULTIPLE, parts.LEAST) for side in sides]
    if wanted == list(sides):
        return picture
    rows, columns = (np.minimum(np.arange(more), side - 1) for more, side in zip(wanted, sides, strict=True))
    return picture[:, :, rows][:, :, :, columns]


def load(engine: Engine, card: ModelCard, network: str) -> orders.Parts:
    """What runs the parts of a model.

    Raises:
        InputError: it is another network, or a graph is missing or damaged.
    """
    if card.network != network:
        raise InputError(f"keyframes: model {card.name!r} is of network {card.network}; give a model of network {network!r}")
    return {name: engine.load(card, name) for name in card.parts}


@dataclass(frozen=True, eq=False)
class Seen:
    """A frame as flow is corrected between it and others: extended, and its features."""

    picture: Array
    features: Array


class Recovery:
    """Runs the flow and ICAM on one engine. All pictures are arrays of the engine's kind.

    Args:
        engine: runs the networks.
        flow: model of the initial flow; None for OpenCV's DIS, which alone tells references that show something else.
        icam: model that corrects it and recovers.

    Raises:
        InputError: a model is of another network, or its files are missing or damaged.
    """

    def __init__(self, engine: Engine, flow: ModelCard | None, icam: ModelCard) -> None:
        self._engine = engine
        self._flow = None if flow is None else load(engine, flow, "flow")[parts.WHOLE]
        self._run = load(engine, icam, "icam")

    def flow(self, current: Array, reference: Array) -> Array:
        """Corrected backward flow from a frame to another of its size: two of (1, 3, H, W) sdr -> (1, 2, H, W) pixels."""
        height, width = current.shape[-2:]
        return self.between(self.see(current), self.see(reference))[:, :, :height, :width]

    def align(self, current: Array, reference: Array) -> tuple[Array, Array]:
        """The reference warped onto a frame, and where it is valid: two of (1, 3, H, W) sdr -> (1, 3, H, W), (1, 1, H, W)."""
        height, width = current.shape[-2:]
        here, there = self.see(current), self.see(reference)
        flow = self.between(here, there)
        found = self._run["warp"](there.picture, flow), self._run["validity"](here.features, there.features, flow)
        warped, valid = (each[:, :, :height, :width] for each in found)
        return warped, valid

    def recover(self, current: Array, references: Iterable[Array]) -> tuple[Array, int]:
        """A key frame's light: what ICAM recovers where it is over-exposed, its own elsewhere (equation 1).

        ICAM learns nothing outside of the mask, and what is propagated from here is compared with other frames there.

        Args:
            current: sdr (1, 3, H, W).
            references: sdr of the same size, none or any number; taken one at a time, so that memory does not grow with them.

        Returns:
            linear (1, 3, H, W), and how many references there were that show the same thing. Without any it is the frame's own
            light, bit for bit.
        """
        height, width = current.shape[-2:]
        picture, used = extended(current), 0

        def found() -> Iterator[tuple[Array, Array]]:
            nonlocal used
            for reference in references:
                other = extended(reference)
                flow, agreement = self._start(picture, other)
                if agreement >= dis.ALIKE:
                    used += 1
                    yield other, flow

        light = orders.recover(self._run, picture, found())[:, :, :height, :width]
        return highlights.blend(current, light if used else bt1886_eotf(current), overexposure_mask(current)), used

    def see(self, sdr: Array) -> Seen:
        """A frame (1, 3, H, W) made ready for `between`."""
        picture = extended(sdr)
        return Seen(picture, self._run["encode"](picture))

    def between(self, current: Seen, reference: Seen) -> Array:
        """Corrected flow from one to the other, (1, 2, H', W') of the extended frames."""
        initial = self._initial(current.picture, reference.picture)
        return self._run["correct"](current.features, reference.features, initial)

    def _initial(self, current: Array, reference: Array) -> Array:
        flow, agreement = self._start(current, reference)
        if agreement < dis.ALIKE:  # a flow that points outside is how networks are told that there is nothing to take
            height, width = current.shape[-2:]
            return self._engine.upload(dis.nowhere(height, width)[None])
        return flow

    def _start(self, current: Array, reference: Array) -> tuple[Array, float]:
        """The flow that is started from, (1, 2, H', W'), and its agreement (`dis.estimate`); a network's counts as exact."""
        if self._flow is not None:
            return self._flow(current, reference), 1.0
        one, other = (self._engine.download(each)[0] for each in (current, reference))  # (3, H', W')
        flow, agreement = dis.estimate(one, other)
        return self._engine.upload(flow[None]), agreement
