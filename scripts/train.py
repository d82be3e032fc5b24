"""Train a network by its recipe: `python scripts/train.py hdcfm --data DATA/hdr_stills --output runs/hdcfm`.

The second stage, behind the shipped HDCFM: `python scripts/train.py pdcg --data DATA/hdr_stills --output runs/pdcg`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import registry
from vs_hdrtv.training import objectives, recipes, trainer


def main() -> None:
    """Train, then leave the averaged weights in `OUTPUT/average.safetensors`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="a recipe in vs_hdrtv/training/recipes, for example hdcfm")
    parser.add_argument("--data", type=Path, required=True, help="folder of scene-linear .hdr and .exr pictures")
    parser.add_argument("--output", type=Path, required=True, help="folder for curve, weights and checkpoint, which is resumed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads (default: %(default)s)")
    parser.add_argument("--start", type=Path, help="weights (.safetensors) of an earlier recipe to start from")
    parser.add_argument("--first-stage", help="model (name or card) instead of the recipe's, of recipes for a second stage")
    parser.add_argument("--perceptual", help="feature network and its weights: NETWORK=FILE, for example vgg19=vgg19.pth")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    recipe = recipes.load(arguments.recipe)
    torch.manual_seed(recipe.seed)
    network = registry.create(recipe.model, **({} if recipe.dropout is None else {"dropout": recipe.dropout}))
    if arguments.start:
        network.load_state_dict(load_file(arguments.start))
    objective = objectives.create(recipe, arguments.first_stage, arguments.perceptual)
    average = trainer.train(network, recipe, arguments.data, arguments.output, objective=objective)
    save_file(average, arguments.output / "average.safetensors")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
