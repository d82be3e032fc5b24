"""Model cards, weights and their checksums; import of published checkpoints.

A model is some files of one name in one folder: `X.toml` (the card), `X.safetensors` (for torch), `X.onnx` and, where it has
several graphs, `X.GRAPH.onnx` (for every other engine). Finding and verifying a model needs no torch.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import modelcard
from .errors import InputError
from .modelcard import ModelCard
from .networks import parts

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

PACKED = Path(__file__).parent / "_weights"
"""Where a wheel has the weights."""

CHECKOUT = Path(__file__).parent.parent / "weights"
"""Where a checkout has them."""


def folder() -> Path:
    """The folder of the shipped weights: inside the package in a wheel, beside it in a checkout."""
    return PACKED if PACKED.is_dir() else CHECKOUT


def names() -> tuple[str, ...]:
    """The shipped models' names, sorted."""
    return tuple(sorted(path.stem for path in folder().glob("*.toml")))


def find(model: str | os.PathLike[str]) -> ModelCard:
    """The card of a shipped model or of a file.

    Args:
        model: one of `names()`, or a path to a .toml card or to a .safetensors or .onnx file whose card lies beside it.

    Raises:
        InputError: unknown name, file or card missing or unreadable.
    """
    text = os.fspath(model)
    if text in names():
        return modelcard.read(folder() / f"{text}.toml")
    path = Path(text)
    if path.suffix not in {".toml", ".safetensors", ".onnx"}:
        known = ", ".join(names()) or "none is installed"
        raise InputError(f"weights: unknown model {text!r}; choose one of: {known}, or a path to a .toml or .safetensors")
    if not path.is_file():
        raise InputError(f"weights: there is no file {text!r}; check the path")
    card = path.with_suffix(".toml")
    if not card.is_file():
        raise InputError(f"weights: {path.name} has no card {card.name} beside it; make one with vs-hdrtv weights import")
    return modelcard.read(card)


def find_model(model: str | os.PathLike[str]) -> ModelCard:
    """`find` for those who are about to run it: a model whose training is not finished says so once."""
    card = find(model)
    if card.preview:
        _say_preview(card.name)
    return card


@functools.cache
def _say_preview(name: str) -> None:
    logger.warning("model %s is a preview: its training is not finished (see its card)", name)


def verify(card: ModelCard, name: str | None = None) -> None:
    """Compare the files' sha256 with the card's.

    Args:
        card: the model.
        name: `safetensors` or a graph; None for all files.

    Raises:
        InputError: a file is missing or is not the one that the card describes.
    """
    if name is not None and name != modelcard.WEIGHTS:
        card.graph(name)
    for each in card.files if name is None else (name,):
        path, expected = card.files[each].path, card.files[each].sha256
        found = _checksum(path, card)
        if found != expected:
            raise InputError(
                f"weights: {path} is not the file that its card describes (sha256 {found[:12]}..., card {expected[:12]}...); "
                "it is damaged or was replaced: install it again"
            )


def _checksum(path: Path, card: ModelCard) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"weights: cannot read {path} of model {card.name!r}: {error.strerror}; install it again") from None


def load_state(card: ModelCard) -> dict[str, Tensor]:
    """The verified state dictionary, on the CPU.

    Raises:
        InputError: the file is missing, damaged or not the card's; torch or safetensors is not installed.
    """
    verify(card, "safetensors")
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise InputError(f"weights: {error.name} is not installed; pip install 'vs-hdrtv[torch]'") from None
    try:
        return load_file(card.safetensors)
    except Exception as error:  # safetensors' own exception class is private
        raise InputError(f"weights: {card.safetensors} is not a safetensors file: {error}") from None


def load_network(card: ModelCard) -> nn.Module:
    """The card's network with its weights, for inference (`eval`, no gradients), float32 on the CPU.

    Raises:
        InputError: as `load_state`, or the weights do not fit the network.
    """
    state = load_state(card)  # first: it says what to install where torch is missing
    from .networks import registry

    try:
        network = registry.create(card.network, **card.arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"weights: card {card.path.name} has arguments that {card.network} does not take: {error}") from None
    _fill(network, state, f"{card.safetensors.name}")
    return network.eval().requires_grad_(False)


def _fill(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy `state` into `network`, every tensor accounted for.

    Raises:
        InputError: a tensor is missing, left over or of another shape.
    """
    own = network.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in state]
    wrong += [f"{name} is not known" for name in state if name not in own]
    for name in own:
        if name in state and own[name].shape != state[name].shape:
            wrong.append(f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InputError(f"weights: {source} does not fit the network: {'; '.join(wrong[:3])}{more}; is it of another model?")
    network.load_state_dict(dict(state))


def write(
    network: nn.Module,
    name: str,
    output: Path,
    *,
    model: str,
    licence: str,
    preview: bool = False,
    arguments: Mapping[str, Any] | None = None,
    steady: bool = True,
    data: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> ModelCard:
    """Write `name.safetensors`, a `.onnx` a graph and `name.toml` into the folder `output`; the same weights give the same files.

    All are made under temporary names and renamed at the end, the card last: what is there is whole.

    Args:
        network: the weights, in the network of the registry's name `model`.
        name: of the model and its files.
        output: folder, made where missing.
        model: key of `networks.registry.NETWORKS`.
        licence: of the weights.
        preview: the weights are not final.
        arguments: that the network was made with, where they are not its defaults.
        steady: write the graphs of `steady=` too.
        data: the card's free-form table.
        recipe: the card's free-form table.
        metrics: the card's free-form table.

    Raises:
        InputError: the folder cannot be written, or a package of the export is missing.
    """
    from safetensors.torch import save

    from .export import graph_to_onnx

    chain = parts.of(model, arguments)
    names = [each for each in parts.graphs(chain) if steady or each in chain]
    signals = dict.fromkeys(signal for part in chain.values() for signal in part.reads)
    reads = [signal for signal in signals if signal in parts.CHANNELS and signal != "features"]  # others are the parts' own
    files = {each: output / modelcard.file_name(name, each) for each in (modelcard.WEIGHTS, *names)}
    card = output / f"{name}.toml"
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}.", suffix=".partial", dir=output) as scratch:
            made = {each: Path(scratch) / path.name for each, path in files.items()}
            state = {key: value.detach().cpu().contiguous() for key, value in sorted(network.state_dict().items())}
            made[modelcard.WEIGHTS].write_bytes(save(state))  # save_file would leave it readable by its owner only
            for each in names:
                graph_to_onnx(network, made[each], model=model, name=each)
            sums = {}
            for each, path in files.items():
                checksum = hashlib.sha256(made[each].read_bytes()).hexdigest()
                sums[modelcard.key(each)] = {"name": path.name, "sha256": checksum}
            fields: dict[str, Any] = {
                "name": name,
                "network": model,
                "paper": modelcard.PAPERS[model],
                "parameters": sum(parameter.numel() for parameter in network.parameters()),
                "reads": reads[0] if len(reads) == 1 else reads,
                "writes": list(chain.values())[-1].writes,
                "licence": licence,
                "preview": preview,
                "files": sums,
                "arguments": arguments or {},
                "data": data or {},
                "recipe": recipe or {},
                "metrics": metrics or {},
            }
            whole = Path(scratch) / card.name
            whole.write_text(modelcard.to_toml(fields), encoding="utf-8")
            for each, path in files.items():
                made[each].replace(path)
            whole.replace(card)
    except OSError as error:
        raise InputError(f"weights: cannot write {output}: {error.strerror}; choose another folder") from None
    return modelcard.read(card)


def add_metrics(card: ModelCard, tables: Mapping[str, Any]) -> ModelCard:
    """Write `tables` into the metrics of a card that is there, in place of those of the same names; the rest of it stays.

    Raises:
        InputError: the card cannot be read or written.
    """
    partial = card.path.with_name(card.path.name + ".partial")
    try:
        fields = tomllib.loads(card.path.read_text(encoding="utf-8"))
        fields["metrics"] = {**fields.get("metrics", {}), **tables}
        partial.write_text(modelcard.to_toml(fields), encoding="utf-8")
        partial.replace(card.path)
    except OSError as error:
        raise InputError(
            f"weights: cannot write the card {card.path}: {error.strerror}; copy the model elsewhere first"
        ) from None
    return modelcard.read(card.path)


def convert_checkpoint(path: str | os.PathLike[str], model: str, output: str | os.PathLike[str]) -> ModelCard:
    """Turn the checkpoint that a paper's authors published into a model of ours.

    Args:
        path: the authors' file, of torch's format.
        model: the network's name, for example "hdcfm".
        output: `X.safetensors`; `X.onnx` and `X.toml` are written beside it.

    Returns:
        The card that was written.

    Raises:
        InputError: unknown model or suffix, unreadable file, or tensors that do not fit the network.
    """
    renames = {"hdcfm": "hdcfm_checkpoint"}
    if model not in renames:
        raise InputError(f"weights import: no published checkpoint of {model!r} is known; choose one of: {', '.join(renames)}")
    source, target = Path(path), Path(output)
    if target.suffix != ".safetensors":
        raise InputError(f"weights import: output {target.name!r} must end in .safetensors; the card and the .onnx go beside it")
    if not source.is_file():
        raise InputError(f"weights import: there is no file {str(source)!r}; check the path")
    try:
        import torch
    except ImportError:
        raise InputError("weights import: torch is not installed; pip install 'vs-hdrtv[torch,onnx]'") from None
    from .networks import hdcfm_checkpoint, registry

    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever pickle and zip raise on a file that is not one
        reason = str(error).split("\n")[0]
        raise InputError(f"weights import: {source} is not a checkpoint of torch that holds only weights: {reason}") from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"weights import: {source} holds no table of tensors; is it the authors' checkpoint?")
    network = registry.create(model)
    _fill(network, {hdcfm_checkpoint.rename(str(name)): value for name, value in state.items()}, source.name)
    return write(
        network.eval(),
        target.stem,
        target.parent,
        model=model,
        licence="that of the authors' release, whose checkpoint this was converted from; not for redistribution with vs_hdrtv",
        recipe={"source": source.name, "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest()},
    )
