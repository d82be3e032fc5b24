"""`vs-hdrtv comfyui`: the nodes of the installed package made known to a ComfyUI."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import InputError
from ..media import reason
from .console import say

NAME = "comfyui"
FOLDER = "vs_hdrtv"
"""In ComfyUI's `custom_nodes`."""

PACKAGE = Path(__file__).resolve().parent.parent
NODES, WORKFLOWS = PACKAGE / "nodes", PACKAGE / "_workflows"
"""Where a wheel has the nodes and their example workflows; a checkout has both elsewhere."""

_IMPORT = "from vs_hdrtv.nodes import WEB_DIRECTORY, comfy_entrypoint  # noqa: F401"
INIT = f'"""The nodes of the installed package vs-hdrtv; written by `vs-hdrtv comfyui install`."""\n{_IMPORT}\n'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    install = actions.add_parser(
        "install",
        help="write a small folder into custom_nodes that imports the installed package",
        epilog="example: vs-hdrtv comfyui install ~/ComfyUI",
    )
    install.add_argument("path", type=Path, metavar="PATH", help="ComfyUI's folder, or its custom_nodes")


def run(arguments: argparse.Namespace) -> int:
    """Install.

    Returns:
        Exit code 0.

    Raises:
        InputError: PATH is no ComfyUI, holds something else under this name, or cannot be written; or this is a checkout.
    """
    who = f"{NAME} install"
    path: Path = arguments.path
    custom = path if path.name == "custom_nodes" else path / "custom_nodes"
    if not custom.is_dir():
        raise InputError(f"{who}: {path} has no folder custom_nodes; give the folder of a ComfyUI")
    if not NODES.is_dir():
        root = PACKAGE.parent
        raise InputError(f"{who}: this is a checkout, which ComfyUI loads as it is: ln -s {root} {custom / FOLDER}")
    folder = custom / FOLDER
    init = folder / "__init__.py"
    try:
        if folder.exists() and not (init.is_file() and _IMPORT in init.read_text(encoding="utf-8")):
            raise InputError(f"{who}: {folder} is there already and was not made by this command; move it away first")
        workflows = folder / "example_workflows"
        workflows.mkdir(parents=True, exist_ok=True)
        for workflow in sorted(WORKFLOWS.iterdir()):
            (workflows / workflow.name).write_bytes(workflow.read_bytes())
        init.write_text(INIT, encoding="utf-8")  # last: without it there are no nodes
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{who}: {folder} cannot be written ({reason(error)})") from None
    say(f"{folder}: start ComfyUI with {sys.executable}, or with another Python that has vs-hdrtv")
    return 0
