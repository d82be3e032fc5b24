"""What is compared: models, chains of models, a run's checkpoint, and analytic baselines, all as functions of `sdr` clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..color.tone_curves import INVERSE_TONE_MAPS
from ..errors import InputError
from . import conversion

if TYPE_CHECKING:
    from ..engines import Engine
    from ..pipeline import Node
    from ..stages import Stage

CHAIN = "+"
"""Between the models of a chain: `hdcfm+pdcg`."""

STEADY = ":steady="
"""Between a model and the frames on each side whose frame-wide statistics it takes: `hdcfm:steady=4`."""

Frames = NDArray[np.float32]
"""(N, 3, H, W) consecutive frames; a picture is a clip of one, whose neighbours are itself."""

Method = Callable[[Frames, tuple[int, ...]], Frames]
"""`sdr`, and the frames of it that begin scenes, to as many frames of `hdr`, not clamped."""


def of_picture(method: Method) -> conversion.Method:
    """A method for single pictures, (3, H, W)."""
    return lambda sdr: method(sdr[None], ())[0]


def of_frames(convert: conversion.Method) -> Method:
    """A method that looks at one frame at a time."""
    return lambda sdr, _cuts: np.stack([convert(frame) for frame in sdr])


def split(models: Sequence[str]) -> list[str]:
    """Models as they were typed, commas between or not, each once. A path may have a comma in it; a file that is there is one."""
    parts = (part for text in models for part in ([text] if _is_file(text) else text.split(",")))
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
    from ..engines import create

    methods: dict[str, Method] = {}
    runs_models = create(engine)  # an unknown engine is refused whether there is a model for it or not
    for name in baselines:
        if name not in INVERSE_TONE_MAPS:
            raise InputError(f"evaluate: unknown baseline {name!r}; choose from {', '.join(INVERSE_TONE_MAPS)}")
        methods[name] = of_frames(INVERSE_TONE_MAPS[name])
    for model in models:
        methods[str(model)] = _models(str(model), runs_models)
    if checkpoint is not None:
        methods[str(checkpoint)] = _checkpoint(checkpoint)
    if not methods:
        raise InputError("evaluate: there is no method to evaluate; give --models, --checkpoint or --baselines")
    return methods


def stages(chain: str) -> list[str]:
    """The models of a chain, one for a single model. A path may have a + in it; a file that is there is one model."""
    return [chain] if _is_file(chain) else chain.split(CHAIN)


def _is_file(text: str) -> bool:
    """Whether it is one model's file, whatever its name, with or without what is said of it."""
    return Path(text).exists() or Path(text.rpartition(STEADY)[0] or text).exists()


def parse(text: str) -> tuple[str, int]:
    """Model and k of `MODEL` or `MODEL:steady=k`. A file that is there is one model, whatever its name.

    Raises:
        InputError: k is no number of frames.
    """
    model, sign, count = text.rpartition(STEADY)
    if not sign or Path(text).exists():
        return text, 0
    if not (count.isascii() and count.isdigit()):
        raise InputError(f"evaluate: steady is {count!r} in {text}; give frames on each side, for example {model}{STEADY}4")
    return model, int(count)


def typed(model: str, steady: int) -> str:
    """What `parse` reads."""
    return f"{model}{STEADY}{steady}" if steady else model


def models(chain: str) -> list[str]:
    """The models of a chain without what is said of them."""
    return [parse(stage)[0] for stage in stages(chain)]


class _Plan:
    """Stages one after another on one engine, each reading by name what the source or one before it wrote."""

    def __init__(self, engine: Engine) -> None:
        from .. import pipeline

        self._engine = engine
        self._cuts = pipeline.Source(pipeline.CUTS)
        self._nodes: dict[str, Node] = {"sdr": pipeline.Source("sdr")}
        self._calls: dict[Stage, Callable[..., Any]] = {}

    def add(self, stage: Stage) -> None:
        """Run `stage` after the others."""
        from .. import pipeline

        self._nodes[stage.writes] = pipeline.build(stage, self._nodes, self._cuts)
        self._calls |= pipeline.load(stage, self._engine)

    def add_model(self, model: str, steady: int = 0) -> None:
        """Run a model after the others; see `weights.find`.

        Raises:
            InputError: it is not there, reads what nothing before it writes, writes no `hdr`, or has no statistics for `steady`.
        """
        from .. import stages, weights

        card = weights.find(model)
        missing = [signal for signal in card.reads if signal not in self._nodes]
        if missing:
            signals = " and ".join(missing)
            raise InputError(f"evaluate: {model} reads {signals}, which nothing before it writes; give it as MODEL{CHAIN}{model}")
        if card.writes != "hdr":
            raise InputError(f"evaluate: {model} writes {card.writes}; only what makes HDR pictures can be evaluated")
        if "hdr" in card.reads:
            self.add(stages.generate_overexposed(card, steady=steady))
        else:
            self.add(stages.feature_map(card, steady=steady, name="evaluate"))

    def convert(self, sdr: Frames, cuts: tuple[int, ...]) -> Frames:
        """The last stage's frames: a `Method`."""
        from .. import pipeline

        step = self._nodes["hdr"]
        assert isinstance(step, pipeline.Step)
        memo = pipeline.Memo(step)

        def fetch(_: pipeline.Source, at: int) -> Any:
            return self._engine.upload(sdr[at][None])

        def is_cut(_: pipeline.Source, at: int) -> bool:
            return at in cuts

        bounds = (0, len(sdr) - 1)
        found = (pipeline.compute(step, n, bounds, self._calls, fetch, is_cut, memo) for n in range(len(sdr)))
        return np.stack([np.asarray(self._engine.download(frame)[0]) for frame in found])


def _models(chain: str, engine: Engine) -> Method:
    """A model, or several."""
    plan = _Plan(engine)
    for text in stages(chain):
        plan.add_model(*parse(text))
    return plan.convert


def _checkpoint(path: Path) -> Method:
    """The averaged weights of a run in the network of its recipe, after its first stage where it has one; by torch on the CPU."""
    import torch

    from ..engines import create
    from ..networks import graphs, registry
    from ..stages import Stage
    from ..training import checkpoints

    try:
        state = checkpoints.read(path)
    except InputError as error:
        raise InputError(f"evaluate: --checkpoint {path}: {str(error).removeprefix('train: ')}") from None
    recipe = (state.get("recipe") or {}).get("fields", {})
    model = recipe.get("model", "hdcfm")  # the first runs noted no recipe
    network = registry.create(model, **recipe.get("network", {}))
    try:
        network.load_state_dict(state["average"])
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"evaluate: --checkpoint {path} does not hold averaged weights of {model} ({reason})") from None
    network.eval().requires_grad_(False)
    plan = _Plan(create("torch", device="cpu"))
    if first := recipe.get("first_stage"):
        plan.add_model(first)
    for name, part in graphs.parts_of(network, model).items():
        plan.add(Stage(name="evaluate", reads=part.reads, writes=part.writes, function=graphs.graph(network, model, name)))

    def convert(sdr: Frames, cuts: tuple[int, ...]) -> Frames:
        with torch.inference_mode():
            return plan.convert(sdr, cuts)

    return convert
