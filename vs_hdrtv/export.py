"""Networks as ONNX graphs: the same functions as the torch modules, for engines without torch."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .networks import parts

if TYPE_CHECKING:
    from torch import nn

OPSET = 18
"""Version of the operators, the lowest that `torch.onnx.export` writes without converting; a part may need a higher `opset`."""

SMALLEST = 32
"""Pixels a side that the networks need at least."""


def graph_to_onnx(network: nn.Module, path: Path, *, model: str, name: str) -> None:
    """Write one of a network's graphs as an ONNX file, its inputs named by `parts.input_names`; `to_onnx` says more.

    Args:
        network: of the registry's name `model`; left as it is.
        path: file to write.
        model: key of `networks.registry.NETWORKS`.
        name: key of `parts.graphs(networks.graphs.parts_of(network, model))`.

    Raises:
        InputError: there is no such graph, or a package that the export needs is missing.
    """
    from .networks import graphs

    module = graphs.graph(network, model, name)
    found = graphs.parts_of(network, model)
    reads = parts.graphs(found)[name]
    part, _, kind = name.partition(".")
    what = found[part]
    channels = {**parts.CHANNELS, **what.channels, parts.STATISTICS: getattr(module, "size", 0)}
    to_onnx(
        module,
        path,
        reads=parts.input_names(reads),
        writes=parts.STATISTICS if kind == parts.STATISTICS else what.writes,
        channels=[channels[signal] for signal, offsets in reads.items() for _ in offsets],
        vectors=[parts.STATISTICS],
        multiple=what.multiple,
        shrunk={name: parts.SHRUNK[name] for name in reads if name in parts.SHRUNK},
    )


def to_onnx(
    network: nn.Module,
    path: Path,
    *,
    reads: Sequence[str] = ("sdr",),
    writes: str = "hdr",
    channels: int | Sequence[int] = 3,
    vectors: Collection[str] = (),
    multiple: int = 1,
    shrunk: Mapping[str, int] | None = None,
) -> None:
    """Write a module as an ONNX file, float32, (1, `channels`, height, width) with free height and width, those of the frame.

    The file depends on the weights and the library versions alone: no paths, no times.

    Args:
        network: takes (1, C, H, W) tensors and gives one; left as it is.
        path: file to write.
        reads: names of the inputs, in the order of the network's arguments.
        writes: name of the output; where an input has it already, as no two values of a graph may, `WRITES_out`.
        channels: of each input; one number for all, or one for each.
        vectors: names of inputs that are (1, `channels`, 1, 1).
        multiple: that the frame's sides are of.
        shrunk: names of inputs of fewer pixels, with how many of the frame's side are one of theirs; they divide `multiple`.

    Raises:
        InputError: a package that the export needs is missing.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  # what torch.onnx needs
        import torch
        import torch._dynamo.config as dynamo_config
    except ImportError as error:
        raise InputError(f"export: {error.name} is not installed; pip install 'vs-hdrtv[torch,onnx]'") from None
    module = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    # Sides that differ and are no power of two, lest the exporter take one for a constant or for the other.
    counts = [channels] * len(reads) if isinstance(channels, int) else channels
    factors = {name: multiple // (shrunk or {}).get(name, 1) for name in reads}
    # In multiples; of a frame of 16 x 16, seven and nine.
    tall, wide = (96, 120) if multiple == 1 else (7, 9)
    sizes = [(1, 1) if name in vectors else (tall * factors[name], wide * factors[name]) for name in reads]
    example = tuple(torch.zeros(1, count, *size) for count, size in zip(counts, sizes, strict=True))
    least, most = -(-SMALLEST // multiple), (1 << 15) // multiple
    height, width = (torch.export.Dim(name, min=least, max=most) for name in ("height", "width"))
    # Takes the inputs by identity: networks may gather theirs as `*frames`. (It has no type hints.)
    shapes: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    for name, each in zip(reads, example, strict=True):
        factor = factors[name]
        sides = (height, width) if factor == 1 else (factor * height, factor * width)
        shapes[each] = {} if name in vectors else dict(zip((2, 3), sides, strict=True))
    # Without the cache of shapes: with free sizes, making its entries takes longer than what they save.
    with _quiet(), dynamo_config.patch(fake_tensor_cache_enabled=False):
        program: Any = torch.onnx.export(
            module,
            example,
            dynamo=True,
            opset_version=max([OPSET, *(getattr(part, "opset", OPSET) for part in module.modules())]),
            dynamic_shapes=shapes.dynamic_shapes(module, example),
            input_names=list(reads),
            output_names=[f"{writes}_out" if writes in reads else writes],
            external_data=False,
            verbose=False,
        )
    model = program.model_proto
    _strip(model)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _strip(model: Any) -> None:
    """Take out what describes the machine of the export: stack traces with its paths, the exporter's notes."""
    del model.metadata_props[:]
    model.doc_string = ""
    graph = model.graph
    for item in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer, *model.functions):
        item.doc_string = ""
        del item.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress off stdout, which belongs to the video, and its notes on itself out of the log."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
