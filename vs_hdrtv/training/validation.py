"""Metrics of the averaged weights on a few fixed pairs of the validation split, while a run goes on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import InputError
from .objectives import Objective

Measure = Callable[[Tensor, Tensor], float]
"""Of an HDR picture (3, H, W) and its reference."""

Batches = list[tuple[Tensor, Tensor]]
"""`sdr` and `hdr`, (N, 3, H, W) each."""

PAIRS = 16
"""Pairs that are measured, rounded up to whole batches: enough to see a run turn, and a second's work."""

SEED = 0x76616C
"""Beside the recipe's, so that these are no pairs of a step."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What is measured.

    Attributes:
        measures: name -> function; the mean over the pairs is reported.
        every: steps between two of them, and at the end.
        required: a folder without validation scenes is an error, and not a warning.
    """

    measures: Mapping[str, Measure]
    every: int = 500
    required: bool = False

    def __post_init__(self) -> None:
        """Check the number.

        Raises:
            InputError: it is below 1.
        """
        if self.every < 1:
            raise InputError(f"train: --validate-every is {self.every}; give steps, 1 or more, or 0 for never")


class Validator:
    """Measures weights with a copy of the network, in float32: neither the one in training nor the random state is touched.

    Args:
        network: before it is compiled.
        objective: says how the network is applied.
        measures: of `Validation`.
        load: makes the batches, when they are needed first.
    """

    def __init__(
        self, network: nn.Module, objective: Objective, measures: Mapping[str, Measure], load: Callable[[], Batches]
    ) -> None:
        self._network = copy.deepcopy(network).eval()
        self._objective, self._measures, self._load = objective, measures, load
        self._batches: Batches = []

    @torch.no_grad()
    def measure(self, weights: dict[str, Tensor]) -> dict[str, float]:
        """Mean of every measure over the pairs with these weights."""
        self._batches = self._batches or self._load()
        self._network.load_state_dict(weights)
        found: dict[str, list[float]] = {name: [] for name in self._measures}
        for sdr, hdr in self._batches:
            device = next(iter(weights.values())).device
            result = self._objective.apply(self._network, sdr.to(device)).float()  # (N, 3, H, W)
            for one, reference in zip(result, hdr.to(device), strict=True):
                for name, function in self._measures.items():
                    found[name].append(function(one, reference))
        return {name: sum(values) / len(values) for name, values in found.items()}
