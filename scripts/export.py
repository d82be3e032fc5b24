"""Make a model of a training run: `python scripts/export.py runs/hdcfm --name hdcfm --output weights`."""

from __future__ import annotations

import argparse
import csv
import subprocess
from pathlib import Path

from safetensors.torch import load_file

from vs_hdrtv import weights
from vs_hdrtv.networks import registry
from vs_hdrtv.training import recipes


def steps_done(run: Path) -> int | str:
    """The last step of the run's curve: a card must not claim the recipe's steps for weights of a run cut short."""
    curve = run / "curve.csv"
    if not curve.exists():
        return "unknown"
    with curve.open(newline="") as file:
        return max((int(row["step"]) for row in csv.DictReader(file)), default=0)


def main() -> None:
    """Write NAME.safetensors, NAME.onnx and NAME.toml from `RUN/average.safetensors`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that training wrote")
    parser.add_argument("--name", default="hdcfm", help="name of the model and of its files (default: %(default)s)")
    parser.add_argument("--recipe", default="hdcfm", help="the recipe that it was trained by (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("weights"), help="folder (default: %(default)s)")
    parser.add_argument("--final", action="store_true", help="the weights are no preview")
    arguments = parser.parse_args()
    recipe = recipes.load(arguments.recipe)
    network = registry.create(recipe.model).eval()
    network.load_state_dict(load_file(arguments.run / "average.safetensors"))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    card = weights.write(
        network,
        arguments.name,
        arguments.output,
        model=recipe.model,
        licence="MIT",
        preview=not arguments.final,
        data={"scenes": "photographs and panoramas of data/MANIFEST.csv, train split", "pairs": "vs_hdrtv.training.pairs"},
        recipe={
            "name": arguments.recipe,
            "seed": recipe.seed,
            "steps": recipe.steps,
            "steps_done": steps_done(arguments.run),
            "exported_at_commit": commit,
        },
    )
    print(card.path)


if __name__ == "__main__":
    main()
