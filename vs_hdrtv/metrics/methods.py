"""What is compared: models, chains of models, a run's checkpoint, and analytic baselines, all as functions of `sdr`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..color.tone_curves import INVERSE_TONE_MAPS
from ..errors import InputError
from .conversion import Method, Picture

CHAIN = "+"
"""Between the models of a chain: `hdcfm+pdcg`."""


def split(models: Sequence[str]) -> list[str]:
    """Models as they were typed, commas between or not, each once. A path may have a comma in it; a file that is there is one."""
    parts = (part for text in models for part in ([text] if Path(text).exists() else text.split(",")))
    return list(dict.fromkeys(part for part in parts if part))


def collect(baselines: Sequence[str], models: Sequence[str], checkpoint: Path | None, engine: str) -> dict[str, Method]:
    """Every method asked for, by the name of its row.

    Args:
        baselines: keys of `tone_curves.INVERSE_TONE_MAPS`.
        models: see `weights.find`; several with `CHAIN` between them run one after another.
        checkpoint: `checkpoint.pt` of a training run, or None.
        engine: name of the engine that runs the models.

    Raises:
        InputError: one is unknown or cannot be read, or there is none.
    """
    methods: dict[str, Method] = {}
    for name in baselines:
        if name not in INVERSE_TONE_MAPS:
            raise InputError(f"evaluate: unknown baseline {name!r}; choose from {', '.join(INVERSE_TONE_MAPS)}")
        methods[name] = INVERSE_TONE_MAPS[name]
    for model in models:
        methods[str(model)] = _models(str(model), engine)
    if checkpoint is not None:
        methods[str(checkpoint)] = _checkpoint(checkpoint)
    if not methods:
        raise InputError("evaluate: there is no method to evaluate; give --models, --checkpoint or --baselines")
    return methods


def stages(chain: str) -> list[str]:
    """The models of a chain, one for a single model. A path may have a + in it; a file that is there is one model."""
    return [chain] if Path(chain).exists() else chain.split(CHAIN)


def _models(chain: str, engine_name: str) -> Method:
    """A model, or several: each reads by name what the source or one before it wrote."""
    from .. import weights
    from ..engines import create

    engine = create(engine_name)
    steps = []
    known = {"sdr"}
    for name in stages(chain):
        card = weights.find(name)
        missing = [signal for signal in card.reads if signal not in known]
        if missing:
            signals = " and ".join(missing)
            raise InputError(f"evaluate: {name} reads {signals}, which nothing before it writes; give it as MODEL{CHAIN}{name}")
        known.add(card.writes)
        steps.append((card.reads, card.writes, engine.load(card)))
    if "hdr" not in known:
        raise InputError(f"evaluate: {chain} writes no hdr; only what makes HDR pictures can be evaluated")

    def apply(sdr: Picture) -> Picture:
        signals = {"sdr": engine.upload(sdr[None])}
        for reads, writes, network in steps:
            signals[writes] = network(*(signals[signal] for signal in reads))
        result: Picture = np.asarray(engine.download(signals["hdr"])[0])
        return result

    return apply


def _checkpoint(path: Path) -> Method:
    import pickle

    import torch

    from ..networks import registry

    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise InputError(f"evaluate: --checkpoint {path} cannot be read ({error}); give checkpoint.pt of a run") from None
    network = registry.create("hdcfm")
    try:
        network.load_state_dict(state["average"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"evaluate: --checkpoint {path} does not hold HDCFM's averaged weights ({error})") from None
    network.eval()

    def apply(sdr: Picture) -> Picture:
        with torch.inference_mode():
            result: Picture = network(torch.from_numpy(sdr[None]))[0].numpy()
        return result

    return apply
