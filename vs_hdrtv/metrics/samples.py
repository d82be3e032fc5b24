"""What methods are compared on: held-out scenes and photographs of a data folder, folders of pairs, pairs of video files.

What is held out, in code and not by choice of the caller: scenes of the test split, the operators of `operators.UNSEEN`, and
real photographs with an SDR and an HDR rendition. The validation split, for choosing between checkpoints, has none of these.
Every made pair is a function of the seed, the scene's name, the view and the operator, so that two runs, and two machines with
the same libraries, measure the same pictures.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..color.gamut import PRIMARIES, convert
from ..color.transfer import REFERENCE_WHITE, bt1886_inverse_eotf, pq_inverse_eotf, srgb_eotf
from ..errors import InputError
from ..training import operators, pairs, scenes

SPLITS = {"test": "held-out scenes, seen operators", "validation": "validation scenes, seen operators"}
"""Split of the scenes -> the set's name."""

PHOTOS = "real photo pairs"


def unseen(operator: str) -> str:
    """The set of pairs whose SDR version is by an operator of `operators.UNSEEN`."""
    return f"held-out operator {operator}"


SDR_FOLDER, HDR_FOLDER = "sdr", "hdr"
"""What a folder of pairs holds."""

_FULL = {"uint8": 255, "uint16": 65535}

Reader = Callable[[scenes.Scene], scenes.Picture]


@dataclass(frozen=True)
class Sample:
    """A picture (3, H, W) or consecutive frames (N, 3, H, W).

    Attributes:
        sdr: signal.
        hdr: signal of the reference.
        rate: frames a second of a clip, None for a picture.
        cuts: numbers of the frames that begin scenes, without 0.
    """

    sdr: NDArray[np.float32]
    hdr: NDArray[np.float32]
    rate: float | None = None
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Item:
    """A sample that has not been read yet.

    Attributes:
        group: the set that it belongs to.
        name: which one it is.
        load: reads or makes it.
    """

    group: str
    name: str
    load: Callable[[], Sample]


@dataclass(frozen=True)
class Views:
    """How scenes become pairs: side in pixels, views of each, seed."""

    size: int = 256
    count: int = 2
    seed: int = 0


def of_data(data: Path, split: str, views: Views) -> list[Item]:
    """Everything that a data folder has for a split.

    Args:
        data: holds `hdr_stills/` and `pairs/`, or is a folder of .hdr and .exr pictures itself.
        split: key of `SPLITS`.
        views: how scenes become pairs.

    Raises:
        InputError: it is no folder, or holds no scene of the split.
    """
    items = list(_of_scenes(scenes.find(stills_folder(data), split), split, views))
    primaries = _primaries(data / "MANIFEST.csv")
    for folder in scenes.find_photos(data / "pairs", split):
        items.append(Item(PHOTOS, folder.name, partial(photo_pair, folder, primaries.get(folder.name, ""), views.size)))
    return items


def stills_folder(data: Path) -> Path:
    """Where the pictures of a data folder lie.

    Raises:
        InputError: it is no folder.
    """
    if not data.is_dir():
        raise InputError(f"evaluate: --data {data} is not a folder; give one with hdr_stills/ and pairs/, or of .hdr files")
    return data / "hdr_stills" if (data / "hdr_stills").is_dir() else data


def of_folder(folder: Path) -> list[Item]:
    """Pairs of one's own: `folder/sdr/NAME.png` and `folder/hdr/NAME.png` or `.exr`, at their own size.

    SDR is BT.709 by BT.1886; an HDR PNG is BT.2020 PQ, 16 bits, as HDRTV1K has it; for OpenEXR see `read_exr`.

    Raises:
        InputError: a folder is missing or empty, or a picture has no partner.
    """
    found: dict[str, dict[str, Path]] = {}
    for kind, suffixes in ((SDR_FOLDER, (".png",)), (HDR_FOLDER, (".png", ".exr"))):
        if not (folder / kind).is_dir():
            raise InputError(f"evaluate: --pairs {folder} has no folder {kind}; give one that holds sdr/ and hdr/")
        found[kind] = {path.stem: path for path in sorted((folder / kind).iterdir()) if path.suffix.lower() in suffixes}
    alone = sorted(found[SDR_FOLDER].keys() ^ found[HDR_FOLDER].keys())
    if alone:
        names = ", ".join(alone[:3])
        raise InputError(f"evaluate: --pairs {folder}: {names} in only one of sdr/ and hdr/; remove it or add the other")
    if not found[SDR_FOLDER]:
        raise InputError(
            f"evaluate: --pairs {folder} holds no pictures; put PNG into sdr/, PNG or EXR of the same names into hdr/"
        )
    group = f"pairs of {folder.resolve().name}"
    return [Item(group, name, partial(_file_pair, path, found[HDR_FOLDER][name])) for name, path in found[SDR_FOLDER].items()]


def of_clip(sdr: Path, hdr: Path, frames: int) -> Item:
    """Consecutive frames from the middle of two video files of the same programme, at their own size.

    Args:
        sdr: any SDR video.
        hdr: the same frames in PQ or HLG.
        frames: how many, or all where the files have fewer.
    """
    return Item("clips", f"{sdr.stem} / {hdr.stem}", partial(_clip, sdr, hdr, frames))


def _clip(sdr: Path, hdr: Path, frames: int) -> Sample:
    from .. import media
    from ..scenes import CUT, cut_clip
    from ..scope.read import open_video
    from ..sources import open_source, read_planes

    who = "evaluate"
    reference = open_video(hdr, who)  # first: it loads what has to come before VapourSynth's plug-ins
    if reference.kind == "SDR":
        raise InputError(f"evaluate: --clip: {hdr} is SDR; give the SDR file first and then its HDR version, PQ or HLG")
    media.check_input(sdr, who)
    clip = media.open_source(sdr, who).clip
    planes = open_source(f"{who}: {sdr}", clip, "sdr").planes
    sizes = [(each.width, each.height, each.num_frames) for each in (planes, reference.clip)]
    if sizes[0] != sizes[1]:
        words = " and ".join(f"{width}x{height}, {number} frames" for width, height, number in sizes)
        raise InputError(f"evaluate: --clip {sdr} {hdr} are {words}; cut and scale them to the same frames first")
    count = min(frames, planes.num_frames)
    first = (planes.num_frames - count) // 2
    numbers = range(first, first + count)
    part = planes[first : first + count]
    shown = np.stack([read_planes(frame)[0] for frame in part.frames(close=True)])
    meant = np.stack([reference.picture(number)[0] for number in numbers])
    rate = (reference.frames - 1) / reference.times[-1] if reference.frames > 1 and reference.times[-1] > 0 else 24.0
    flags = cut_clip(who, clip, "auto")[first : first + count]
    cuts = tuple(number for number, frame in enumerate(flags.frames(close=True)) if number and frame.props[CUT])
    return Sample(np.clip(shown, 0, 1), meant, rate, cuts)


def _of_scenes(found: list[scenes.Scene], split: str, views: Views) -> Iterator[Item]:
    seen = sorted(operators.SEEN)
    # Scenes come one after another: each is decoded once for all its pairs.
    read: Reader = lru_cache(maxsize=1)(scenes.Scene.read)
    for number, scene in enumerate(found):
        for view in range(views.count):

            def item(group: str, operator: str, scene: scenes.Scene = scene, view: int = view) -> Item:
                return Item(group, f"{scene.name} {view} {operator}", partial(scene_pair, scene, read, operator, view, views))

            # In turn, so that every operator is met about as often. The analytic ones are reported apart.
            yield item(SPLITS[split], seen[(number * views.count + view) % len(seen)])
            for operator in operators.UNSEEN if split == "test" else ():
                yield item(unseen(operator), operator)
            for operator in operators.ANALYTIC:
                yield item(f"SDR made by {operator}", operator)


def scene_pair(scene: scenes.Scene, read: Reader, operator: str, view: int, views: Views) -> Sample:
    """The same view of a scene for every operator; exposure and grade are the operator's own draw.

    Raises:
        InputError: the scene is black nearly everywhere.
    """
    key = (views.seed, zlib.crc32(scene.name.encode()), view)
    rng = np.random.default_rng(key)
    picture = read(scene)
    for _ in range(100):
        crop = scenes.random_view(picture, views.size, rng)
        if crop.max() > 0:
            pair = pairs.make_pair(crop, np.random.default_rng((*key, zlib.crc32(operator.encode()))), operator)
            return Sample(pair.sdr, pair.hdr)
    raise InputError(f"evaluate: {scene.path} is black nearly everywhere; remove it")


def _primaries(manifest: Path) -> dict[str, str]:
    """Primaries of each folder of `pairs/` as the manifest words them."""
    if not manifest.exists():
        return {}
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [((row.get("file") or "").split("/"), row.get("primaries") or "") for row in csv.DictReader(file)]
    return {parts[1]: primaries for parts, primaries in rows if parts[0] == "pairs" and len(parts) > 1}


def photo_pair(folder: Path, primaries: str, size: int) -> Sample:
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
    return Sample(np.ascontiguousarray(sdr, dtype=np.float32), np.asarray(hdr, dtype=np.float32))


def _file_pair(sdr: Path, hdr: Path) -> Sample:
    shown = read_png(sdr)
    meant = read_png(hdr) if hdr.suffix.lower() == ".png" else read_exr(hdr)
    if shown.shape != meant.shape:
        sizes = " and ".join(f"{picture.shape[2]}x{picture.shape[1]}" for picture in (shown, meant))
        raise InputError(f"evaluate: {sdr} and {hdr} are {sizes}; they must show the same pixels")
    return Sample(shown, meant)


def read_png(path: Path) -> NDArray[np.float32]:
    """The signal of a PNG of 8 or 16 bits, (3, H, W) in [0, 1].

    Raises:
        InputError: it cannot be read.
    """
    import cv2

    coded = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH)
    if coded is None or coded.dtype.name not in _FULL:
        raise InputError(f"evaluate: {path} cannot be read; give a PNG of 8 or 16 bits")
    signal = np.asarray(coded, dtype=np.float32) / _FULL[coded.dtype.name]
    return np.ascontiguousarray(np.moveaxis(signal, -1, 0))


def read_exr(path: Path) -> NDArray[np.float32]:
    """An OpenEXR picture of linear light as `hdr`, (3, H, W).

    Its own attributes say what the numbers are: `chromaticities` (BT.709 where it has none, as OpenEXR has it) and
    `whiteLuminance`, the cd/m2 of 1.0 (203, BT.2408's reference white, where it has none).

    Raises:
        InputError: it cannot be read, or its primaries are none that are known here.
    """
    import OpenEXR

    light = scenes.Scene(path.stem, path.stem, "test", path).read()
    header = OpenEXR.File(str(path), header_only=True).header()
    primaries = "bt709"
    stated = header.get("chromaticities")
    if stated is not None:
        red_green_blue = np.asarray(stated, dtype=np.float64).ravel()[:6]
        near = [name for name, xy in PRIMARIES.items() if np.allclose(red_green_blue, np.ravel(xy), atol=2e-3)]
        if not near:
            found = np.round(red_green_blue, 4).tolist()
            raise InputError(f"evaluate: {path} has primaries {found}; convert it to BT.2020 or BT.709")
        primaries = near[0]
    white = float(header.get("whiteLuminance", REFERENCE_WHITE))
    hdr = pq_inverse_eotf(convert(np.moveaxis(light, -1, 0) * white, primaries, "bt2020"))
    return np.ascontiguousarray(hdr, dtype=np.float32)


def limited(items: list[Item], limit: int | None) -> list[Item]:
    """The first `limit` items of each group, or all."""
    if limit is None:
        return items
    groups = dict.fromkeys(item.group for item in items)
    kept = {id(item) for group in groups for item in islice((item for item in items if item.group == group), limit)}
    return [item for item in items if id(item) in kept]
