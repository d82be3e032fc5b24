"""What a card says of a training run: the data by their licences, the recipe, and the recipes before it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..scope.read import open_video
from . import material, recipes
from .recipes import Recipe
from .scenes import Scene

MANIFEST = "MANIFEST.csv"
"""Beside the folders of a data set's pictures and clips: a row a file, columns `file`, `licence` and `source`."""

FREE = "CC0"
"""Public domain asks for nothing; every other licence is taken to ask that the origin be named."""


def data(folder: Path, recipe: Recipe, licence: str | None = None) -> dict[str, Any]:
    """Names of everything that a recipe trains on, by licence, with the origin where the licence asks for it.

    Args:
        folder: what training was given as `--data`.
        recipe: what it was trained by.
        licence: of everything that `MANIFEST` does not name: one's own films and pictures.

    Returns:
        Licence -> names; and `terms`, licence -> the manifest's own words, of those that ask for something.

    Raises:
        InputError: nothing states the licence of something, or there is no training data.
    """
    sources = material.find(folder, "train", recipe.variety)
    clips = [scene for scene in sources.videos if open_video(scene.path, "export").kind != "SDR"]  # as training reads them
    found: dict[str, list[str]] = {}
    terms: dict[str, str] = {}
    manifests: dict[Path, dict[str, dict[str, str]]] = {}
    for scene in (*sources.stills, *clips):
        row = _row(scene, manifests)
        if row is None:
            found.setdefault(_stated(licence, scene.path), []).append(scene.name)
            continue
        name, _, words = row["licence"].partition(" (")
        origin = "" if name.startswith(FREE) else f" ({row['source'].split(':')[0]})"
        if origin and words:
            terms[name] = words.removesuffix(")")
        found.setdefault(name, []).append(scene.name + origin)
    for film in sorted({entry.film for entry in sources.films}):
        found.setdefault(_stated(licence, Path(film)), []).append(f"{film} (film)")
    return {**found, **({"terms": terms} if terms else {})}


def _row(scene: Scene, manifests: dict[Path, dict[str, dict[str, str]]]) -> dict[str, str] | None:
    """The manifest's row of a file, None where there is none."""
    path = scene.path.resolve().parent.parent / MANIFEST
    if path not in manifests:
        manifests[path] = {}
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                manifests[path] = {row.get("file", ""): row for row in csv.DictReader(file)}
    row = manifests[path].get(f"{scene.path.resolve().parent.name}/{scene.path.name}")
    return row if row and row.get("licence") and row.get("source") else None


def _stated(licence: str | None, path: Path) -> str:
    if not licence:
        raise InputError(
            f"export: no {MANIFEST} beside the folder of {path} states its licence; write one (columns file, licence, source), "
            'or give --licence "NAME" for everything that none states'
        )
    return licence


def steps_done(run: Path) -> int | None:
    """The last step of a run's curve: a card must not claim the recipe's steps for weights of a run cut short."""
    curve = run / "curve.csv"
    if not curve.is_file():
        return None
    with curve.open(newline="", encoding="utf-8") as file:
        return max((int(row["step"]) for row in csv.DictReader(file)), default=0)


def described(name: str, done: int | None) -> str:
    """A recipe, and how far it was followed, in words."""
    recipe = recipes.load(name)
    steps = "an unknown number" if done is None else str(done)
    return (
        f"{name}: {steps} of {recipe.steps} steps ({recipe.views()}); rate {recipe.learning_rate}, seed {recipe.seed}, "
        f"{recipe.bars:.0%} with black bars"
    )


def before(name: str, runs: Path, known: Mapping[str, int] | None = None) -> list[str]:
    """The recipes that led to the weights that `name` started from, the first one first.

    Args:
        name: of a recipe.
        runs: folder of the runs, each under its recipe's name.
        known: recipe -> steps after which the next one took its weights, instead of all of the run's.

    Raises:
        InputError: a recipe does not exist.
    """
    chain: list[str] = []
    after = recipes.load(name).after
    while after:
        done = (known or {}).get(after, steps_done(runs / after))
        chain.insert(0, described(after, done))
        after = recipes.load(after).after
    return chain
