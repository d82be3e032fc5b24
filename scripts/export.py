"""Make a model of a training run: `python scripts/export.py runs/hdcfm --data DATA`.

Of the second stage: `python scripts/export.py runs/pdcg --name pdcg --recipe pdcg --data DATA`. Then measure it and write what it
showed into its card:

    vs-hdrtv evaluate --data DATA --models hdcfm --goals --json results.json
    vs-hdrtv weights measure hdcfm --metrics results.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import Module

from vs_hdrtv import weights
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import headline
from vs_hdrtv.networks import registry
from vs_hdrtv.training import cards, recipes


def recipe_and_steps(text: str) -> tuple[str, int]:
    """`NAME=STEPS`."""
    name, _, steps = text.partition("=")
    return name, int(steps)


def trained(runs: Path, name: str, network: Module) -> dict[str, Tensor]:
    """Weights of the run of a recipe; they are left in `network`, which checks them.

    Raises:
        InputError: there are none, or they are another network's.
    """
    path = runs / name / "average.safetensors"
    try:
        found: dict[str, Tensor] = load_file(path)
        network.load_state_dict(found)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"export: {path} does not hold weights of the network ({reason}); give a finished run") from None
    return found


def load(network: Module, recipe: recipes.Recipe, run: Path) -> None:
    """The weights to ship, into the network: those of the run, interpolated and restrained as the recipe says.

    Raises:
        InputError: weights are missing, or another network's.
    """
    before = trained(run.parent, recipe.after, network) if recipe.interpolation < 1 else {}
    after = trained(run.parent, run.name, network)
    network.load_state_dict(after | {key: torch.lerp(before[key], after[key], recipe.interpolation) for key in before})
    if recipe.restraint:
        network.restrain(recipe.restraint)  # type: ignore[operator]


def main() -> None:
    """Write NAME.safetensors, NAME.onnx and NAME.toml from `RUN/average.safetensors`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder that training wrote")
    parser.add_argument("--name", default="hdcfm", help="name of the model and of its files (default: %(default)s)")
    parser.add_argument("--recipe", default="hdcfm", help="the recipe that it was trained by (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("weights"), help="folder (default: %(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="the folder that it was trained on")
    parser.add_argument("--licence", metavar="NAME", help="of what no MANIFEST.csv beside its folder states, as one's own films")
    parser.add_argument(
        "--before",
        type=recipe_and_steps,
        action="append",
        default=[],
        metavar="RECIPE=STEPS",
        help="steps of an earlier recipe whose weights were taken before its end (default: of the run of its name beside RUN)",
    )
    parser.add_argument("--final", action="store_true", help="the weights are no preview")
    arguments = parser.parse_args()
    recipe = recipes.load(arguments.recipe)
    data = cards.data(arguments.data, recipe, arguments.licence)
    earlier = cards.before(arguments.recipe, arguments.run.parent, dict(arguments.before))
    network = registry.create(recipe.model, **recipe.network).eval()
    load(network, recipe, arguments.run)
    notes = arguments.run / "setup.json"
    setup: dict[str, str] = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    done = cards.steps_done(arguments.run)
    card = weights.write(
        network,
        arguments.name,
        arguments.output,
        model=recipe.model,
        licence="MIT",
        preview=not arguments.final,
        arguments=recipe.network,
        data={"pairs": "made by vs_hdrtv.training from what is named here"} | data,
        recipe={
            "name": arguments.recipe,
            "seed": recipe.seed,
            "after": earlier or "random initialisation",
            "loss": recipe.losses(setup),
            **setup,
            "followed": cards.described(arguments.recipe, done),
            **({} if recipe.dropout is None else {"dropout": recipe.dropout}),
            **({"restraint": list(recipe.restraint)} if recipe.restraint else {}),
            **({"interpolation": recipe.interpolation} if recipe.interpolation < 1 else {}),
            "steps_done": "unknown" if done is None else done,
            "steps_planned": recipe.steps,
            "exported_at_commit": commit,
        },
    )
    print(headline.write(card).path)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
