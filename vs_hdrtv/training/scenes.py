"""HDR pictures and clips on disk: reading, cropping, and the split that is fixed in code."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..color.transfer import REFERENCE_WHITE, pq_eotf
from ..errors import InputError

logger = logging.getLogger(__name__)

Picture = NDArray[np.float32]
"""(H, W, 3) linear light, arbitrary scale; BT.709 primaries unless it is a frame of an HDR clip (BT.2020)."""

SUFFIXES = (".hdr", ".exr")
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".ts")

VIDEO_LINES = 540
"""Lines that frames of HDR clips are averaged down to: views are small, and coding noise goes."""

SHARES = {"test": 0.2, "validation": 0.08}
"""Share of locations in each split; the rest trains."""

SAME_LOCATION = {"pmndrs_venice": "venice_sunset", "pmndrs_studio": "studio_small"}
"""Files whose name hides the location that they share with another file (`data/MANIFEST.csv`, notes)."""

EQUIRECTANGULAR_ASPECT = 2.0
_POLE = 0.18
"""Share of a panorama's height at each pole that crops stay out of: the projection stretches it."""


@dataclass(frozen=True)
class Scene:
    """One HDR picture of the data set."""

    name: str
    location: str
    split: str
    path: Path

    def read(self) -> Picture:
        """The picture, NaN and infinities replaced, negatives (out of gamut) clipped to 0.

        Raises:
            ValueError: the file cannot be decoded.
        """
        picture = _read_exr(self.path) if self.path.suffix.lower() == ".exr" else _read_rgbe(self.path)
        rgb: Picture = np.nan_to_num(picture[..., :3].astype(np.float32), nan=0.0, posinf=65504.0, neginf=0.0)
        return np.maximum(np.ascontiguousarray(rgb), 0)


def _read_exr(path: Path) -> NDArray[Any]:
    import OpenEXR

    try:
        channels = OpenEXR.File(str(path)).channels()
    except RuntimeError as error:
        raise InputError(f"scenes: {path} cannot be decoded ({error}); remove it or convert it") from None
    for name in ("RGB", "RGBA"):
        if name in channels:
            return np.asarray(channels[name].pixels)
    raise InputError(f"scenes: {path} has channels {', '.join(channels)}; RGB is needed")


def _read_rgbe(path: Path) -> NDArray[Any]:
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3:
        raise InputError(f"scenes: {path} is not a colour .hdr picture; remove it or convert it")
    return np.asarray(picture)[..., 2::-1]


def location(name: str) -> str:
    """Location of a scene: its name without size and number (`brown_photostudio_01_1k` -> `brown_photostudio`)."""
    stem = re.sub(r"_\d+k$", "", name)
    stem = re.sub(r"_\d+$", "", stem)
    return SAME_LOCATION.get(stem, stem)


def split(place: str) -> str:
    """`test`, `validation` or `train`, from a hash of the location alone."""
    position = int.from_bytes(hashlib.sha256(place.encode()).digest()[:8], "big") / 2**64
    edge = 0.0
    for name, share in SHARES.items():
        edge += share
        if position < edge:
            return name
    return "train"


def find(folder: Path, wanted: str) -> list[Scene]:
    """Scenes of split `wanted` below `folder`, sorted by name.

    Raises:
        InputError: there is none.
    """
    scenes = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() in SUFFIXES:
            place = location(path.stem)
            scenes.append(Scene(path.stem, place, split(place), path))
    chosen = [scene for scene in scenes if scene.split == wanted]
    if not chosen:
        raise InputError(
            f"scenes: no {wanted} scene among {len(scenes)} .hdr/.exr files in {folder}; give the folder of HDR files"
        )
    return chosen


def find_videos(folder: Path, wanted: str) -> list[Scene]:
    """Clips of split `wanted` below `folder`, sorted by name, by the same rule as pictures; empty where there is none."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    places = [(location(path.stem), path) for path in paths if path.suffix.lower() in VIDEO_SUFFIXES]
    return [Scene(path.stem, place, wanted, path) for place, path in places if split(place) == wanted]


def find_photos(folder: Path, wanted: str) -> list[Path]:
    """Folders of real SDR/HDR photo pairs below `folder`, sorted: only ever test, whatever their names hash to."""
    if wanted != "test" or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if (path / "sdr.png").is_file() and (path / "hdr.exr").is_file())


def read_video(scene: Scene, count: int) -> list[Picture]:
    """Up to `count` frames of an HDR10 or HLG clip, evenly spread: (H, W, 3) BT.2020 light, 1.0 = `REFERENCE_WHITE`.

    A clip that is not tagged PQ or HLG gives none: what it shows would be a guess.

    Raises:
        InputError: the file cannot be decoded.
    """
    import cv2

    from ..scope import read

    video = read.open_video(scene.path, "scenes")
    if video.kind == "SDR":
        logger.warning("scenes: %s is not tagged PQ or HLG; left out", scene.path)
        return []
    pictures = []
    for number in read.evenly(range(video.frames), count):
        light = np.moveaxis(np.asarray(pq_eotf(video.picture(number)[0]) / REFERENCE_WHITE, dtype=np.float32), 0, -1)
        scale = VIDEO_LINES / min(light.shape[:2])
        if scale < 1:
            size = round(light.shape[1] * scale), round(light.shape[0] * scale)
            light = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
        pictures.append(np.ascontiguousarray(light))
    return pictures


def is_panorama(picture: Picture) -> bool:
    """Whether it is twice as wide as high: equirectangular."""
    height, width = picture.shape[:2]
    return bool(abs(width / height - EQUIRECTANGULAR_ASPECT) < 0.02)


def random_view(picture: Picture, size: int, rng: np.random.Generator, smallest: float = 0.3) -> Picture:
    """(size, size, 3) view: a random square of the picture, area-averaged to `size`, possibly mirrored.

    Args:
        picture: the scene.
        size: side of the result in pixels.
        rng: source of randomness.
        smallest: side of the smallest square relative to the largest one that fits.
    """
    import cv2

    height, width = picture.shape[:2]
    top, bottom, turn = 0, height, 0
    if is_panorama(picture):
        top, bottom = round(height * _POLE), round(height * (1 - _POLE))
        turn = int(rng.integers(width))
    largest = min(bottom - top, width)
    side = int(largest * rng.uniform(smallest, 1.0))
    side = min(largest, max(side, size // 2))
    y = int(rng.integers(top, bottom - side + 1))
    x = int(rng.integers(0, width - side + 1))
    # A panorama goes on at its edges; only the columns that are seen are copied.
    crop = picture[y : y + side].take(range(x - turn, x - turn + side), axis=1, mode="wrap")
    how = cv2.INTER_AREA if side >= size else cv2.INTER_LINEAR
    view = np.asarray(cv2.resize(crop, (size, size), interpolation=how), dtype=np.float32)
    return np.ascontiguousarray(view[:, ::-1] if rng.random() < 0.5 else view)
