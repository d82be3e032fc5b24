"""A run's state on disk: whole or small, of which recipe, and the averaged weights."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .recipes import Recipe

LIMIT = 16 * 2**20
"""Bytes that a file of a small checkpoint stays below."""

NOTE = "Adam's moments and the distance of the average from the weights were rounded to bfloat16: going on from here is not exact"

REPORTING = ("report", "checkpoint", "restraint", "interpolation")
"""Fields of a recipe that say what is told of a run, or is done after it; it may go on with others."""


def identity(name: str, recipe: Recipe) -> dict[str, Any]:
    """Name and fields of a recipe, for a checkpoint. A field at its default is left out, so that a new one changes nothing."""
    return {"name": name, "fields": {key: value for key, value in _fields(recipe).items() if key not in REPORTING}}


def _fields(record: Any) -> dict[str, Any]:
    found = ((field, getattr(record, field.name)) for field in dataclasses.fields(record))
    return {field.name: _plain(value) for field, value in found if value != _default(field)}


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return _fields(value) if dataclasses.is_dataclass(value) else value


def check(path: Path, state: Mapping[str, Any], made_of: dict[str, Any], setup: dict[str, str]) -> None:
    """Refuse a checkpoint of another run.

    Args:
        path: of it, for the message.
        state: what `read` gave; those from before recipes were noted pass.
        made_of: `identity` of the recipe that it is to go on with; an empty name passes.
        setup: `Objective.setup`.

    Raises:
        InputError: recipe, seed or setup are others.
    """
    if state.get("setup", {}) != setup:
        found = f"{_words(state.get('setup', {}))}, not with {_words(setup)}"
        raise InputError(f"train: {path} was made with {found}; go on with the same, or give another --output")
    before = state.get("recipe")
    if before is None:
        return
    if before["name"] and made_of["name"] and before["name"] != made_of["name"]:
        raise InputError(
            f"train: {path} is of recipe {before['name']!r}, not of {made_of['name']!r}; go on with it, or give another --output"
        )
    one, other = before["fields"], made_of["fields"]
    differ = [f"{key} {one.get(key)} (now {other.get(key)})" for key in sorted(one | other) if one.get(key) != other.get(key)]
    if differ:
        raise InputError(f"train: {path} was made with {'; '.join(differ)}; go on with the same recipe, or give another --output")


def _words(setup: dict[str, str]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in sorted(setup.items())) or "no setup"


def write(path: Path, state: dict[str, Any], *, small: bool = False) -> None:
    """Write `state`, whole at every moment: what stood there before is replaced at the end.

    Args:
        path: of the file.
        state: tables of tensors, numbers and text; `network` and `average` have the same names.
        small: keep every file below `LIMIT`: rounded as `NOTE` says where it must shrink, and in parts where that is not enough.

    Raises:
        InputError: the disk is full, or the folder cannot be written.
    """
    data = _bytes(state)
    if small and len(data) >= LIMIT:
        data = _bytes(_shrunk(state))
    parts: dict[Path, bytes] = {}
    if small and len(data) >= LIMIT:
        digest = hashlib.sha256(data).hexdigest()
        pieces = [data[start : start + LIMIT - 1] for start in range(0, len(data), LIMIT - 1)]
        # Named by what they hold: the parts that the file of now speaks of are never overwritten.
        parts = {path.with_name(f"{path.name}.{digest[:12]}.{number}.part"): piece for number, piece in enumerate(pieces)}
        data = _bytes({"parts": [part.name for part in parts], "sha256": digest})
    for target, piece in {**parts, path: data}.items():
        _replace(target, piece)
    for old in path.parent.glob(f"{path.name}.*.part"):
        if old not in parts:
            old.unlink()


def read(path: Path) -> dict[str, Any]:
    """What `write` wrote, on the CPU.

    Raises:
        InputError: it is no checkpoint, or a part is missing or broken.
    """
    try:
        state = _load(path.read_bytes())
        if "parts" in state:
            data = b"".join(path.with_name(name).read_bytes() for name in state["parts"])
            if hashlib.sha256(data).hexdigest() != state["sha256"]:
                raise InputError(f"train: the parts of {path} are not those that it was written with; copy all of them again")
            state = _load(data)
    except OSError as error:
        found = f"cannot read {error.filename}: {error.strerror}"
        raise InputError(f"train: {found}; bring it back, or give another --output") from None
    if "note" in state:
        network = state["network"]
        state["average"] = {name: network[name] + value for name, value in state.pop("average_difference").items()}
    return state


def _load(data: bytes) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever pickle and zip raise on a file that is not one
        reason = str(error).splitlines()[0]
        raise InputError(f"train: the checkpoint cannot be read ({reason}); remove it, or give another --output") from None
    return state


def _shrunk(state: dict[str, Any]) -> dict[str, Any]:
    small: dict[str, Any] = _halve(state)
    average, network = small.pop("average"), state["network"]
    # The distance, not the average itself: a step moves that by less than half precision can tell from nothing.
    difference = {name: (value - network[name]).bfloat16() for name, value in average.items()}
    return small | {"average_difference": difference, "note": NOTE}


def _halve(value: Any, key: object = None) -> Any:
    """Tables within tables with Adam's moments as bfloat16."""
    if isinstance(value, dict):
        return {name: _halve(each, name) for name, each in value.items()}
    return value.bfloat16() if key in ("exp_avg", "exp_avg_sq") else value


def _bytes(state: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"train: cannot write {path}: {error.strerror}; make room, or give another --output") from None


def write_average(path: Path, average: dict[str, Tensor], step: int, recipe: Recipe, name: str) -> None:
    """The averaged weights as safetensors, which `vs-hdrtv` and `--start` read, with the steps behind them as metadata.

    Raises:
        InputError: as for `write`.
    """
    from safetensors.torch import save

    metadata = {"step": str(step), "steps": str(recipe.steps), "recipe": name}
    _replace(path, save(average, metadata=metadata))
