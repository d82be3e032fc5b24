"""A data set of SDR/HDR pairs on disk: written scene by scene, read by split.

    OUT/manifest.jsonl            one line a scene (JSON Lines), appended when the scene is complete
    OUT/scenes/KEY/000.sdr.png    16-bit R'G'B': BT.1886, BT.709
    OUT/scenes/KEY/000.hdr.png    16-bit R'G'B': PQ, BT.2020
    OUT/films/NAME.json           what a film was built from and how, so that nothing else goes on in its place

A shard is the folder of a scene. PNG because it holds 16 bits without loss, is what HDRTV1K comes as and other projects' loaders
read, and opens in any viewer; an array file would load faster, but is twice as large and shows nobody what is in it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import scenes
from .pairs import Pair

MANIFEST = "manifest.jsonl"
SIDES = ("sdr", "hdr")
_STEPS = 65535
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Entry:
    """A scene of a data set: what a line of the manifest says.

    Attributes:
        key: name of its folder.
        film: that it is from.
        place: what its split is a hash of.
        frames: how many.
        hdr_frame: number of the first one in the HDR film.
        sdr_frame: number of the first one in the SDR film.
        left: of the crop in the film's frame, in pixels.
        top: likewise.
        width: of the pictures.
        height: of the pictures.
        correlation: lowest rank correlation between SDR and HDR of its frames.
        root: folder of the data set; not in the manifest.
    """

    key: str
    film: str
    place: str
    frames: int
    hdr_frame: int
    sdr_frame: int
    left: int
    top: int
    width: int
    height: int
    correlation: float
    root: Path = field(default=Path(), compare=False)

    @property
    def split(self) -> str:
        """`test`, `validation` or `train`."""
        return scenes.split(self.place)

    def frame(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`sdr` and `hdr` of a frame, (3, height, width) in [0, 1].

        Raises:
            InputError: a picture is missing or damaged.
        """
        sdr, hdr = (read_picture(self.root / "scenes" / self.key / f"{number:03d}.{side}.png") for side in SIDES)
        return sdr, hdr

    def clip(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`sdr` and `hdr` of all frames, (frames, 3, height, width) in [0, 1]."""
        pairs = [self.frame(number) for number in range(self.frames)]
        return np.stack([sdr for sdr, _ in pairs]), np.stack([hdr for _, hdr in pairs])


def is_dataset(folder: Path) -> bool:
    """Whether `folder` was made by `dataset build`."""
    return (folder / MANIFEST).is_file()


def read(folder: Path, wanted: str | None = None) -> list[Entry]:
    """The scenes of a data set.

    Args:
        folder: that `dataset build` wrote.
        wanted: split; None for all.

    Raises:
        InputError: the folder is no data set, or a line of its manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"dataset: {folder} has no {MANIFEST}; give a folder that `vs-hdrtv dataset build` wrote")
    names = {item.name for item in fields(Entry)} - {"root"}
    found = []
    for number, line in enumerate(_whole_lines(path), 1):
        try:
            values = json.loads(line)
            entry = Entry(**{name: values[name] for name in names}, root=folder)
        except (ValueError, KeyError, TypeError):
            raise InputError(f"dataset: {path}, line {number} is damaged; remove the line and build again") from None
        found.append(entry)
    return [entry for entry in found if wanted is None or entry.split == wanted]


def random_pair(entries: Sequence[Entry], size: int, rng: np.random.Generator) -> Pair:
    """A square of a random frame of a random scene, possibly mirrored.

    Raises:
        InputError: the scene's pictures are smaller than `size`.
    """
    entry = entries[int(rng.integers(len(entries)))]
    sdr, hdr = _square(entry, entry.frame(int(rng.integers(entry.frames))), size, rng)
    return Pair(sdr, hdr, "film")


def random_clip(
    entries: Sequence[Entry], frames: int, size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`sdr` and `hdr`, (frames, 3, size, size), of consecutive frames of a random scene.

    Raises:
        InputError: the scene is shorter or its pictures are smaller.
    """
    entry = entries[int(rng.integers(len(entries)))]
    if entry.frames < frames:
        raise InputError(f"dataset: scene {entry.key} has {entry.frames} frames, not {frames}; build with --frames {frames}")
    first = int(rng.integers(entry.frames - frames + 1))
    pairs = [entry.frame(number) for number in range(first, first + frames)]
    return _square(entry, (np.stack([sdr for sdr, _ in pairs]), np.stack([hdr for _, hdr in pairs])), size, rng)


def _square(
    entry: Entry, pictures: tuple[NDArray[np.float32], NDArray[np.float32]], size: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if min(entry.width, entry.height) < size:
        raise InputError(f"dataset: scene {entry.key} is {entry.width}x{entry.height}, {size} is asked for; build larger crops")
    y, x = (int(rng.integers(side - size + 1)) for side in (entry.height, entry.width))
    step = -1 if rng.random() < 0.5 else 1
    sdr, hdr = (np.ascontiguousarray(picture[..., y : y + size, x : x + size][..., ::step]) for picture in pictures)
    return sdr, hdr


class Writer:
    """Adds scenes to a data set: a scene is in the manifest if, and only if, its folder is complete."""

    def __init__(self, folder: Path, film: str, job: Mapping[str, Any]) -> None:
        """Open a data set for the scenes of one film.

        Args:
            folder: made if it is not there.
            film: its name in the data set.
            job: everything that decides what is written, as JSON has it.

        Raises:
            InputError: the name cannot be that of a file, the folder is something else, or holds this film built otherwise.
        """
        if not _NAME.fullmatch(film):
            raise InputError(f"dataset: --name is {film!r}; use letters, digits, dots, dashes and underscores")
        if folder.exists() and not is_dataset(folder) and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"dataset: {folder} exists and is no data set; give another folder")
        self.folder, self.film = folder, film
        job = json.loads(json.dumps(job))
        manifest, record = folder / MANIFEST, folder / "films" / f"{film}.json"
        entries = read(folder) if manifest.is_file() else []
        self.done = {entry.key for entry in entries}
        before = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else job
        if before != job:
            if any(entry.film == film for entry in entries):
                changed = next(key for key in {**before, **job} if before.get(key) != job.get(key))
                raise InputError(
                    f"dataset: {folder} holds film {film!r} built with {changed} {before.get(changed)}, now it is "
                    f"{job.get(changed)}; give the same, another folder or another --name"
                )
            self.forget()
        record.parent.mkdir(parents=True, exist_ok=True)
        _write(record, json.dumps(job, indent=1))
        # A power cut may leave half a line at the end.
        _write(manifest, "".join(f"{line}\n" for line in _whole_lines(manifest)) if manifest.is_file() else "")

    def forget(self) -> None:
        """Remove what is known of the film where none of its scenes is written, and a data set that then holds nothing."""
        manifest, films = self.folder / MANIFEST, self.folder / "films"
        entries = read(self.folder) if manifest.is_file() else []
        if any(entry.film == self.film for entry in entries):
            return
        for suffix in ("json", "hdr.luma", "sdr.luma"):
            (films / f"{self.film}.{suffix}").unlink(missing_ok=True)
        if not entries and not any(films.iterdir()):
            films.rmdir()
            manifest.unlink(missing_ok=True)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def add(self, entry: Entry, pairs: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> None:
        """Write a scene.

        Args:
            entry: what the manifest says of it.
            pairs: `sdr` and `hdr` of each frame, (3, height, width) in [0, 1].
        """
        whole = self.folder / "scenes" / entry.key
        partial = whole.with_name(f"{entry.key}.partial")
        for folder in (partial, whole):  # what an interrupted run left
            shutil.rmtree(folder, ignore_errors=True)
        partial.mkdir(parents=True)
        for number, pictures in enumerate(pairs):
            for side, picture in zip(SIDES, pictures, strict=True):
                write_picture(partial / f"{number:03d}.{side}.png", picture)
        partial.rename(whole)
        values = {name: value for name, value in asdict(entry).items() if name != "root"}
        with (self.folder / MANIFEST).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
        self.done.add(entry.key)


def read_picture(path: Path) -> NDArray[np.float32]:
    """(3, H, W) in [0, 1] of an 8- or 16-bit R'G'B' picture.

    Raises:
        InputError: it is missing, damaged or has no colour.
    """
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    largest = {"uint8": 255, "uint16": _STEPS}.get(str(picture.dtype) if picture is not None else "")
    if picture is None or picture.ndim != 3 or largest is None:
        raise InputError(f"dataset: {path} is missing or no colour picture; restore it, or remove its scene and build again")
    return np.ascontiguousarray(np.moveaxis(picture[..., 2::-1], -1, 0), dtype=np.float32) / np.float32(largest)


def write_picture(path: Path, picture: NDArray[np.float32]) -> None:
    """(3, H, W) in [0, 1] as 16-bit PNG, rounded and clipped.

    Raises:
        InputError: it cannot be written.
    """
    import cv2

    codes = np.rint(np.clip(picture, 0, 1) * np.float32(_STEPS)).astype(np.uint16)
    # The lowest compression: the highest takes ten times as long for a tenth less.
    if not cv2.imwrite(str(path), np.moveaxis(codes, 0, -1)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1]):
        raise InputError(f"dataset: {path} cannot be written; make room or choose another folder")


def _whole_lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return [line for line in text[: text.rfind("\n") + 1].split("\n") if line]


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.tmp")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
