"""`vs-hdrtv dataset`: training pairs from people's own films."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from .console import Progress, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads."""
    from ..training.films import SPLIT_BY, Settings

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser(
        "build",
        help="add the SDR and the HDR version of a film, or two folders of .png pairs, to a data set; run again to go on",
        epilog="example: vs-hdrtv dataset build --hdr FILM_HDR.mkv --sdr FILM_SDR.mkv OUT",
    )
    check = actions.add_parser(
        "check",
        help="say whether two films are frame-aligned, and by how much and where they are not",
        epilog="example: vs-hdrtv dataset check --hdr FILM_HDR.mkv --sdr FILM_SDR.mkv",
    )
    info = actions.add_parser("info", help="what a data set holds", epilog="example: vs-hdrtv dataset info OUT")
    default = Settings()
    for action in (build, check):
        action.add_argument("--hdr", type=Path, required=True, help="HDR10 or HLG film (build: or folder of .png, PQ)")
        action.add_argument("--sdr", type=Path, required=True, help="SDR film (build: or folder of .png, same names)")
        action.add_argument(
            "--search", type=int, default=default.search, metavar="N", help="largest offset in frames (default: %(default)s)"
        )
    for action in (build, info):
        action.add_argument("output", type=Path, metavar="OUT", help="folder of the data set")
    for action in (check, info):
        action.add_argument("--json", action="store_true", help="say it as JSON")
    build.add_argument("--name", help="of the film in the data set (default: that of the SDR file)")
    build.add_argument(
        "--frames", type=int, default=default.frames, metavar="N", help="consecutive frames of each scene (default: %(default)s)"
    )
    build.add_argument(
        "--crop", type=int, default=default.crop, metavar="N", help="side of the crop, 0 for full frames (default: %(default)s)"
    )
    build.add_argument("--crops", type=int, default=default.crops, metavar="N", help="crops of each scene (default: %(default)s)")
    build.add_argument(
        "--split-by",
        choices=SPLIT_BY,
        default=default.split_by,
        help="what goes into training, validation or test as a whole: parts of two minutes, or films (default: %(default)s)",
    )
    build.add_argument("--seed", type=int, default=default.seed, help="of the places of crops (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Do one of the actions.

    Returns:
        Exit code 0.

    Raises:
        InputError: a file or an argument does not fit.
    """
    return {"build": _build, "check": _check, "info": _info}[arguments.action](arguments)


def _build(arguments: argparse.Namespace) -> int:
    from ..training import films

    settings = films.Settings(
        frames=arguments.frames,
        crop=arguments.crop,
        crops=arguments.crops,
        split_by=arguments.split_by,
        search=arguments.search,
        seed=arguments.seed,
    )

    try:
        with _progress() as progress:
            built = films.build(
                arguments.hdr, arguments.sdr, arguments.output, settings, arguments.name, progress, report=_report
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"what is done is in {arguments.output}; run it again to go on") from None
    there = f", {built.there} were there already" if built.there else ""
    say(f"{arguments.output}: {built.written} scenes written{there}")
    for reason, count in sorted(built.left_out.items()):
        say(f"left out: {count} {reason}")
    _say_splits(arguments.output)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from ..training import films

    for side in ("hdr", "sdr"):
        if getattr(arguments, side).is_dir():
            raise InputError(f"dataset check: --{side} {getattr(arguments, side)} is a folder; give a film")
    with _progress() as progress:
        found = films.check(arguments.hdr, arguments.sdr, arguments.search, progress)
    if arguments.json:
        say(json.dumps(films.as_json(found)))
        return 0
    for line in found.report():
        say(line)
    return 0


def _info(arguments: argparse.Namespace) -> int:
    from ..training import dataset

    entries = dataset.read(arguments.output)
    if arguments.json:
        splits = Counter(entry.split for entry in entries)
        say(json.dumps({"scenes": len(entries), "frames": sum(entry.frames for entry in entries), "splits": dict(splits)}))
        return 0
    for film in sorted({entry.film for entry in entries}):
        own = [entry for entry in entries if entry.film == film]
        sizes = ", ".join(sorted({f"{entry.width}x{entry.height}" for entry in own}))
        say(f"{film}: {len(own)} scenes of {own[0].frames} frames, {sizes}")
    _say_splits(arguments.output)
    return 0


def _say_splits(folder: Path) -> None:
    """Scenes of each split; all of a short film, or of a few, may fall into one."""
    from ..training import dataset, scenes

    counts = Counter(entry.split for entry in dataset.read(folder))
    say(", ".join(f"{split} {counts[split]}" for split in ("train", *reversed(list(scenes.SHARES)))) + " scenes")


def _report(line: str) -> None:
    say(f"dataset: {line}", sys.stderr)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Frames looked at, then frames written: each count from its own start."""
    shown = Progress()
    total_before = 0

    def update(done: int, total: int) -> None:
        nonlocal shown, total_before
        if total != total_before:
            shown.close()
            shown, total_before = Progress(), total
        shown.update(done, total)

    try:
        yield update
    finally:
        shown.close()
