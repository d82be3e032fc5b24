"""Where training computes and in which number format."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Format of convolutions and products in the forward pass; weights, moments and losses are float32 in all of them."""


MOST_WORKERS = 8
"""Each holds all pictures in memory."""


def available() -> list[str]:
    """Names of the devices that this machine and this build of torch have."""
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = ["cpu", *(f"cuda:{index}" for index in range(cards))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def choose(name: str) -> torch.device:
    """The device of a name.

    Args:
        name: `auto` (the first CUDA device, the CPU where there is none), `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        InputError: it is not there.
    """
    there = available()
    first = "cuda:0" if "cuda:0" in there else "cpu"
    wanted = {"auto": first, "cuda": "cuda:0"}.get(name, name)
    if wanted not in there:
        raise InputError(f"train: device {name!r} is not there; choose one of auto, {', '.join(there)}")
    return torch.device(wanted)


def default_precision(device: torch.device) -> str:
    """bfloat16 on CUDA, float32 elsewhere: on a CPU it is the exact one, and as fast."""
    return "bfloat16" if device.type == "cuda" else "float32"


def default_workers(device: torch.device) -> int:
    """Processes that make pairs: on a CPU the training itself needs the other cores, a GPU waits for as many as there are."""
    return min(MOST_WORKERS, max(1, (os.cpu_count() or 1) - 1)) if device.type == "cuda" else 1


class Mixed(nn.Module):
    """A network whose forward pass computes in half precision; what comes out is float32, as losses in PQ and ICtCp need it.

    Args:
        network: called with the same arguments; its weights stay float32.
        device: that it is on.
        precision: key of `PRECISIONS`.
    """

    def __init__(self, network: nn.Module, device: torch.device, precision: str) -> None:
        super().__init__()
        self.network = network
        self._device, self._precision = device, PRECISIONS[precision]

    def forward(self, *signals: Tensor) -> Tensor:
        """(N, C, H, W) float32 each -> (N, C', H, W) float32."""
        return self._mixed(self.network, *signals)

    def all_frames(self, *signals: Tensor) -> Tensor:
        """`all_frames` of a network that has it (`objectives.CONVERSIONS`), likewise."""
        return self._mixed(self.network.all_frames, *signals)  # type: ignore[arg-type]

    def all_levels(self, *signals: Tensor) -> list[Tensor]:
        """`all_levels` of a network that estimates optical flow, which is float32 anyway."""
        with torch.autocast(self._device.type, self._precision):
            return self.network.all_levels(*signals)  # type: ignore[operator, no-any-return]

    def with_flows(self, *signals: Any) -> tuple[Tensor, list[Tensor]]:
        """`with_flows` of a network that recovers key frames, likewise."""
        with torch.autocast(self._device.type, self._precision):
            result, flows = self.network.with_flows(*signals)  # type: ignore[operator]
        return result.float(), [flow.float() for flow in flows]

    def _mixed(self, function: Callable[..., Tensor], *signals: Tensor) -> Tensor:
        with torch.autocast(self._device.type, self._precision):
            result = function(*signals)
        return result.float()


def in_precision(network: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """`network` itself for float32, else its mixed-precision form.

    Raises:
        InputError: `precision` is not a key of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise InputError(f"train: unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    return network if precision == "float32" else Mixed(network, device, precision)
