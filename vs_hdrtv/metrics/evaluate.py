"""`vs-hdrtv evaluate`: every method on every held-out set, as a Markdown table and a CSV file.

What is held out, in code and not by choice of the caller: scenes of the test split, the operators of
`operators.UNSEEN`, and real photographs with an SDR and an HDR rendition. Every pair is a function of the seed, the
scene's name, the view and the operator, so that two runs, and two machines with the same libraries, measure the same
pictures.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..color.gamut import convert
from ..color.tone_curves import INVERSE_TONE_MAPS
from ..color.transfer import REFERENCE_WHITE, bt1886_inverse_eotf, pq_inverse_eotf, srgb_eotf
from ..errors import InputError
from ..training import operators, pairs, scenes
from .difference import delta_e_itp, exposure_match, psnr

Picture = NDArray[np.float32]
Method = Callable[[Picture], Picture]
"""(3, H, W) `sdr` to (3, H, W) `hdr`, not clamped."""

SEEN, PHOTOS = "held-out scenes, seen operators", "real photo pairs"
SMALLEST = 32
"""Side in pixels below which a network would be fed padding."""


@dataclass(frozen=True)
class Score:
    """Means over a set: PSNR of PQ in dB and dE_ITP, as they are and after exposure matching."""

    count: int
    psnr: float
    delta_e_itp: float
    psnr_matched: float
    delta_e_itp_matched: float

    def __str__(self) -> str:
        """The table's cell."""
        return f"{self.psnr:.1f} / {self.delta_e_itp:.1f} ({self.psnr_matched:.1f} / {self.delta_e_itp_matched:.1f})"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `run` reads to `parser`."""
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with hdr_stills/ and pairs/, or one of .hdr and .exr pictures"
    )
    parser.add_argument("--models", nargs="*", default=[], metavar="MODEL", help="shipped models, or .toml or .safetensors files")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="checkpoint.pt of a training run (HDCFM, needs torch)")
    parser.add_argument(
        "--baselines",
        nargs="*",
        default=list(INVERSE_TONE_MAPS),
        metavar="NAME",
        help="analytic methods (default: %(default)s)",
    )
    parser.add_argument("--engine", default="auto", help="engine that runs the models (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of a view in pixels, even (default: %(default)s)")
    parser.add_argument("--views", type=int, default=2, help="views of each scene (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of views, exposures and operators (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="CSV file of the same numbers")


def run(arguments: argparse.Namespace, write: Callable[[str], object] | None = None) -> int:
    """Evaluate and write the table.

    Args:
        arguments: what `add_arguments` asks for.
        write: takes the table's text; standard output where it is None.

    Returns:
        Exit code 0.

    Raises:
        InputError: an argument, a model or the data are wrong.
    """
    if arguments.size < SMALLEST or arguments.size % 2:
        raise InputError(f"evaluate: --size is {arguments.size}; give an even number of {SMALLEST} or more")
    if arguments.views < 1:
        raise InputError(f"evaluate: --views is {arguments.views}; give 1 or more")
    if arguments.seed < 0:
        raise InputError(f"evaluate: --seed is {arguments.seed}; give 0 or more")
    if arguments.output is not None and not arguments.output.parent.is_dir():
        raise InputError(f"evaluate: --output {arguments.output}: there is no such folder; create it first")
    methods = _methods(arguments)
    stills, photos = _folders(arguments.data)
    test = scenes.find(stills, "test")
    total = len(test) * arguments.views * (1 + len(operators.UNSEEN | operators.ANALYTIC)) + len(photos)

    values: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    sets: list[str] = []
    for index, (name, pair) in enumerate(_all_pairs(test, photos, arguments)):
        _progress(f"evaluate: pair {index + 1}/{total}  {name}")
        if name not in sets:
            sets.append(name)
        for method, function in methods.items():
            values.setdefault((method, name), []).append(_measure(function(pair.sdr), pair.hdr))
    _progress("")

    scores = {
        key: Score(len(rows), *(float(np.mean(column)) for column in zip(*rows, strict=True))) for key, rows in values.items()
    }
    (write or sys.stdout.write)(table(list(methods), sets, scores))
    if arguments.output is not None:
        _write_csv(arguments.output, scores)
    return 0


def table(methods: Sequence[str], sets: Sequence[str], scores: dict[tuple[str, str], Score]) -> str:
    """Markdown table, a row a method and a column a set."""
    counts = [scores[methods[0], name].count for name in sets]
    lines = [
        "PSNR of PQ in dB / mean dE_ITP; in brackets after matching exposure (one gain on linear light).",
        "",
        "| method | " + " | ".join(f"{name} ({count})" for name, count in zip(sets, counts, strict=True)) + " |",
        "|---" * (len(sets) + 1) + "|",
    ]
    lines += [f"| {method} | " + " | ".join(str(scores[method, name]) for name in sets) + " |" for method in methods]
    return "\n".join(lines) + "\n"


def _measure(hdr: Picture, reference: Picture) -> tuple[float, ...]:
    matched = exposure_match(hdr, reference)
    return psnr(hdr, reference), delta_e_itp(hdr, reference), psnr(matched, reference), delta_e_itp(matched, reference)


def _write_csv(path: Path, scores: dict[tuple[str, str], Score]) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "set", "pairs", "psnr_db", "delta_e_itp", "psnr_matched_db", "delta_e_itp_matched"])
        for (method, name), score in scores.items():
            numbers = (score.psnr, score.delta_e_itp, score.psnr_matched, score.delta_e_itp_matched)
            writer.writerow([method, name, score.count, *(f"{number:.4f}" for number in numbers)])
    partial.replace(path)


def _progress(text: str) -> None:
    """One line that overwrites itself, for a person at a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


# Methods


def _methods(arguments: argparse.Namespace) -> dict[str, Method]:
    """Every method asked for, by the name of its row."""
    methods: dict[str, Method] = {}
    for name in arguments.baselines:
        if name not in INVERSE_TONE_MAPS:
            raise InputError(f"evaluate: unknown baseline {name!r}; choose from {', '.join(INVERSE_TONE_MAPS)}")
        methods[name] = INVERSE_TONE_MAPS[name]
    for model in arguments.models:
        methods[str(model)] = _model(model, arguments.engine)
    if arguments.checkpoint is not None:
        methods[str(arguments.checkpoint)] = _checkpoint(arguments.checkpoint)
    if not methods:
        raise InputError("evaluate: there is no method to evaluate; give --models, --checkpoint or --baselines")
    return methods


def _model(model: str, engine_name: str) -> Method:
    from .. import weights
    from ..engines import create

    engine = create(engine_name)
    network = engine.load(weights.find(model))

    def apply(sdr: Picture) -> Picture:
        result: Picture = np.asarray(engine.download(network(engine.upload(sdr[None])))[0])
        return result

    return apply


def _checkpoint(path: Path) -> Method:
    import pickle

    import torch

    from ..networks import registry

    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise InputError(f"evaluate: --checkpoint {path} cannot be read ({error}); give checkpoint.pt of a run") from None
    network = registry.create("hdcfm")
    try:
        network.load_state_dict(state["average"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"evaluate: --checkpoint {path} does not hold HDCFM's averaged weights ({error})") from None
    network.eval()

    def apply(sdr: Picture) -> Picture:
        with torch.inference_mode():
            result: Picture = network(torch.from_numpy(sdr[None]))[0].numpy()
        return result

    return apply


# Pairs


def _folders(data: Path) -> tuple[Path, list[Path]]:
    """The folder of stills, and the folders of photo pairs (none where `data` is a folder of stills itself)."""
    if not data.is_dir():
        raise InputError(f"evaluate: --data {data} is not a folder; give one with hdr_stills/ and pairs/, or of .hdr files")
    stills = data / "hdr_stills" if (data / "hdr_stills").is_dir() else data
    photos = data / "pairs"
    return stills, sorted(path for path in photos.iterdir() if path.is_dir()) if photos.is_dir() else []


def _all_pairs(test: list[scenes.Scene], photos: list[Path], arguments: argparse.Namespace) -> Iterator[tuple[str, pairs.Pair]]:
    """Name of the set, and the pair."""
    seen = sorted(operators.SEEN)
    for number, scene in enumerate(test):
        picture = scene.read()
        for view in range(arguments.views):
            # In turn, so that every operator is met about as often. The analytic ones are reported apart.
            turn = seen[(number * arguments.views + view) % len(seen)]
            yield SEEN, _scene_pair(scene, picture, turn, view, arguments)
            for operator in operators.UNSEEN:
                yield f"held-out operator {operator}", _scene_pair(scene, picture, operator, view, arguments)
            for operator in operators.ANALYTIC:
                yield f"SDR made by {operator}", _scene_pair(scene, picture, operator, view, arguments)
    primaries = _primaries(photos[0].parent.parent / "MANIFEST.csv") if photos else {}
    for folder in photos:
        yield PHOTOS, photo_pair(folder, primaries.get(folder.name, ""), arguments.size)


def _scene_pair(
    scene: scenes.Scene, picture: scenes.Picture, operator: str, view: int, arguments: argparse.Namespace
) -> pairs.Pair:
    """The same view of a scene for every operator; exposure and grade are the operator's own draw."""
    key = (arguments.seed, zlib.crc32(scene.name.encode()), view)
    rng = np.random.default_rng(key)
    for _ in range(100):
        crop = scenes.random_view(picture, arguments.size, rng)
        if crop.max() > 0:
            return pairs.make_pair(crop, np.random.default_rng((*key, zlib.crc32(operator.encode()))), operator)
    raise InputError(f"evaluate: {scene.path} is black nearly everywhere; remove it")


def _primaries(manifest: Path) -> dict[str, str]:
    """Primaries of each folder of `pairs/` as the manifest words them."""
    if not manifest.exists():
        return {}
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [(row["file"].split("/"), row["primaries"]) for row in csv.DictReader(file)]
    return {parts[1]: primaries for parts, primaries in rows if parts[0] == "pairs"}


def photo_pair(folder: Path, primaries: str, size: int) -> pairs.Pair:
    """A photograph's SDR and HDR rendition as `sdr` and `hdr`.

    Args:
        folder: holds `sdr.png` (sRGB curve) and `hdr.exr` (linear, 1.0 = SDR white = 203 cd/m2), pixel-aligned.
        primaries: of both files, in the manifest's words; "Display P3" or BT.709 / sRGB.
        size: the shorter side in pixels after area-averaging light.

    Raises:
        InputError: the primaries are not known, a file cannot be read, or their sizes differ.
    """
    import cv2

    if "P3" in primaries:
        source = "p3_d65"
    elif "709" in primaries or "sRGB" in primaries:
        source = "bt709"
    else:
        raise InputError(f"evaluate: primaries of {folder} are {primaries!r}; MANIFEST.csv must say Display P3 or BT.709")
    coded = cv2.imread(str(folder / "sdr.png"), cv2.IMREAD_COLOR_RGB)
    if coded is None:
        raise InputError(f"evaluate: {folder / 'sdr.png'} cannot be read; restore or remove the pair")
    hdr_light = scenes.Scene(folder.name, folder.name, "test", folder / "hdr.exr").read()
    if coded.shape != hdr_light.shape:
        raise InputError(f"evaluate: {folder}: sdr.png is {coded.shape}, hdr.exr {hdr_light.shape}; align them")
    sdr_light = np.asarray(srgb_eotf(coded / np.float32(255)))

    scale = min(1.0, size / min(coded.shape[:2]))
    width, height = (2 * round(side * scale / 2) for side in (coded.shape[1], coded.shape[0]))
    resized = (cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA) for light in (sdr_light, hdr_light))
    sdr_planes, hdr_planes = (np.moveaxis(np.asarray(light, dtype=np.float32), -1, 0) for light in resized)
    sdr = np.clip(bt1886_inverse_eotf(convert(sdr_planes, source, "bt709")), 0, 1)
    hdr = pq_inverse_eotf(convert(hdr_planes * REFERENCE_WHITE, source, "bt2020"))
    return pairs.Pair(np.ascontiguousarray(sdr, dtype=np.float32), np.asarray(hdr, dtype=np.float32), "photo")
