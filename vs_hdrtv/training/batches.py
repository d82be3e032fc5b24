"""Batches of pairs or clips, each a function of recipe and step alone, made by worker processes or on the training device."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..color.arrays import namespace
from ..color.overexposure import overexposure_mask
from ..errors import InputError
from . import clips, displacement, key_frames, material, pairs, recovery, stopping, validation
from .recipes import Recipe

Batch = tuple[Tensor, ...]
"""`sdr` and `hdr`, (batch, 3, size, size) float32, of clips (batch, frames, 3, size, size). Where the recipe has a loss for
it, then `clips.optical_flow`, (batch, 2, frames - 2, 2, size, size). Of other kinds of recipes what `SIDES` says."""

Sample = pairs.Pair | clips.Clip | displacement.FlowPair | key_frames.KeyFrame | key_frames.Segment

SIDES: Mapping[type, tuple[str, ...]] = {
    pairs.Pair: ("sdr", "hdr"),
    clips.Clip: ("sdr", "hdr"),
    displacement.FlowPair: ("sdr", "reference", "flow", "seen"),
    key_frames.KeyFrame: tuple(field.name for field in dataclasses.fields(key_frames.KeyFrame)),
    key_frames.Segment: tuple(field.name for field in dataclasses.fields(key_frames.Segment)),
}
"""What of a sample a batch has."""

AHEAD = 8
"""Batches that are made before they are asked for: few, since they lie in shared memory, of which a container may have 64 MB."""

DRAWS = 30
"""Pairs that are looked at for one with enough over-exposed; the last is taken as it is, since dark material may have none."""


def from_workers(sources: material.Sources, recipe: Recipe, start: int, workers: int, pinned: bool = False) -> Iterator[Batch]:
    """Endless batches from step `start` on, made by numpy in processes of their own; the same for any number of them.

    Args:
        sources: what the pairs are made of.
        recipe: how.
        start: step.
        workers: processes, each of which holds the pictures; 0 for none but this one.
        pinned: put the batches into memory that a CUDA device reads at once.
    """
    if workers:
        import cv2

        cv2.setNumThreads(1)  # OpenCV's pool of threads does not survive the fork: a worker would wait for it forever
    loader = DataLoader(
        Stream(sources, recipe, start),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=max(2, AHEAD // workers) if workers else None,
        pin_memory=pinned,
        worker_init_fn=stopping.leave_to_parent,
    )
    return iter(loader)


def on_device(sources: material.Sources, recipe: Recipe, start: int, device: torch.device) -> Iterator[Batch]:
    """Endless batches from step `start` on, made by torch on `device` out of views that the host cuts.

    The random choices are those of `from_workers`; sums are rounded otherwise. H.264 and HEVC stay on the host.

    Raises:
        InputError: the recipe is for more than pictures.
    """
    if recipe.kind != "pictures":
        raise InputError("train: clips, flow and key frames are made by worker processes alone; leave out --pairs device")
    loaded = sources.load()
    return (_stacked(make_batch(loaded, recipe, step, device), recipe) for step in itertools.count(start))


def of_validation(sources: material.Sources, recipe: Recipe) -> validation.Batches:
    """Fixed pairs of the recipe's own kind, in batches of its last phase; of validation scenes if `sources` are.

    Of clips `sdr` has all frames, `hdr` the one in the middle. For flow `sdr` has the frame and its reference, `hdr` is the flow.
    Of key frames `sdr` has the frame and its references, each with the flow to it (none for the first), `hdr` its PQ signal.

    Raises:
        InputError: the recipe is for segments of frames.
    """
    check_measured(recipe)
    loaded, phase = sources.load(), recipe.phases[-1]
    numbers = itertools.batched(range(-(-validation.PAIRS // phase.batch) * phase.batch), phase.batch)
    found = []
    for batch in numbers:
        generators = (np.random.default_rng((recipe.seed, validation.SEED, n)) for n in batch)
        made = _stacked([_draw(loaded, phase.size, rng, recipe) for rng in generators], recipe)
        found.append(_MEASURED[recipe.kind](*made))
    return found


def check_measured(recipe: Recipe) -> None:
    """Refuse a recipe whose batches are not measured while a run goes on.

    Raises:
        InputError: it is for segments of frames.
    """
    if recipe.kind not in _MEASURED:
        raise InputError(f"train: {recipe.kind} of frames are not measured while a run goes on; give --validate-every 0")


def _measured_clip(sdr: Tensor, hdr: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
    return sdr, hdr[:, hdr.shape[1] // 2]


def _measured_flow(sdr: Tensor, reference: Tensor, flow: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    return torch.stack([sdr, reference], dim=1), flow  # (N, 2, 3, H, W), (N, 2, H, W)


def _measured_key_frame(sdr: Tensor, linear: Tensor, flow: Tensor, estimated: Tensor) -> tuple[Tensor, Tensor]:
    nowhere = torch.zeros_like(estimated[:, :1])
    frames = torch.cat([sdr, torch.cat([nowhere, estimated], dim=1)], dim=2)  # (N, 1 + R, 5, H, W)
    return frames, recovery.blended(sdr[:, 0], recovery.seen(linear))


_MEASURED: Mapping[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "pictures": lambda sdr, hdr: (sdr, hdr),
    "clips": _measured_clip,
    "flow": _measured_flow,
    "key_frames": _measured_key_frame,
}
"""Kind of recipe -> what of a batch is measured."""


def make_batch(loaded: material.Material, recipe: Recipe, step: int, device: torch.device | None = None) -> list[Sample]:
    """The pairs or clips of one step of a recipe, `device` as for `material.Material.draw`."""
    phase = recipe.phase(step)
    generators = (np.random.default_rng((recipe.seed, step, item)) for item in range(phase.batch))
    return [_draw(loaded, phase.size, rng, recipe, device) for rng in generators]


class Stream(IterableDataset[Batch]):
    """`from_workers` as a data set of torch."""

    def __init__(self, sources: material.Sources, recipe: Recipe, start: int) -> None:
        self.sources = sources
        self.recipe = recipe
        self.start = start

    def __iter__(self) -> Iterator[Batch]:
        """Of N workers each makes every Nth."""
        torch.set_num_threads(1)
        loaded = self.sources.load()
        worker = get_worker_info()
        first, stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for step in itertools.count(self.start + first, stride):
            yield _stacked(make_batch(loaded, self.recipe, step), self.recipe)


def _stacked(batch: list[Sample], recipe: Recipe) -> Batch:
    xp = namespace(batch[0].sdr)
    found = [
        xp.stack([getattr(sample, side) for sample in batch]) for side in SIDES[type(batch[0])]
    ]  # (N, 3, H, W) or (N, T, 3, H, W)
    if recipe.consistency:
        found.append(np.stack([clips.optical_flow(hdr) for hdr in found[1]]))  # (N, 2, T - 2, 2, H, W)
    return tuple(torch.as_tensor(each) for each in found)


def _draw(
    loaded: material.Material, size: int, rng: np.random.Generator, recipe: Recipe, device: torch.device | None = None
) -> Sample:
    if recipe.kind in _DRAWN:
        return _DRAWN[recipe.kind](loaded, size, rng, recipe)
    draw = partial(loaded.draw, size, rng, recipe.look, recipe.bars, recipe.variety, device)
    pair = draw()
    for _ in range(DRAWS - 1 if recipe.overexposed else 0):
        if _overexposed(pair) >= recipe.overexposed:
            break
        pair = draw()
    return pair


_DRAWN: Mapping[str, Callable[[material.Material, int, np.random.Generator, Recipe], Sample]] = {
    "clips": lambda loaded, size, rng, recipe: loaded.draw_clip(
        size, rng, recipe.frames, recipe.motion, recipe.look, recipe.bars, recipe.variety
    ),
    "flow": lambda loaded, size, rng, recipe: loaded.draw_flow_pair(size, rng, recipe.displacement),
    "key_frames": lambda loaded, size, rng, recipe: loaded.draw_key_frame(
        size, rng, recipe.references, recipe.motion, recipe.variety
    ),
    "segments": lambda loaded, size, rng, recipe: loaded.draw_segment(size, rng, recipe.motion, recipe.variety),
}
"""Kind of recipe, but for pictures, -> one sample."""


def _overexposed(pair: pairs.Pair) -> float:
    """Share of a pair's pixels that are over-exposed."""
    mask = overexposure_mask(pair.sdr[None])  # (1, 1, H, W)
    xp = namespace(mask)
    return float(xp.mean(xp.astype(mask > 0, mask.dtype)))
