"""The training loop: pairs by index, compiled step, moving average, checkpoints that resume exactly, on a CPU or a GPU."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..errors import InputError
from ..networks.blocks import compile_for_training
from . import batches, checkpoints, curves, devices, gradients, material, stopping, validation
from .objectives import FeatureMapping, Objective
from .recipes import Recipe

logger = logging.getLogger(__name__)

CPU = torch.device("cpu")


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then half a cosine down to 1 % at the recipe's last step."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    done = min(1.0, (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup))
    return recipe.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is done; on a CPU in float32 none of it changes the weights.

    Attributes:
        name: of the recipe, for the checkpoint; empty for one that has none.
        device: of the networks.
        precision: key of `devices.PRECISIONS`, of the forward pass.
        pairs_on_device: make pairs by torch on `device` instead of by numpy in worker processes.
        workers: processes that make pairs otherwise.
        checkpoint_minutes: longest time between two checkpoints.
        small: keep the files of a checkpoint below `checkpoints.LIMIT`.
        validation: what is measured while it goes on; None for nothing.
    """

    name: str = ""
    device: torch.device = CPU
    precision: str = "float32"
    pairs_on_device: bool = False
    workers: int = 1
    checkpoint_minutes: float = 5.0
    small: bool = False
    validation: validation.Validation | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: one is too small.
        """
        if self.workers < 1:
            raise InputError(f"train: --workers is {self.workers}; give 1 or more")
        if not self.checkpoint_minutes > 0:
            raise InputError(f"train: --checkpoint-minutes is {self.checkpoint_minutes:g}; give a number above 0")


def train(
    network: nn.Module,
    recipe: Recipe,
    data: Path,
    output: Path,
    *,
    objective: Objective | None = None,
    compiled: bool = True,
    options: Options | None = None,
    stop: stopping.Stop | None = None,
) -> dict[str, Tensor]:
    """Train `network` by `recipe`, resuming from `output/checkpoint.pt` where there is one.

    Args:
        network: initialised network; its weights are replaced by the checkpoint's when one is resumed.
        recipe: size, steps, rates, seed.
        data: what `material.find` takes.
        output: folder for checkpoint, `average.safetensors` and curves, and `setup.json` where the objective has a setup.
        objective: losses; None for those of a network of the first stage.
        compiled: compile the dynamic filters (a fraction of eager's time on a CPU).
        options: device, precision, and what is written how often.
        stop: ends the run before its last step; None for never.

    Returns:
        The exponential moving average of the weights, on the CPU; `average.safetensors` has the same.

    Raises:
        InputError: the checkpoint is of a run with another recipe or setup, there is nothing to train on or to write to, or the
            loss is no number any more.
    """
    run = _Run(network, recipe, output, objective or FeatureMapping(recipe), options or Options(), stop or stopping.Stop())
    run.resume()
    if run.step < recipe.steps:
        run.go(data, compiled)
    run.leave()
    return {name: value.cpu() for name, value in run.average.items()}


class _Run:
    """What changes from step to step, and what is done with it."""

    def __init__(
        self, network: nn.Module, recipe: Recipe, output: Path, objective: Objective, options: Options, stop: stopping.Stop
    ) -> None:
        self.recipe, self.output, self.objective, self.options, self.stop = recipe, output, objective, options, stop
        self.checkpoint = output / "checkpoint.pt"
        self.network = network.to(options.device)
        self.forward = devices.in_precision(network, options.device, options.precision)
        objective.to(options.device)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
        self.scaler = torch.amp.GradScaler(options.device.type, enabled=options.precision == "float16")
        self.weights = network.state_dict()  # these tensors are the network's own: they change with it
        self.average = {name: value.detach().clone() for name, value in self.weights.items()}
        self.step = 0
        self.totals, self.count, self.left_out = dict.fromkeys(objective.terms, 0.0), 0, 0
        self.unread: list[dict[str, Tensor]] = []
        self.saved: int | None = None
        self.saved_at = stop.clock()

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one."""
        if not self.checkpoint.exists():
            return
        state = checkpoints.read(self.checkpoint)
        made_of = checkpoints.identity(self.options.name, self.recipe)
        checkpoints.check(self.checkpoint, state, made_of, self.objective.setup)
        self.network.load_state_dict(state["network"])
        self.objective.restore(state.get("objective", {}))
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler.is_enabled() and state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        self.step = self.saved = state["step"]
        self.totals |= state.get("totals", {})
        self.count = state.get("count", 0)
        for name in (curves.CURVE, curves.METRICS):
            curves.forget_after(self.output / name, self.step)
        logger.info("train: resumed from %s at step %d", self.checkpoint, self.step)
        before = state.get("precision", "float32")
        if before != self.options.precision:
            logger.warning("train: the steps before were in %s, those from here on are in %s", before, self.options.precision)
        if "note" in state:
            logger.warning("train: %s: %s", self.checkpoint, state["note"])

    def go(self, data: Path, compiled: bool) -> None:
        """Train until the last step or until it is stopped."""
        recipe, options = self.recipe, self.options
        sources = material.find(data, "train", recipe.variety)
        self._make_output()
        torch.manual_seed(recipe.seed + self.step)
        on_gpu = options.device.type == "cuda"
        if on_gpu:
            torch.cuda.set_device(options.device)
        if options.pairs_on_device:
            stream = batches.on_device(sources, recipe, self.step, options.device)
        else:
            stream = batches.from_workers(sources, recipe, self.step, options.workers, pinned=on_gpu)
        validator = self._validator(data)
        for each in (self.network, *self.objective.frozen) if compiled else ():
            compile_for_training(each)
        self.network.train()
        start, first = self.stop.clock(), self.step
        with _progress(recipe.steps, self.step) as advance:
            while self.step < recipe.steps and not self.stop.wanted():
                self._learn(*(each.to(options.device, non_blocking=True) for each in next(stream)))
                advance()
                last = self.step == recipe.steps
                if self.step % recipe.report == 0 or last:
                    self._report((self.step - first) / max(1e-9, self.stop.clock() - start))
                if validator is not None and options.validation and (self.step % options.validation.every == 0 or last):
                    self._validate(validator)
                late = self.stop.clock() - self.saved_at >= 60 * options.checkpoint_minutes
                if self.step % recipe.checkpoint == 0 or last or late:
                    self._save()

    def leave(self) -> None:
        """Write what is left to write at the end, or where the run was stopped."""
        if self.stop.reason is not None:
            if self.saved != self.step:
                self._save()
            told = "train: stopped (%s) at step %d of %d; the same command goes on from %s"
            logger.info(told, self.stop.reason, self.step, self.recipe.steps, self.checkpoint)
        average = self.output / "average.safetensors"
        checkpoints.write_average(average, self.average, self.step, self.recipe, self.options.name)

    def _make_output(self) -> None:
        try:
            self.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"train: cannot make {self.output}: {error.strerror}; give another --output") from None
        if not os.access(self.output, os.W_OK):
            raise InputError(f"train: {self.output} cannot be written; give another --output")
        if self.objective.setup:
            (self.output / "setup.json").write_text(json.dumps(self.objective.setup, indent=1) + "\n", encoding="utf-8")

    def _validator(self, data: Path) -> validation.Validator | None:
        wanted = self.options.validation
        if wanted is None:
            return None
        try:
            batches.check_measured(self.recipe)
            sources = material.find(data, "validation", self.recipe.variety)
        except InputError as error:
            if wanted.required:
                raise
            logger.warning("train: no metrics while it goes on: %s", error)
            return None
        load = functools.partial(batches.of_validation, sources, self.recipe)
        return validation.Validator(self.network, self.objective, wanted.measures, load)

    def _learn(self, *batch: Tensor) -> None:
        """One step of network, objective and average on a `batches.Batch`."""
        recipe = self.recipe
        # The seed of the step makes dropout the same in an interrupted run as in one that was not.
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)
        rate = learning_rate(recipe, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, terms = self.objective.loss(self.forward, *batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        gradients.clip(self.network.parameters(), recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.unread.append(terms | self.objective.learn(rate))
        self.step += 1
        decay = min(recipe.average, (1 + self.step) / (10 + self.step))
        get_ema_multi_avg_fn(decay)(list(self.average.values()), list(self.weights.values()), None)  # type: ignore[no-untyped-call]

    def _add_up(self) -> None:
        """Read the losses of the last steps; only now, since a GPU is waited for. What is not finite would spoil their mean."""
        for terms in self.unread:
            values = {name: float(terms[name]) for name in self.totals}
            if all(map(math.isfinite, values.values())):
                self.totals = {name: value + values[name] for name, value in self.totals.items()}
                self.count += 1
            else:
                self.left_out += 1
        self.unread.clear()

    def _report(self, rate: float) -> None:
        self._add_up()
        if not self.count:
            since = f"train: of the last {self.left_out} steps up to {self.step} no loss was finite"
            kept = f"; {self.checkpoint} has step {self.saved}" if self.saved is not None else ""
            raise InputError(f"{since}; give the recipe a lower learning_rate or clip{kept}")
        if self.left_out:
            logger.warning(
                "train: %d of the last %d steps had no finite loss and were left out", self.left_out, self.left_out + self.count
            )
        means = {name: value / self.count for name, value in self.totals.items()}
        figures = "  ".join(f"{name} {value:.5f}" for name, value in means.items())
        left = (self.recipe.steps - self.step) / rate / 60
        logger.info("step %d/%d  %s  %.2f steps/s  %.0f min left", self.step, self.recipe.steps, figures, rate, left)
        curves.append(self.output / curves.CURVE, self.step, means)
        self.totals, self.count, self.left_out = dict.fromkeys(self.totals, 0.0), 0, 0

    def _validate(self, validator: validation.Validator) -> None:
        found = validator.measure(self.average)
        logger.info("step %d/%d  %s", self.step, self.recipe.steps, "  ".join(f"{k} {v:.3f}" for k, v in found.items()))
        curves.append(self.output / curves.METRICS, self.step, found)

    def _save(self) -> None:
        self._add_up()
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average,
            "step": self.step,
            "totals": self.totals,
            "count": self.count,
            "objective": self.objective.state(),
            "setup": self.objective.setup,
            "recipe": checkpoints.identity(self.options.name, self.recipe),
            "precision": self.options.precision,
        }
        checkpoints.write(self.checkpoint, state, small=self.options.small)
        curves.draw(self.output)
        self.saved, self.saved_at = self.step, self.stop.clock()


@contextlib.contextmanager
def _progress(steps: int, done: int) -> Iterator[Callable[[], object]]:
    """A bar on standard error, for a person at a terminal only; gives what is called after a step."""
    try:
        from tqdm import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm
    except ImportError:
        yield lambda: None
        return
    bar = tqdm(total=steps, initial=done, unit="step", file=sys.stderr, disable=not sys.stderr.isatty(), dynamic_ncols=True)
    with logging_redirect_tqdm() if not bar.disable else contextlib.nullcontext(), bar:
        yield bar.update
