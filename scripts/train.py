"""Train a network by its recipe: `python scripts/train.py hdcfm --data DATA/hdr_stills --output runs/hdcfm`.

The second stage, behind the shipped HDCFM: `python scripts/train.py pdcg --data DATA/hdr_stills --output runs/pdcg`.
A network of several frames, on clips: `python scripts/train.py kpn_mfi --data DATA --output runs/kpn_mfi`.
The same line again goes on where a run was stopped, by Ctrl-C, by --minutes or by a power cut.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vs_hdrtv import weights
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import difference
from vs_hdrtv.networks import registry
from vs_hdrtv.training import devices, objectives, perceptual, recipes, stopping, temporal_losses, trainer, validation

VALIDATE_EVERY = 500
"""Steps; a measurement takes about as long as a handful of them."""

OF_PICTURES: dict[str, validation.Measure] = {"psnr_db": difference.psnr, "delta_e_itp": difference.delta_e_itp}
MEASURES: dict[str, dict[str, validation.Measure]] = {
    "flow": {"end_point_px": lambda flow, truth: float(temporal_losses.end_point_error(flow, truth))}
}
"""Kind of recipe -> what is measured while it goes on, instead of `OF_PICTURES`."""

ADDED = "interaction."
"""Parameters that weights to start from may lack: the block of KPN-MFI starts as the identity in a network that had none."""


class ListRecipes(argparse.Action):
    """`--list`: a line for each recipe, then the end."""

    def __call__(self, parser: argparse.ArgumentParser, *others: Any) -> None:
        """Print and exit."""
        for name in names():
            recipe = recipes.load(name)
            origin = f"; starts from the weights of {recipe.after}" if recipe.after else ""
            print(f"{name:<14} {recipe.model:<9} {recipe.views()}{origin}")
        parser.exit()


def names() -> list[str]:
    """Of the recipes."""
    return sorted(path.stem for path in recipes.FOLDER.glob("*.toml"))


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments of the command line, their numbers checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help=f"of vs_hdrtv/training/recipes: {', '.join(names())}")
    parser.add_argument("--list", action=ListRecipes, nargs=0, help="list the recipes")
    parser.add_argument("--data", type=Path, required=True, help="folder of scene-linear .hdr and .exr pictures")
    parser.add_argument("--output", type=Path, required=True, help="folder for curves, weights and checkpoint, which is resumed")
    begin = parser.add_argument_group("what it begins with")
    begin.add_argument("--start", type=Path, help="weights (.safetensors) of an earlier recipe to start from")
    begin.add_argument("--first-stage", help="model (name or card) instead of the recipe's, of recipes for a second stage")
    begin.add_argument("--perceptual", help=perceptual.ARGUMENT)
    where = parser.add_argument_group("where")
    where.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: CUDA where there is a device)")
    where.add_argument("--precision", choices=list(devices.PRECISIONS), help="(default: bfloat16 on CUDA, else float32)")
    where.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads (default: %(default)s)")
    where.add_argument("--workers", type=int, help="processes that make pairs (default: 1; CUDA: CPU cores less one, 8 at most)")
    where.add_argument(
        "--pairs", choices=("host", "device"), default="host", help="who makes pairs: worker processes, or torch on the device"
    )
    where.add_argument("--eager", action="store_true", help="compile nothing: slower, needs no C++ compiler")
    pieces = parser.add_argument_group("in pieces")
    pieces.add_argument("--minutes", type=float, metavar="N", help="stop after N minutes, start-up included, with a checkpoint")
    pieces.add_argument(
        "--checkpoint-minutes", type=float, default=5.0, metavar="N", help="longest time between two (default: %(default)s)"
    )
    pieces.add_argument(
        "--small-checkpoint", action="store_true", help="files below 16 MiB; what must shrink resumes not exactly"
    )
    pieces.add_argument(
        "--validate-every", type=int, metavar="STEPS", help=f"metrics on validation pairs (default: {VALIDATE_EVERY}; 0: never)"
    )
    arguments = parser.parse_args(argv)
    if arguments.threads < 1:
        raise InputError(f"train: --threads is {arguments.threads}; give 1 or more")
    if not arguments.data.is_dir():
        raise InputError(f"train: --data {arguments.data} is not a folder; give one of .hdr and .exr pictures")
    return arguments


def options(arguments: argparse.Namespace) -> trainer.Options:
    """How the run is done."""
    device = devices.choose(arguments.device)
    every = VALIDATE_EVERY if arguments.validate_every is None else arguments.validate_every
    measured = None
    if every:
        measures = MEASURES.get(recipes.load(arguments.recipe).kind, OF_PICTURES)
        measured = validation.Validation(every=every, measures=measures, required=arguments.validate_every is not None)
    return trainer.Options(
        name=arguments.recipe,
        device=device,
        precision=arguments.precision or devices.default_precision(device),
        pairs_on_device=arguments.pairs == "device",
        workers=devices.default_workers(device) if arguments.workers is None else arguments.workers,
        checkpoint_minutes=arguments.checkpoint_minutes,
        small=arguments.small_checkpoint,
        validation=measured,
    )


def start_from(network: nn.Module, path: Path, fresh: Sequence[str] = (), arguments: Mapping[str, Any] | None = None) -> None:
    """Give `network` the weights of a file, which may be of a network without `ADDED`; modules `fresh` keep their own.

    A card beside the file must state the same `arguments`, unless some modules are `fresh`: the weights mean something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    stated = dict(weights.find(str(path)).arguments) if path.with_suffix(".toml").is_file() else arguments or {}
    if stated != (arguments or {}) and not fresh:
        raise InputError(
            f"train: --start {path} is of a network made with {stated or 'its defaults'}, the recipe's is made with "
            f"{arguments or 'its defaults'}; start from the weights of the recipe before"
        )
    try:
        found = load_file(path)
        own = network.state_dict()
        if found.keys() == {name for name in own if not name.startswith(ADDED)}:
            found = own | found
        kept = {name: value for name, value in own.items() if name.startswith(tuple(f"{module}." for module in fresh))}
        found |= kept
        network.load_state_dict(found)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"train: --start {path} does not hold this network's weights: {str(error).splitlines()[0]}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Train, and leave the averaged weights in `OUTPUT/average.safetensors`; the exit code."""
    arguments = parse(argv)
    stop = stopping.Stop(arguments.minutes)
    with stop.listening():
        chosen = options(arguments)
        recipe = recipes.load(arguments.recipe)
        torch.set_num_threads(arguments.threads)
        torch.manual_seed(recipe.seed)
        network = registry.create(recipe.model, **recipe.arguments)
        if arguments.start:
            start_from(network, arguments.start, recipe.fresh, recipe.network)
        objective = objectives.create(recipe, arguments.first_stage, arguments.perceptual)
        logging.getLogger(__name__).info("train: %s on %s in %s", arguments.recipe, chosen.device, chosen.precision)
        compiled = not arguments.eager and chosen.device.type != "mps"
        trainer.train(
            network,
            recipe,
            arguments.data,
            arguments.output,
            objective=objective,
            compiled=compiled,
            options=chosen,
            stop=stop,
        )
    return stop.code


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        raise SystemExit(main())
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
