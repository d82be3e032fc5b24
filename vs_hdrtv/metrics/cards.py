"""What a model's card says of metrics on real data: taken from an evaluation's JSON, and measured again."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from .. import weights
from ..color.tone_curves import INVERSE_TONE_MAPS
from ..errors import InputError
from ..modelcard import ModelCard
from . import evaluate, methods
from .goals import WORDS
from .registry import METRICS, NETWORK

SETTINGS = ("split", "size", "views", "seed", "limit")
"""What an evaluation's numbers depend on beside the data."""

OF_CLIPS = ("clips", "frames")
"""And where clips were made of it."""

RELATIVE, ABSOLUTE = 0.003, 0.01
"""What engines and libraries may differ by: 0.12 dB at 40 dB."""

_COLUMNS = {metric.column: metric.name for metric in METRICS.values()}


def from_results(path: Path, card: ModelCard) -> dict[str, Any]:
    """Tables `settings`, `sets` (set -> method -> numbers) and `goals` for a card's metrics.

    Args:
        path: JSON that `vs-hdrtv evaluate --json` wrote.
        card: of a model that was evaluated, by its name or as a file.

    Raises:
        InputError: it cannot be read, or does not have the model.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        rows, goals, settings = read["results"], read["goals"], read["settings"]
        sets: dict[str, dict[str, dict[str, float]]] = {}
        for row in rows:
            numbers = {key: round(value, 4) for key, value in row["mean"].items() if isinstance(value, int | float)}
            sets.setdefault(row["set"], {})[_name(row["method"], card)] = numbers
        reached = {
            f"{goal['goal']} ({goal['set']})": f"{WORDS[goal['reached']]}: {_number(goal['better_by'])}, asked {goal['least']}"
            for goal in goals
            if methods.stages(_name(goal["method"], card))[-1] == card.name
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else repr(error)
        raise InputError(f"weights: {path} is not what vs-hdrtv evaluate --json wrote ({reason}); evaluate again") from None
    if not any(card.name in methods.models(name) for group in sets.values() for name in group):
        raise InputError(f"weights: {path} has no row of {card.name}; evaluate with --models {card.name}")
    asked = (*SETTINGS, *(OF_CLIPS if settings.get("clips") else ()))
    kept = {name: settings[name] for name in asked if settings.get(name) is not None}
    return {"settings": kept, "sets": sets, "goals": reached}


def _name(method: str, card: ModelCard) -> str:
    """A method with the files of its chain by their models' names."""
    suffixes = {".toml", ".safetensors", ".onnx"}
    stages = [methods.parse(stage) for stage in methods.stages(method)]
    named = [(Path(model).stem if Path(model).suffix in suffixes else model, steady) for model, steady in stages]
    return methods.CHAIN.join(methods.typed(model, steady) for model, steady in named)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4g}"


def differences(card: ModelCard, data: Path, engine: str = "auto") -> tuple[list[str], int]:
    """Measure again what the card says of real data.

    Args:
        card: the model.
        data: folder that `vs-hdrtv evaluate --data` takes.
        engine: that runs it.

    Returns:
        What differs, a line a number, and how many numbers were compared.

    Raises:
        InputError: the card says nothing, or what `evaluate` raises.
    """
    sets = card.metrics.get("sets")
    if not isinstance(sets, dict) or not sets:
        raise InputError(f"weights verify: the card of {card.name} has no table of metrics; vs-hdrtv weights measure writes it")
    found, unknown = _measured(card, data, engine)
    lines, count = [f"{name} is not here: not measured" for name in unknown], 0
    for group, rows in sets.items():
        for method, numbers in rows.items():
            for column, expected in numbers.items() if method not in unknown else ():
                value = found.get((method, group), {}).get(_COLUMNS.get(column, ""), math.nan)
                count += 1
                if not math.isclose(value, expected, rel_tol=RELATIVE, abs_tol=ABSOLUTE):
                    what = "nothing" if math.isnan(value) else f"{value:.4f}"
                    lines.append(f"{group}, {method}: {column} is {what}, {expected:.4f} in the card")
    return lines, count


def _measured(card: ModelCard, data: Path, engine: str) -> tuple[dict[tuple[str, str], dict[str, float]], list[str]]:
    """Means by metric of every method and set of the card, and the methods that are not here."""
    rows = [(method, numbers) for group in card.metrics["sets"].values() for method, numbers in group.items()]
    names = list(dict.fromkeys(method for method, _ in rows))
    columns = dict.fromkeys(column for _, numbers in rows for column in numbers)
    metrics = [_COLUMNS[column] for column in columns if column in _COLUMNS and _COLUMNS[column] != NETWORK]
    typed = {name: _typed(name, card) for name in names if name not in INVERSE_TONE_MAPS}
    unknown = [name for name, chain in typed.items() if not all(map(_is_here, methods.models(chain)))]
    models = {chain: name for name, chain in typed.items() if name not in unknown}
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    words = ["--data", str(data), "--engine", engine, "--metrics", *metrics, "--models", *models]
    words += ["--baselines", *(name for name in names if name in INVERSE_TONE_MAPS)]
    for key, value in card.metrics.get("settings", {}).items():
        words += [f"--{key}", str(value)] if key in (*SETTINGS, *OF_CLIPS) else []
    arguments = parser.parse_args(words)
    results = evaluate.measured(arguments, evaluate.chosen(arguments))
    return {(models.get(method, method), group): results.mean(method, group) for method, group in results.values}, unknown


def _typed(name: str, card: ModelCard) -> str:
    """A chain of the card as it is given to `evaluate`: the model itself by its path, since it may not be a shipped one."""
    stages = (methods.parse(stage) for stage in methods.stages(name))
    paths = ((str(card.path) if model == card.name else model, steady) for model, steady in stages)
    return methods.CHAIN.join(methods.typed(model, steady) for model, steady in paths)


def _is_here(model: str) -> bool:
    return model in weights.names() or Path(model).is_file()
