"""`vs-hdrtv weights`: the networks' weights that are there, their checksums, and import of authors' checkpoints."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from .console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the shipped models, one a line", epilog="example: vs-hdrtv weights list")
    verify = actions.add_parser(
        "verify", help="compare files with their checksums", epilog="example: vs-hdrtv weights verify hdcfm"
    )
    verify.add_argument("models", nargs="*", metavar="MODEL", help="names or paths (default: all that are shipped)")
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
        InputError: a model is unknown, a file is missing or damaged.
    """
    return {"list": _list, "verify": _verify, "import": _import}[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    from .. import weights

    for name in weights.names():
        card = weights.find(name)
        say(f"{name}: {card.network}{' (preview)' if card.preview else ''}, {card.safetensors}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from .. import weights

    for name in arguments.models or weights.names():
        weights.verify(weights.find(name))
        say(f"{name}: checksums match")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from .. import weights

    if not arguments.checkpoint.is_file():
        raise InputError(f"weights import: {arguments.checkpoint} does not exist; check the name")
    if arguments.output.exists() and not arguments.overwrite:
        raise InputError(f"weights import: {arguments.output} exists; give another name or --overwrite")
    if not arguments.output.parent.is_dir():
        raise InputError(f"weights import: folder {arguments.output.parent} does not exist; make it first")
    weights.convert_checkpoint(arguments.checkpoint, arguments.model, arguments.output)
    say(f"{arguments.output}: weights of {arguments.model}")
    return 0
