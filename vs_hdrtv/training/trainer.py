"""The training loop: pairs by index, compiled step, moving average, checkpoints that resume exactly."""

from __future__ import annotations

import csv
import itertools
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from ..networks.blocks import compile_for_training
from . import losses, material, pairs
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
    return [loaded.draw(phase.size, rng, recipe.look, recipe.bars, recipe.variety) for rng in generators]


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then half a cosine down to 1 % at the recipe's last step."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    done = min(1.0, (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup))
    return recipe.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def train(network: nn.Module, recipe: Recipe, data: Path, output: Path, *, compiled: bool = True) -> dict[str, Tensor]:
    """Train `network` by `recipe`, resuming from `output/checkpoint.pt` where there is one.

    Args:
        network: initialised network; its weights are replaced by the checkpoint's when one is resumed.
        recipe: size, steps, rates, seed.
        data: what `material.find` takes.
        output: folder for `checkpoint.pt` and `curve.csv`.
        compiled: compile the dynamic filters (a fraction of eager's time on a CPU).

    Returns:
        The exponential moving average of the weights.
    """
    output.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    step = 0
    checkpoint = output / "checkpoint.pt"
    if checkpoint.exists():
        state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average, step = state["average"], state["step"]
        _forget_after(output / "curve.csv", step)
        logger.info("train: resumed from %s at step %d", checkpoint, step)
    torch.manual_seed(recipe.seed + step)
    loader = iter(DataLoader(PairStream(data, "train", recipe, step), batch_size=None, num_workers=1, prefetch_factor=8))
    if compiled:
        compile_for_training(network)
    network.train()
    start, first, total, count = time.monotonic(), step, 0.0, 0
    while step < recipe.steps:
        sdr, hdr = next(loader)
        # The seed of the step makes dropout the same in an interrupted run as in one that was not.
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, step)
        result = network(sdr)
        l1 = functional.l1_loss(result, hdr)
        loss = l1 + recipe.ictcp * losses.ictcp_difference(result, hdr) if recipe.ictcp else l1
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        optimizer.step()
        step += 1
        decay = min(recipe.average, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            average[name].lerp_(value.detach(), 1 - decay)
        total, count = total + float(l1.detach()), count + 1
        if step % recipe.report == 0 or step == recipe.steps:
            rate = (step - first) / (time.monotonic() - start)
            left = (recipe.steps - step) / rate / 60
            logger.info("step %d/%d  L1 %.5f  %.2f steps/s  %.0f min left", step, recipe.steps, total / count, rate, left)
            _append(output / "curve.csv", step, total / count)
            total, count = 0.0, 0
        if step % recipe.checkpoint == 0 or step == recipe.steps:
            _save(
                checkpoint,
                {
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "average": average,
                    "step": step,
                },
            )
    return average


def _append(path: Path, step: int, loss: float) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "l1"])
        writer.writerow([step, f"{loss:.6f}"])


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
