"""Held-out clips that are made from pictures: fixed sets by what moves in them, by seen and by unseen operators.

A clip is a function of the seed, the scene, the operator, the kind, the size and the number of frames. The light is the same one
for every operator, as it is for the pairs of `samples`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from ..errors import InputError
from ..training import clips, operators, scenes
from ..training.clips import Motion
from ..training.pairs import PLAIN, Variety
from .samples import Item, Reader, Sample, stills_folder

RATE = 24.0
"""Frames a second that a generated clip is taken to have."""


@dataclass(frozen=True)
class Kind:
    """What moves in a set of clips, and how their SDR versions were delivered; kinds of one number show the same light."""

    number: int
    motion: Motion
    variety: Variety = PLAIN


_STILL = Motion(layers=1, exposure=0, cut=0, speed=0, zoom=0)

KINDS = {
    "moving camera": Kind(0, Motion(exposure=0, cut=0)),
    "slow motion": Kind(1, Motion(layers=0, exposure=0, cut=0, speed=0.1, zoom=0.001)),
    "static camera": Kind(2, _STILL),
    "static camera, coded": Kind(2, _STILL, Variety(compression=1)),
}
"""Name -> how it is made. Before a static camera something moves: what stands still behind it shows flicker, and in SDR that no
encoder went through it is still to the last bit. Slow is a fifth of the pan and a quarter of the zoom."""

SETS = {"seen operators": tuple(sorted(operators.SEEN)), "held-out operators": tuple(operators.UNSEEN)}
"""By whom SDR was made: each kind has a set of each; on the validation split of the first alone."""


@dataclass(frozen=True)
class Clips:
    """How many clips each set has, frames of each, side in pixels (even), and the seed."""

    count: int
    frames: int = 16
    size: int = 256
    seed: int = 0


def name_of(kind: str, made_by: str) -> str:
    """The set of clips of a key of `KINDS` whose SDR is by a key of `SETS`."""
    return f"clips, {kind}, {made_by}"


def of_data(data: Path, split: str, wanted: Clips) -> list[Item]:
    """Every clip of a data folder for a split; scenes and operators in turn.

    Args:
        data: as for `samples.of_data`.
        split: `test` or `validation`.
        wanted: how many, and of what size.

    Raises:
        InputError: there is no scene of the split.
    """
    return list(_items(scenes.find(stills_folder(data), split), split, wanted))


def _items(found: list[scenes.Scene], split: str, wanted: Clips) -> Iterator[Item]:
    read: Reader = lru_cache(maxsize=1)(scenes.Scene.read)
    for number in range(wanted.count):
        scene, turn = found[number % len(found)], number // len(found)
        for kind in KINDS:
            for made_by, names in SETS.items() if split == "test" else [*SETS.items()][:1]:
                operator = names[number % len(names)]
                make = partial(clip, scene, read, kind, operator, wanted, turn)
                yield Item(name_of(kind, made_by), f"{scene.name} {turn} {operator}", make)


def clip(scene: scenes.Scene, read: Reader, kind: str, operator: str, wanted: Clips, turn: int = 0) -> Sample:
    """One clip.

    Args:
        scene: what is in front and what is behind are views of it.
        read: decodes it.
        kind: key of `KINDS`.
        operator: key of `operators.OPERATORS`.
        wanted: frames, size and seed.
        turn: another clip of the same scene.

    Raises:
        InputError: the scene is black nearly everywhere.
    """
    how = KINDS[kind]
    key = (wanted.seed, zlib.crc32(scene.name.encode()), how.number, turn)
    try:
        made = clips.make_clip([read(scene)], wanted.frames, wanted.size, key, how.motion, operator, variety=how.variety)
    except InputError:
        raise InputError(f"evaluate: {scene.path} is black nearly everywhere; remove it") from None
    return Sample(made.sdr, made.hdr, RATE, made.cuts)
