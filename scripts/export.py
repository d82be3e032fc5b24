"""Make a model of a training run: `python scripts/export.py runs/hdcfm --data DATA/hdr_stills`.

Of the second stage: `python scripts/export.py runs/pdcg --name pdcg --recipe pdcg --data DATA/hdr_stills`.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
from pathlib import Path

from safetensors.torch import load_file

from vs_hdrtv import weights
from vs_hdrtv.networks import registry
from vs_hdrtv.training import recipes, scenes


def steps_done(run: Path) -> int | str:
    """The last step of the run's curve: a card must not claim the recipe's steps for weights of a run cut short."""
    curve = run / "curve.csv"
    if not curve.exists():
        return "unknown"
    with curve.open(newline="") as file:
        return max((int(row["step"]) for row in csv.DictReader(file)), default=0)


def training_data(folder: Path) -> dict[str, list[str]]:
    """Names of the scenes that training saw, by the licence that `MANIFEST.csv` beside their folder states."""
    with (folder.parent / "MANIFEST.csv").open(newline="", encoding="utf-8") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    found: dict[str, list[str]] = {}
    for scene in scenes.find(folder, "train"):
        row = rows[scene.path.name]
        licence = row["licence"].split(" (")[0]
        # Public domain asks for nothing; every other licence asks that the origin be named.
        origin = "" if licence.startswith("CC0") else f" ({row['source'].split(':')[0]})"
        found.setdefault(licence, []).append(scene.name + origin)
    return found


def described(name: str) -> str:
    """A recipe's phases in words."""
    recipe = recipes.load(name)
    phases = "; ".join(f"{phase.steps} steps of {phase.batch} views of {phase.size} px" for phase in recipe.phases)
    return f"{name}: {phases}; rate {recipe.learning_rate}, seed {recipe.seed}, {recipe.bars:.0%} with black bars"


def results(path: Path) -> dict[str, dict[str, str]]:
    """What `vs-hdrtv evaluate --output` measured: set of pairs -> method -> figures."""
    found: dict[str, dict[str, str]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not row["psnr_db"]:  # a set without pairs: test charts
                continue
            plain = f"{float(row['psnr_db']):.2f} dB, dE_ITP {float(row['delta_e_itp']):.2f}"
            matched = f"{float(row['psnr_matched_db']):.2f} dB, dE_ITP {float(row['delta_e_itp_matched']):.2f}"
            cell = f"{plain}; exposure-matched {matched}"
            found.setdefault(row["set"], {})[row["method"]] = cell
    return found


def main() -> None:
    """Write NAME.safetensors, NAME.onnx and NAME.toml from `RUN/average.safetensors`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder that training wrote")
    parser.add_argument("--name", default="hdcfm", help="name of the model and of its files (default: %(default)s)")
    parser.add_argument("--recipe", default="hdcfm", help="the recipe that it was trained by (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("weights"), help="folder (default: %(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="the folder of pictures that it was trained on")
    parser.add_argument("--metrics", type=Path, help="CSV that `vs-hdrtv evaluate --output` wrote")
    parser.add_argument("--final", action="store_true", help="the weights are no preview")
    arguments = parser.parse_args()
    recipe = recipes.load(arguments.recipe)
    network = registry.create(recipe.model).eval()
    network.load_state_dict(load_file(arguments.run / "average.safetensors"))
    notes = arguments.run / "setup.json"
    setup: dict[str, str] = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    card = weights.write(
        network,
        arguments.name,
        arguments.output,
        model=recipe.model,
        licence="MIT",
        preview=not arguments.final,
        data={"pairs": "made by vs_hdrtv.training.pairs from the scenes below"} | training_data(arguments.data),
        recipe={
            "name": arguments.recipe,
            "seed": recipe.seed,
            "after": described(recipe.after) if recipe.after else "random initialisation",
            "loss": recipe.losses(setup),
            **setup,
            "phases": described(arguments.recipe),
            **({} if recipe.dropout is None else {"dropout": recipe.dropout}),
            "steps_done": steps_done(arguments.run),
            "exported_at_commit": commit,
        },
        metrics=results(arguments.metrics) if arguments.metrics else {},
    )
    print(card.path)


if __name__ == "__main__":
    main()
