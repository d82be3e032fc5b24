"""The torch engine's networks in pieces of a frame: told where each lies, and measuring the whole frame's statistics in them.

A statistic of the whole frame that looks at what others have changed can be measured once those are known: HDCFM's are twelve
groups, one after another. No round goes further into the network than to what it measures, or holds more than a piece's maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import weights
from ..modelcard import ModelCard
from ..networks import graphs
from ..networks.parts import STATISTICS, STEADY
from ..networks.statistics import Measured, measure, merged
from ..networks.windows import Window, inside
from . import within_memory

if TYPE_CHECKING:
    from .torch import TorchEngine


class TorchPieces:
    """`engines.Pieces` of the torch engine, of parts that must be told where a piece lies.

    Args:
        engine: runs it.
        card: the model.
        part: see `Engine.load_pieces`.

    Raises:
        InputError: as `TorchEngine.load`.
    """

    def __init__(self, engine: TorchEngine, card: ModelCard, part: str) -> None:
        self._engine, self._card = engine, card
        network = weights.load_network(card)
        measured = bool(card.parts[part].statistics)
        self._ends = graphs.statistics_groups(network, card.network, part) if measured else []
        network = network.to(engine.device).to(engine.kind)
        self._part = graphs.graph(network, card.network, f"{part}.{STEADY}" if measured else part)
        maker = graphs.graph(network, card.network, f"{part}.{STATISTICS}") if measured else self._part
        self._maker = maker.maker if isinstance(maker, graphs.StatisticsGraph) else maker

    def statistics(self, arrays: Sequence[Tensor], windows: Sequence[Window]) -> Tensor:
        """See `engines.Pieces.statistics`."""
        return self._run(partial(self._measured, windows), arrays)

    def run(self, arrays: Sequence[Tensor], statistics: Tensor | None, window: Window) -> Tensor:
        """See `engines.Pieces.run`."""

        def run(*given: Tensor) -> Tensor:
            with self._engine.computing(), inside(window):
                return self._part(*(each.to(self._engine.kind) for each in given)).float()  # type: ignore[no-any-return]

        return self._run(run, arrays if statistics is None else [*arrays, statistics])

    def _run(self, run: Callable[..., Tensor], arrays: Sequence[Tensor]) -> Tensor:
        return within_memory(run, self._engine.name, self._engine.device, self._card)(*arrays)  # type: ignore[no-any-return]

    def _measured(self, windows: Sequence[Window], *frames: Tensor) -> Tensor:
        known = torch.zeros(1, 0, device=frames[0].device)
        for end in self._ends:
            pieces = [self._piece(window, frames, known, end - known.shape[1]) for window in windows]
            known = torch.cat([known, merged(pieces).float()], dim=1)  # (1, end)
        return known[:, :, None, None]

    def _piece(self, window: Window, frames: Sequence[Tensor], known: Tensor, wanted: int) -> list[Measured]:
        kind = self._engine.kind
        cut = [window.cut(frame).to(kind) for frame in frames]
        with self._engine.computing(), inside(window):
            return measure(lambda: self._maker(*cut), known.to(kind), wanted, window.kept)
