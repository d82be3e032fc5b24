"""Model cards: what a `.toml` says of a model, and where its files are. Needs no torch."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import InputError
from .networks import parts
from .networks.parts import Part

_HDCFM = "G. He et al., SDRTV-to-HDRTV via Hierarchical Dynamic Context Feature Mapping, ACM Multimedia 2022"
_VITM_TC = "Y. Ye et al., Deep Video Inverse Tone Mapping Based on Temporal Clues (VITM-TC), CVPR 2024"
_KPN_MFI = "G. Cao et al., A Kernel Prediction Network with Multi-frame Interaction for Video Inverse Tone Mapping, IJCAI 2022"

PAPERS = {
    "hdcfm": _HDCFM,
    "pdcg": f"{_HDCFM}, section 3.3",
    "dslnet": "K. Xu et al., SDRTV-to-HDRTV Conversion via Spatial-Temporal Feature Fusion (DSLNet), 2022",
    "kpn_mfi": _KPN_MFI,
    "hdcfm_mfi": f"{_HDCFM}; with the interaction of {_KPN_MFI}",
    "flow": "of this project, in the line of D. Sun et al., PWC-Net, CVPR 2018; the flow that VITM-TC's stages start from",
    "icam": f"{_VITM_TC}, section 3.3",
    "fcpm": f"{_VITM_TC}, section 3.4",
}
"""Network -> its paper."""

FREE_TABLES = ("arguments", "data", "recipe", "metrics")
"""Tables of the card whose keys are free."""

WEIGHTS = "safetensors"
"""The file of the weights; all others are graphs."""

_KEYS = {parts.WHOLE: "onnx"}
"""Graph -> its key in the card where that is not its own name."""


@dataclass(frozen=True)
class ModelFile:
    """A file of a model, and the lowercase hexadecimal SHA-256 that it must have."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class ModelCard:
    """What a card says, and where its files are.

    Attributes:
        name: the model's name, which is also its files' name.
        network: key of `networks.registry.NETWORKS`.
        path: the card itself, a .toml file.
        files: `safetensors` (the weights for torch) and the graphs by their names (`networks.parts`): the same functions as ONNX,
            opset >= 17, inputs and output named as the signals (`export.to_onnx`).
        paper: what to cite.
        parameters: how many numbers are trained.
        reads: signals of the inputs, in their order; a card of one input may say it as a plain string.
        writes: signal of the output.
        licence: of the weights.
        preview: the weights are not final; a preset says so once.
        arguments: that the network is made with, where they are not its defaults.
        data: free-form table: what the weights were trained on.
        recipe: free-form table: how, seed and commit.
        metrics: free-form table: results on held-out data.
    """

    name: str
    network: str
    path: Path
    files: Mapping[str, ModelFile] = field(hash=False)
    paper: str
    parameters: int
    reads: tuple[str, ...]
    writes: str
    licence: str
    preview: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)
    recipe: Mapping[str, Any] = field(default_factory=dict, hash=False)
    metrics: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that it is run in, in their order.

        Raises:
            InputError: the network is unknown.
        """
        return parts.of(self.network, self.arguments)

    @property
    def safetensors(self) -> Path:
        """The weights."""
        return self.files[WEIGHTS].path

    @property
    def safetensors_sha256(self) -> str:
        """Their checksum."""
        return self.files[WEIGHTS].sha256

    @property
    def onnx(self) -> Path:
        """The graph of a network of one part."""
        return self.graph(parts.WHOLE).path

    def graph(self, name: str) -> ModelFile:
        """The file of a graph.

        Raises:
            InputError: the model has none of that name.
        """
        if name not in self.files or name == WEIGHTS:
            found = ", ".join(sorted(set(self.files) - {WEIGHTS}))
            raise InputError(f"weights: model {self.name!r} has no graph {name!r} (it has {found}); export or import it again")
        return self.files[name]


def key(name: str) -> str:
    """Of a file in the card: that of its graph, or `safetensors`."""
    return _KEYS.get(name, name)


def file_name(model: str, name: str) -> str:
    """Of the file of a graph, or of the weights."""
    if name == WEIGHTS:
        return f"{model}.{WEIGHTS}"
    return f"{model}.onnx" if name == parts.WHOLE else f"{model}.{name.removeprefix(f'{parts.WHOLE}.')}.onnx"


def read(path: Path) -> ModelCard:
    """Read a .toml card; the weights beside it are not touched.

    Raises:
        InputError: not readable, not TOML, or a field is missing or of another type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"weights: cannot read the card {path}: {error}; install the model again") from None
    names = _value(table, "files", dict, path)
    files = {}
    for kind in (WEIGHTS, *(found for found in names if found != WEIGHTS)):
        entry = _value(names, kind, dict, path)
        name = _value(entry, "name", str, path)
        if Path(name).name != name:
            raise InputError(f"weights: card {path.name} names the file {name!r}; a file must lie beside its card")
        graph = next((graph for graph, key in _KEYS.items() if key == kind), kind)
        files[graph] = ModelFile(path.parent / name, _value(entry, "sha256", str, path).lower())
    if len(files) < 2:
        raise InputError(f"weights: card {path.name} names no graph beside the weights; export the model again")
    return ModelCard(
        path=path,
        files=files,
        **{key: _value(table, key, str, path) for key in ("name", "network", "paper", "writes", "licence")},
        reads=_reads(table, path),
        parameters=_value(table, "parameters", int, path),
        preview=_value(table, "preview", bool, path),
        **{key: _value({key: {}, **table}, key, dict, path) for key in FREE_TABLES},
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


def to_toml(table: Mapping[str, Any], prefix: str = "") -> str:
    """The TOML of strings, numbers, booleans, flat lists and nested tables; there is no writer in the standard library."""
    plain, tables = [], []
    for key, value in table.items():
        name = key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)
        if prefix and _is_row(value):
            numbers = ", ".join(f"{to_toml({inner: each}).strip()}" for inner, each in value.items())
            plain.append(f"{name} = {{ {numbers} }}\n")
        elif isinstance(value, Mapping):
            body = to_toml(value, f"{prefix}{name}.")
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
