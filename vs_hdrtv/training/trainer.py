"""The training loop: pairs by index, compiled step, moving average, checkpoints that resume exactly."""

from __future__ import annotations

import csv
import itertools
import json
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from ..color.overexposure import overexposure_mask
from ..errors import InputError
from ..networks.blocks import compile_for_training
from . import material, pairs
from .objectives import FeatureMapping, Objective
from .recipes import Recipe

logger = logging.getLogger(__name__)


class PairStream(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless batches, each a function of the recipe and its step alone, so that a resumed run sees the same ones."""

    def __init__(self, data: Path, split: str, recipe: Recipe, start: int) -> None:
        self.sources = material.find(data, split, recipe.variety)
        self.recipe = recipe
        self.start = start

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (batch, 3, size, size) float32 tensors `sdr`, `hdr`."""
        torch.set_num_threads(1)
        loaded = self.sources.load()
        for step in itertools.count(self.start):
            batch = make_batch(loaded, self.recipe, step)
            sdr, hdr = (np.stack([getattr(pair, side) for pair in batch]) for side in ("sdr", "hdr"))
            yield torch.from_numpy(sdr), torch.from_numpy(hdr)


def make_batch(loaded: material.Material, recipe: Recipe, step: int) -> list[pairs.Pair]:
    """The pairs of one step of a recipe."""
    phase = recipe.phase(step)
    generators = (np.random.default_rng((recipe.seed, step, item)) for item in range(phase.batch))
    return [_draw(loaded, phase.size, rng, recipe) for rng in generators]


DRAWS = 30
"""Pairs that are looked at for one with enough over-exposed; the last is taken as it is, since dark material may have none."""


def _draw(loaded: material.Material, size: int, rng: np.random.Generator, recipe: Recipe) -> pairs.Pair:
    for _ in range(DRAWS):
        pair = loaded.draw(size, rng, recipe.look, recipe.bars, recipe.variety)
        if not recipe.overexposed or (overexposure_mask(pair.sdr[None]) > 0).mean() >= recipe.overexposed:
            break
    return pair


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then half a cosine down to 1 % at the recipe's last step."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    done = min(1.0, (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup))
    return recipe.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def train(
    network: nn.Module, recipe: Recipe, data: Path, output: Path, *, objective: Objective | None = None, compiled: bool = True
) -> dict[str, Tensor]:
    """Train `network` by `recipe`, resuming from `output/checkpoint.pt` where there is one.

    Args:
        network: initialised network; its weights are replaced by the checkpoint's when one is resumed.
        recipe: size, steps, rates, seed.
        data: what `material.find` takes.
        output: folder for `checkpoint.pt` and `curve.csv`, and `setup.json` where the objective is more than its recipe.
        objective: losses; None for those of a network of the first stage.
        compiled: compile the dynamic filters (a fraction of eager's time on a CPU).

    Returns:
        The exponential moving average of the weights.

    Raises:
        InputError: the checkpoint is of a run with another setup.
    """
    if objective is None:
        objective = FeatureMapping(recipe)
    output.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    step = 0
    checkpoint = output / "checkpoint.pt"
    if checkpoint.exists():
        state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        if state.get("setup", {}) != objective.setup:
            found = f"{_words(state.get('setup', {}))}, not with {_words(objective.setup)}"
            raise InputError(f"train: {checkpoint} was made with {found}; go on with the same, or give another --output")
        network.load_state_dict(state["network"])
        objective.restore(state.get("objective", {}))
        optimizer.load_state_dict(state["optimizer"])
        average, step = state["average"], state["step"]
        _forget_after(output / "curve.csv", step)
        logger.info("train: resumed from %s at step %d", checkpoint, step)
    torch.manual_seed(recipe.seed + step)
    loader = iter(DataLoader(PairStream(data, "train", recipe, step), batch_size=None, num_workers=1, prefetch_factor=8))
    if objective.setup:
        (output / "setup.json").write_text(json.dumps(objective.setup, indent=1) + "\n", encoding="utf-8")
    for each in (network, *objective.frozen) if compiled else ():
        compile_for_training(each)
    network.train()
    start, first, count = time.monotonic(), step, 0
    totals = dict.fromkeys(objective.terms, 0.0)
    while step < recipe.steps:
        sdr, hdr = next(loader)
        # The seed of the step makes dropout the same in an interrupted run as in one that was not.
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step)
        loss, terms = objective.loss(network, sdr, hdr)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        optimizer.step()
        terms |= objective.learn(learning_rate(recipe, step))
        step += 1
        decay = min(recipe.average, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            average[name].lerp_(value.detach(), 1 - decay)
        totals, count = {name: value + float(terms[name]) for name, value in totals.items()}, count + 1
        if step % recipe.report == 0 or step == recipe.steps:
            rate = (step - first) / (time.monotonic() - start)
            left = (recipe.steps - step) / rate / 60
            means = {name: value / count for name, value in totals.items()}
            figures = "  ".join(f"{name} {value:.5f}" for name, value in means.items())
            logger.info("step %d/%d  %s  %.2f steps/s  %.0f min left", step, recipe.steps, figures, rate, left)
            _append(output / "curve.csv", step, means)
            totals, count = dict.fromkeys(totals, 0.0), 0
        if step % recipe.checkpoint == 0 or step == recipe.steps:
            _save(
                checkpoint,
                {
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "average": average,
                    "step": step,
                    "objective": objective.state(),
                    "setup": objective.setup,
                },
            )
    return average


def _words(setup: dict[str, str]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in sorted(setup.items())) or "no setup"


def _append(path: Path, step: int, means: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", *means])
        writer.writerow([step, *(f"{mean:.6f}" for mean in means.values())])


def _forget_after(path: Path, step: int) -> None:
    """Drop what an interrupted run reported after its last checkpoint: the resumed one reports it again."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file)) or [["step", "l1"]]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *(row for row in rows if int(row[0]) <= step)])


def _save(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
