"""`vs-hdrtv weights`: the networks' weights that are there, whether they are what their cards say, and import of checkpoints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .console import say

if TYPE_CHECKING:
    from ..modelcard import ModelCard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the shipped models, one a line", epilog="example: vs-hdrtv weights list")
    verify = actions.add_parser(
        "verify",
        help="compare files and results with what the cards say",
        epilog="example: vs-hdrtv weights verify hdcfm --data shared/data",
    )
    verify.add_argument(
        "--data", type=Path, metavar="DIR", help="measure again what the card says of these data, not of generated pictures"
    )
    measure = actions.add_parser(
        "measure",
        help="write results into the cards",
        epilog="example: vs-hdrtv weights measure hdcfm --metrics results.json",
    )
    measure.add_argument(
        "--metrics", type=Path, metavar="FILE", help="beside the headline, what vs-hdrtv evaluate --goals --json FILE wrote"
    )
    for action in (verify, measure):
        action.add_argument("models", nargs="*", metavar="MODEL", help="names or paths (default: all that are shipped)")
        action.add_argument("--engine", default="auto", help="engine that runs the models (default: %(default)s)")
    importer = actions.add_parser(
        "import",
        help="turn an author's published checkpoint into .safetensors",
        epilog="example: vs-hdrtv weights import Mode.pth.tar --model hdcfm --output hdcfm-authors.safetensors",
    )
    importer.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="file that the authors published")
    importer.add_argument("--model", required=True, help="the network that it belongs to, for example hdcfm")
    importer.add_argument("--output", type=Path, required=True, metavar="FILE", help=".safetensors to write")
    importer.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def run(arguments: argparse.Namespace) -> int:
    """Do one of the actions.

    Returns:
        Exit code 0.

    Raises:
        InputError: a model is unknown, a file is missing or damaged, or a result is not that of its card.
    """
    actions = {"list": _list, "verify": _verify, "measure": _measure, "import": _import}
    return actions[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    from .. import weights

    for name in weights.names():
        card = weights.find(name)
        say(f"{name}: {card.network}{' (preview)' if card.preview else ''}, {card.safetensors}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from .. import weights

    for name in arguments.models or weights.names():
        card = weights.find(name)
        weights.verify(card)
        say(f"{name}: checksums match; {_check(card, arguments)}")
    return 0


def _check(card: ModelCard, arguments: argparse.Namespace) -> str:
    """What was found of a model's results, in words."""
    if arguments.data is None:
        from ..metrics import headline

        return headline.check(card, arguments.engine)
    from ..metrics import cards

    lines, count = cards.differences(card, arguments.data, arguments.engine)
    for line in lines:
        say(f"{card.name}: {line}")
    if lines:
        raise InputError(
            f"weights verify: {card.name} is not what its card says: {len(lines)} of {count} numbers differ; "
            "are the data those of the card?"
        )
    return f"all {count} numbers as in its card"


def _measure(arguments: argparse.Namespace) -> int:
    from .. import weights
    from ..metrics import cards, headline

    for name in arguments.models or weights.names():
        card = weights.find(name)
        weights.verify(card)
        real = {} if arguments.metrics is None else cards.from_results(arguments.metrics, card)
        card = headline.write(card, real, arguments.engine)
        say(f"{card.path}: {headline.check(card, arguments.engine)}")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from .. import weights
    from ..metrics import headline

    if not arguments.checkpoint.is_file():
        raise InputError(f"weights import: {arguments.checkpoint} does not exist; check the name")
    if arguments.output.exists() and not arguments.overwrite:
        raise InputError(f"weights import: {arguments.output} exists; give another name or --overwrite")
    if not arguments.output.parent.is_dir():
        raise InputError(f"weights import: folder {arguments.output.parent} does not exist; make it first")
    headline.write(weights.convert_checkpoint(arguments.checkpoint, arguments.model, arguments.output))
    say(f"{arguments.output}: weights of {arguments.model}")
    return 0
