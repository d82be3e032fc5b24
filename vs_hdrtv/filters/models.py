"""The models and engines that filters are asked for."""

from __future__ import annotations

from .. import engines
from ..engines import Engine
from ..weights import find_model


def chosen_engine(engine: str | None, device: str | None, precision: str, threads: int | None) -> Engine | None:
    """The engine of a filter that follows another one; None, which is that one's, where nothing is said."""
    if (engine, device, precision, threads) == (None, None, "fp32", None):
        return None
    return engines.create(engine or "auto", device=device, precision=precision, threads=threads)


__all__ = ["chosen_engine", "find_model"]
