"""The graphs of a network (`parts.graphs`) as modules: tensors in the order of what a graph reads, one tensor out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import InputError
from . import parts, statistics

TINY = 32
"""Pixels a side of the frame that a part is counted on, the fewest that the networks take."""


_MAKERS = {("dslnet", "modulate"): "modulation.condition"}
"""Model and part -> the module in it that makes all its statistics, where that takes no other signals than they are made of."""


class StatisticsGraph(nn.Module):
    """A part's statistics; it is run no further than to the last of them.

    Args:
        maker: the part, or what in it makes its statistics.
        size: S.
    """

    def __init__(self, maker: nn.Module, size: int) -> None:
        super().__init__()
        self.maker, self.size = maker, size

    def forward(self, *inputs: Tensor) -> Tensor:
        """The signals that the statistics are made of -> (N, S, 1, 1)."""
        # The tracer cannot leave a module halfway; what nothing reads it leaves out afterwards.
        enough = None if torch.onnx.is_in_onnx_export() else self.size
        return statistics.record(lambda: self.maker(*inputs), enough)


class SteadyGraph(nn.Module):
    """A part whose statistics are given.

    Args:
        part: the module.
        size: S.
    """

    def __init__(self, part: nn.Module, size: int) -> None:
        super().__init__()
        self.part, self.size = part, size

    def forward(self, *inputs: Tensor) -> Tensor:
        """The part's arguments and its statistics (N, S, 1, 1) -> what the part gives."""
        *arguments, vector = inputs
        with statistics.replaying(vector):
            return self.part(*arguments)  # type: ignore[no-any-return]


def parts_of(network: nn.Module, model: str) -> dict[str, parts.Part]:
    """`parts.of` a network that is made already.

    Args:
        network: of the registry's name `model`.
        model: key of `registry.NETWORKS`.
    """
    frames, arguments = getattr(network, "frames", None), getattr(network, "arguments", None)
    return parts.of(model, {"radius": frames // 2} if isinstance(frames, int) else arguments)


def graph(network: nn.Module, model: str, name: str) -> nn.Module:
    """One of the graphs of `network`, sharing its weights.

    Args:
        network: of the registry's name `model`.
        model: key of `registry.NETWORKS`.
        name: key of `parts.graphs(parts_of(network, model))`.

    Raises:
        InputError: there is no such graph, or it is one of statistics and this network, as it was made, has none.
    """
    all_parts = parts_of(network, model)
    if name not in (known := parts.graphs(all_parts)):
        raise InputError(f"graphs: {model} has no graph {name!r}; choose one of {', '.join(known)}")
    part, _, kind = name.partition(".")
    module = _module(network, part)
    if not kind:
        return module
    size = statistics_size(network, model, part)
    if kind == parts.STEADY:
        return SteadyGraph(module, size)
    maker = _MAKERS.get((model, part))
    return StatisticsGraph(module.get_submodule(maker) if maker else module, size)


def statistics_size(network: nn.Module, model: str, part: str) -> int:
    """S, how many numbers of a frame the statistics of a part are.

    Args:
        network: of the registry's name `model`.
        model: key of `registry.NETWORKS`.
        part: key of `parts_of(network, model)` that has statistics.

    Raises:
        InputError: this network, as it was made, has none.
    """
    return statistics_groups(network, model, part)[-1]


def statistics_groups(network: nn.Module, model: str, part: str) -> list[int]:
    """`statistics.groups` of a part; the arguments are those of `statistics_size`.

    Raises:
        InputError: this network, as it was made, has none.
    """
    found, module = parts_of(network, model)[part], _module(network, part)
    like = next(module.parameters())
    inputs = [like.new_zeros(1, parts.CHANNELS[signal], TINY, TINY) for signal, offsets in found.reads.items() for _ in offsets]
    with torch.no_grad():
        return statistics.groups(lambda: module(*inputs))


def _module(network: nn.Module, part: str) -> nn.Module:
    if part == parts.WHOLE:
        return network
    find: Callable[[str], nn.Module] = getattr(network, "part", network.get_submodule)
    return find(part)
