"""Model cards, weights and their checksums; import of published checkpoints.

A model is three files of one name in one folder: `X.toml` (the card), `X.safetensors` (for torch), `X.onnx` (for every other
engine). Finding and verifying a model needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKED = Path(__file__).parent / "_weights"
"""Where a wheel has the weights."""

CHECKOUT = Path(__file__).parent.parent / "weights"
"""Where a checkout has them."""

FREE_TABLES = ("data", "recipe", "metrics")
"""Tables of the card whose keys are free."""

SIGNALS = {"hdcfm": (("sdr",), "hdr"), "pdcg": (("hdr", "sdr"), "hdr")}
"""Network -> (signals read, in the order of its arguments, and signal written)."""

_HDCFM = "G. He et al., SDRTV-to-HDRTV via Hierarchical Dynamic Context Feature Mapping, ACM Multimedia 2022"

PAPERS = {"hdcfm": _HDCFM, "pdcg": f"{_HDCFM}, section 3.3"}
"""Network -> its paper."""


@dataclass(frozen=True)
class ModelCard:
    """What a card says, and where its files are.

    Attributes:
        name: the model's name, which is also its files' name.
        network: key of `networks.registry.NETWORKS`.
        path: the card itself, a .toml file.
        safetensors: the weights for torch.
        onnx: the same function as a graph, opset >= 17, inputs and output named as the signals (`export.to_onnx`).
        safetensors_sha256: lowercase hexadecimal checksum that `safetensors` must have.
        onnx_sha256: the same of `onnx`.
        paper: what to cite.
        parameters: how many numbers are trained.
        reads: signals of the inputs, in their order; a card of one input may say it as a plain string.
        writes: signal of the output.
        licence: of the weights.
        preview: the weights are not final; a preset says so once.
        data: free-form table: what the weights were trained on.
        recipe: free-form table: how, seed and commit.
        metrics: free-form table: results on held-out data.
    """

    name: str
    network: str
    path: Path
    safetensors: Path
    onnx: Path
    safetensors_sha256: str
    onnx_sha256: str
    paper: str
    parameters: int
    reads: tuple[str, ...]
    writes: str
    licence: str
    preview: bool = False
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)
    recipe: Mapping[str, Any] = field(default_factory=dict, hash=False)
    metrics: Mapping[str, Any] = field(default_factory=dict, hash=False)


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
        return read_card(folder() / f"{text}.toml")
    path = Path(text)
    if path.suffix not in {".toml", ".safetensors", ".onnx"}:
        known = ", ".join(names()) or "none is installed"
        raise InputError(f"weights: unknown model {text!r}; choose one of: {known}, or a path to a .toml or .safetensors")
    if not path.is_file():
        raise InputError(f"weights: there is no file {text!r}; check the path")
    card = path.with_suffix(".toml")
    if not card.is_file():
        raise InputError(f"weights: {path.name} has no card {card.name} beside it; make one with vs-hdrtv weights import")
    return read_card(card)


def read_card(path: Path) -> ModelCard:
    """Read a .toml card; the weights beside it are not touched.

    Raises:
        InputError: not readable, not TOML, or a field is missing or of another type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"weights: cannot read the card {path}: {error}; install the model again") from None
    files = _value(table, "files", dict, path)
    locations, sums = {}, {}
    for kind in ("safetensors", "onnx"):
        entry = _value(files, kind, dict, path)
        name = _value(entry, "name", str, path)
        if Path(name).name != name:
            raise InputError(f"weights: card {path.name} names the file {name!r}; a file must lie beside its card")
        locations[kind] = path.parent / name
        sums[kind] = _value(entry, "sha256", str, path).lower()
    return ModelCard(
        path=path,
        safetensors=locations["safetensors"],
        onnx=locations["onnx"],
        safetensors_sha256=sums["safetensors"],
        onnx_sha256=sums["onnx"],
        **{key: _value(table, key, str, path) for key in ("name", "network", "paper", "writes", "licence")},
        reads=_reads(table, path),
        parameters=_value(table, "parameters", int, path),
        preview=_value(table, "preview", bool, path),
        **{key: table.get(key, {}) for key in FREE_TABLES},
    )


def _value(table: Mapping[str, Any], key: str, kind: type, path: Path) -> Any:
    value = table.get(key)
    if not isinstance(value, kind):
        found = "nothing" if value is None else repr(value)
        raise InputError(f"weights: card {path.name} has {found} for {key!r}; it must be of type {kind.__name__}")
    return value


def _reads(table: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    value = table.get("reads")
    if isinstance(value, list) and value and all(isinstance(signal, str) for signal in value):
        return tuple(value)
    return (_value(table, "reads", str, path),)


def verify(card: ModelCard, kind: str | None = None) -> None:
    """Compare the files' sha256 with the card's.

    Args:
        card: the model.
        kind: "safetensors" or "onnx"; None for both.

    Raises:
        InputError: a file is missing or is not the one that the card describes.
    """
    for each in ("safetensors", "onnx") if kind is None else (kind,):
        path: Path = getattr(card, each)
        found, expected = _checksum(path, card), getattr(card, f"{each}_sha256")
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

    network = registry.create(card.network)
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
    data: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> ModelCard:
    """Write `name.safetensors`, `name.onnx` and `name.toml` into the folder `output`; the same weights give the same files.

    All three are made under temporary names and renamed at the end, the card last: what is there is whole.

    Args:
        network: the weights, in the network of the registry's name `model`.
        name: of the model and its files.
        output: folder, made where missing.
        model: key of `networks.registry.NETWORKS`.
        licence: of the weights.
        preview: the weights are not final.
        data: the card's free-form table.
        recipe: the card's free-form table.
        metrics: the card's free-form table.

    Raises:
        InputError: the folder cannot be written, or a package of the export is missing.
    """
    from safetensors.torch import save

    from .export import to_onnx

    reads, writes = SIGNALS[model]
    files = {kind: output / f"{name}.{kind}" for kind in ("safetensors", "onnx", "toml")}
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}.", suffix=".partial", dir=output) as scratch:
            made = {kind: Path(scratch) / path.name for kind, path in files.items()}
            state = {key: value.detach().cpu().contiguous() for key, value in sorted(network.state_dict().items())}
            made["safetensors"].write_bytes(save(state))  # save_file would leave it readable by its owner only
            to_onnx(network, made["onnx"], reads=reads, writes=writes)
            sums = {}
            for kind in ("safetensors", "onnx"):
                sums[kind] = {"name": files[kind].name, "sha256": hashlib.sha256(made[kind].read_bytes()).hexdigest()}
            fields: dict[str, Any] = {
                "name": name,
                "network": model,
                "paper": PAPERS[model],
                "parameters": sum(parameter.numel() for parameter in network.parameters()),
                "reads": reads[0] if len(reads) == 1 else list(reads),
                "writes": writes,
                "licence": licence,
                "preview": preview,
                "files": sums,
                "data": data or {},
                "recipe": recipe or {},
                "metrics": metrics or {},
            }
            made["toml"].write_text(_toml(fields), encoding="utf-8")
            for kind, path in files.items():
                made[kind].replace(path)
    except OSError as error:
        raise InputError(f"weights: cannot write {output}: {error.strerror}; choose another folder") from None
    return read_card(files["toml"])


def add_metrics(card: ModelCard, tables: Mapping[str, Any]) -> ModelCard:
    """Write `tables` into the metrics of a card that is there, in place of those of the same names; the rest of it stays.

    Raises:
        InputError: the card cannot be read or written.
    """
    partial = card.path.with_name(card.path.name + ".partial")
    try:
        fields = tomllib.loads(card.path.read_text(encoding="utf-8"))
        fields["metrics"] = {**fields.get("metrics", {}), **tables}
        partial.write_text(_toml(fields), encoding="utf-8")
        partial.replace(card.path)
    except OSError as error:
        raise InputError(
            f"weights: cannot write the card {card.path}: {error.strerror}; copy the model elsewhere first"
        ) from None
    return read_card(card.path)


def _toml(table: Mapping[str, Any], prefix: str = "") -> str:
    """The TOML of strings, numbers, booleans, flat lists and nested tables; there is no writer in the standard library."""
    plain, tables = [], []
    for key, value in table.items():
        name = key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)
        if prefix and _is_row(value):
            numbers = ", ".join(f"{_toml({inner: each}).strip()}" for inner, each in value.items())
            plain.append(f"{name} = {{ {numbers} }}\n")
        elif isinstance(value, Mapping):
            body = _toml(value, f"{prefix}{name}.")
            own = any(not isinstance(inner, Mapping) or _is_row(inner) for inner in value.values())
            head = f"\n[{prefix}{name}]\n" if own else ""
            tables.append(head + body)
        else:
            # A JSON string, number, boolean or list of them is also TOML; \u007f alone JSON leaves bare.
            plain.append(f"{name} = {json.dumps(value).replace(chr(127), chr(92) + 'u007f')}\n")
    return "".join(plain + tables)


def _is_row(value: Any) -> bool:
    """Whether it is a table of numbers alone, a row of a larger table, which reads better on one line."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(each, int | float) for each in value.values())


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
