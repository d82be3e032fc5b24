"""Fetch the HDR panoramas of `more_scenes.csv` into a folder to train on: `python scripts/more_scenes.py DATA`.

Each row is a file of a public repository at one commit, with its SHA-256 and licence (CC0). Files go to DATA/hdr_stills, their
licences to DATA/MANIFEST.csv, which the cards of weights are written from. What is there already with the right checksum is
left alone, so the same line again goes on where it was stopped. 250 MB.

`--address` is where files are read from; without the network, a copy: --address 'file:///copy/{repository}/{commit}/{path}'.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import logging
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from vs_hdrtv.errors import InputError
from vs_hdrtv.training.cards import MANIFEST

WHO = "more_scenes"
LIST = Path(__file__).with_suffix(".csv")
ADDRESS = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
FOLDER = "hdr_stills"
SECONDS = 60
"""Without an answer, after which a file is given up."""

COLUMNS = ("file", "source", "commit", "licence")
"""Of the manifest, where this script begins it."""

logger = logging.getLogger(WHO)


def right(path: Path, row: dict[str, str]) -> bool:
    """Whether a file is there, with the checksum that its row states."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]


def fetch(row: dict[str, str], address: str) -> bytes:
    """The file of a row.

    Raises:
        InputError: it cannot be read, or is another one than the row's.
    """
    parts = {name: urllib.parse.quote(row[name]) for name in ("repository", "commit", "path")}
    try:
        url = address.format(**parts)
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            content: bytes = answer.read()
    except (KeyError, IndexError):
        raise InputError(f"{WHO}: --address is {address!r}; it may name {{repository}}, {{commit}} and {{path}}") from None
    except ValueError as error:
        raise InputError(f"{WHO}: --address is {address!r} ({error}); give an https:// or file:// address") from None
    except (urllib.error.URLError, TimeoutError) as error:
        raise InputError(
            f"{WHO}: {url} cannot be read ({getattr(error, 'reason', error)}); try again, or give --address"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != row["sha256"]:
        raise InputError(f"{WHO}: {url} has sha256 {found}, {row['sha256']} is listed; nothing was written of it")
    return content


def enter(manifest: Path, rows: Sequence[dict[str, str]]) -> None:
    """Add the rows that a manifest does not have yet, in the columns that it has.

    Raises:
        InputError: it is no table with the columns `file`, `source` and `licence`.
    """
    columns: Sequence[str] = COLUMNS
    present: set[str] = set()
    if manifest.is_file():
        with manifest.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns, present = reader.fieldnames or (), {line.get("file") or "" for line in reader}
        if not {"file", "source", "licence"} <= set(columns):
            raise InputError(f"{WHO}: {manifest} has columns {', '.join(columns)}; file, source and licence are needed")
    added = [each for each in rows if each["file"] not in present]
    partial = manifest.with_name(manifest.name + ".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        if present:
            file.write(manifest.read_text(encoding="utf-8").rstrip("\n") + "\n")
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore", lineterminator="\n")
        if not present:
            writer.writeheader()
        writer.writerows(added)
    partial.replace(manifest)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0, or 2 with one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that train.py is to be given as --data; made where it is missing")
    parser.add_argument("--list", type=Path, default=LIST, help="table of files (default: %(default)s)")
    parser.add_argument("--address", default=ADDRESS, help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    try:
        with arguments.list.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        folder = arguments.data / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        missing = [row for row in rows if not right(folder / row["file"], row)]
        for number, row in enumerate(missing, 1):
            partial = folder / (row["file"] + ".partial")
            partial.write_bytes(fetch(row, arguments.address))
            partial.replace(folder / row["file"])
            logger.info("%d of %d: %s", number, len(missing), row["file"])
        lines = [{**row, "file": f"{FOLDER}/{row['file']}", "source": f"{row['repository']}:{row['path']}"} for row in rows]
        enter(arguments.data / MANIFEST, lines)
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    logger.info("%s: %d files, %d of them new", folder, len(rows), len(missing))
    return 0


if __name__ == "__main__":
    sys.exit(main())
