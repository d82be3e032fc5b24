"""Frames in tiles: an engine that runs networks piece by piece, for memory; the pixels are those of whole frames, to rounding.

What a network computes over the whole frame (its statistics) is computed of the whole frame, once a frame, and given to every
tile; what is local gets the halo that it needs. A tile alone would see statistics of its own, and its colours would differ from
those of the tile beside it. Which parts of networks can be tiled, and with how much of a halo, stands in `networks/parts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from .color.arrays import Array, namespace
from .engines import SMALLEST as EXTENDED_TO
from .engines import Engine, Network, Pieces
from .errors import InputError
from .modelcard import ModelCard
from .networks.parts import STATISTICS, STEADY, WHOLE, Part, Tiling, input_names
from .networks.windows import TooFarError, Window, windows

SMALLEST = 128
"""Pixels of a tile's side below which the halo is nearly all of the work."""


class TiledEngine:
    """An engine whose networks are run in tiles.

    Attributes:
        engine: the one that runs them.
        side: pixels of a tile's side at most, the halo around it not counted; None for whole frames. What is loaded already
            follows it from the next frame on.

    Args:
        engine: `engine`.
        side: `side`.

    Raises:
        InputError: `side` is too small.
    """

    def __init__(self, engine: Engine, side: int | None = None) -> None:
        if side is not None and side < SMALLEST:
            raise InputError(f"tile: {side} pixels a side is too small; give at least {SMALLEST}, or None for whole frames")
        self.engine, self.side = engine, side
        self.name, self.device, self.threads, self.unpacks = engine.name, engine.device, engine.threads, engine.unpacks

    def load(self, card: ModelCard, graph: str = WHOLE) -> Network:
        """See `Engine.load`.

        Raises:
            InputError: as there; or there are to be tiles, and the network or the engine cannot.
        """
        return _Tiled(self, card, graph)

    def load_pieces(self, card: ModelCard, part: str) -> Pieces:
        """See `Engine.load_pieces`."""
        return self.engine.load_pieces(card, part)

    def upload(self, array: NDArray[Any]) -> Array:
        """See `Engine.upload`."""
        return self.engine.upload(array)

    def download(self, array: Array) -> NDArray[Any]:
        """See `Engine.download`."""
        return self.engine.download(array)


class _Tiled:
    """A graph of a model on a `TiledEngine`, loaded for whole frames and for pieces when it is first needed so."""

    def __init__(self, engine: TiledEngine, card: ModelCard, graph: str) -> None:
        self._engine, self._card, self._graph = engine, card, graph
        self._part, _, self._kind = graph.partition(".")
        self._network: Network | None = None
        self._pieces: Pieces | None = None
        if engine.side is None:
            self._whole_network()
        else:
            self._loaded_pieces()

    def __call__(self, *arrays: Array) -> Array:
        side, (height, width) = self._engine.side, arrays[0].shape[-2:]
        # What is extended before it is run is extended as a whole: statistics are measured with what was added.
        if side is None or max(height, width) <= side or min(height, width) < EXTENDED_TO:
            return self._whole_network()(*arrays)
        tiling, part, pieces = self._tiling(), self._card.parts[self._part], self._loaded_pieces()
        pictures, given = (arrays[:-1], arrays[-1]) if self._kind == STEADY else (arrays, None)
        halo = tiling.halo
        while True:
            found = windows(height, width, side, halo, tiling.step)
            try:
                if self._kind == STATISTICS:
                    return pieces.statistics(arrays, found)
                if given is None and part.statistics:
                    given = pieces.statistics(_of_statistics(part, pictures), found)  # once, however often pieces get wider
                return _in_tiles(pieces, pictures, given, found)
            except TooFarError as error:
                halo = error.reach  # of this frame: of others it is measured anew, whatever came before

    def _tiling(self) -> Tiling:
        """Of the part.

        Raises:
            InputError: it cannot be tiled.
        """
        found = self._card.parts[self._part].tiling
        if found is None:
            raise InputError(
                f"tile: {self._card.name} cannot be computed in tiles, its pixels depend on the whole frame; "
                "use another model, smaller frames, or leave tiles out"
            )
        return found

    def _whole_network(self) -> Network:
        if self._network is None:
            self._network = self._engine.engine.load(self._card, self._graph)
        return self._network

    def _loaded_pieces(self) -> Pieces:
        if self._pieces is None:
            self._tiling()
            self._pieces = self._engine.load_pieces(self._card, self._part)
        return self._pieces


def _in_tiles(pieces: Pieces, pictures: Sequence[Array], given: Array | None, found: Sequence[Window]) -> Array:
    """What a part gives of whole frames, window by window: (1, C, H, W)."""
    height, width = pictures[0].shape[-2:]
    result = None
    for window in found:
        piece = pieces.run([window.cut(picture) for picture in pictures], given, window)
        if result is None:
            shape = (*piece.shape[:2], height, width)
            result = namespace(piece).empty(shape, dtype=piece.dtype, device=piece.device)
        window.paste(result, piece)
    return result


def _of_statistics(part: Part, arrays: Sequence[Array]) -> list[Array]:
    """Those of a part's arguments that its statistics are made of."""
    wanted = set(input_names(part.graph(STATISTICS)))
    return [array for name, array in zip(input_names(part.reads), arrays, strict=True) if name in wanted]
