"""The models and engines that filters are asked for."""

from __future__ import annotations

import functools
import logging
import os

from .. import engines, weights
from ..engines import Engine
from ..modelcard import ModelCard

logger = logging.getLogger(__name__)


def find_model(model: str | os.PathLike[str]) -> ModelCard:
    """The card of a model; one whose training is not finished says so once."""
    card = weights.find(model)
    if card.preview:
        _say_preview(card.name)
    return card


@functools.cache
def _say_preview(name: str) -> None:
    logger.warning("model %s is a preview: its training is not finished (see its card)", name)


def chosen_engine(engine: str | None, device: str | None, precision: str, threads: int | None) -> Engine | None:
    """The engine of a filter that follows another one; None, which is that one's, where nothing is said."""
    if (engine, device, precision, threads) == (None, None, "fp32", None):
        return None
    return engines.create(engine or "auto", device=device, precision=precision, threads=threads)
