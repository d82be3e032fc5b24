"""Train a network by its recipe: `python scripts/train.py hdcfm --data DATA/hdr_stills --output runs/hdcfm`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from vs_hdrtv.networks import registry
from vs_hdrtv.training import recipes, trainer


def main() -> None:
    """Train, then leave the averaged weights in `OUTPUT/average.safetensors`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", help="a recipe in vs_hdrtv/training/recipes, for example hdcfm")
    parser.add_argument("--data", type=Path, required=True, help="folder of scene-linear .hdr and .exr pictures")
    parser.add_argument("--output", type=Path, required=True, help="folder for curve, weights and checkpoint, which is resumed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads (default: %(default)s)")
    parser.add_argument("--start", type=Path, help="weights (.safetensors) of an earlier recipe to start from")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    recipe = recipes.load(arguments.recipe)
    torch.manual_seed(recipe.seed)
    network = registry.create(recipe.model, dropout=recipe.dropout)
    if arguments.start:
        network.load_state_dict(load_file(arguments.start))
    average = trainer.train(network, recipe, arguments.data, arguments.output)
    save_file(average, arguments.output / "average.safetensors")


if __name__ == "__main__":
    main()
