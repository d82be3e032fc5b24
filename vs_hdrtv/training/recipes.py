"""Training recipes as data: one TOML file a model in `training/recipes/`."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a training run is made of. `learning_rate` is Adam's peak; `average` the decay of the moving average."""

    model: str
    size: int
    batch: int
    steps: int
    warmup: int
    learning_rate: float
    clip: float
    average: float
    seed: int
    report: int
    checkpoint: int


def load(name: str) -> Recipe:
    """Recipe `name`.

    Raises:
        ValueError: there is no such recipe, or its file lacks or misspells a field.
    """
    path = FOLDER / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise ValueError(f"train: unknown recipe {name!r}; choose one of {known}")
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    fields = {field.name for field in dataclasses.fields(Recipe)}
    if set(values) != fields:
        raise ValueError(f"train: {path} must have exactly the fields {', '.join(sorted(fields))}; it differs in {', '.join(sorted(set(values) ^ fields))}")
    return Recipe(**values)
