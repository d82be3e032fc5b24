"""What a training run draws pairs from: stills, HDR clips and data sets of one's own films, all of one split."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..color.arrays import Array
from ..errors import InputError
from ..keyframes import dis
from . import camera, clips, dataset, displacement, graphics, key_frames, pairs, scenes
from .pairs import Pair, Variety
from .scenes import Picture, Scene

logger = logging.getLogger(__name__)

FRAMES_A_VIDEO = 5
"""Frames taken of an HDR clip: neighbours look alike, and all of them stay in memory."""


@dataclass(frozen=True)
class Material:
    """Everything of one split.

    Attributes:
        stills: scene-linear pictures, BT.709.
        frames: of HDR clips, BT.2020.
        films: scenes of a data set.
    """

    stills: list[Picture]
    frames: list[Picture]
    films: list[dataset.Entry]

    def draw(
        self,
        size: int,
        rng: np.random.Generator,
        look: float = 1.0,
        bars: float = 0.0,
        variety: Variety = pairs.PLAIN,
        device: torch.device | None = None,
    ) -> Pair:
        """A pair of `size` x `size` pixels, a function of the generator's state.

        Args:
            size: even.
            rng: every random choice comes from it.
            look: as for `pairs.make_pair`.
            bars: share of pairs with black bars.
            variety: what varies; shares of what is not there count as 0, and as 1 where there is nothing else.
            device: where torch makes the pair of the view, whose tensors it then holds; None for numpy on the host. The random
                choices are the same, sums are rounded otherwise.
        """
        pair = self._draw(size, rng, look, variety, device)
        return pairs.with_bars(pair, rng) if bars and rng.random() < bars else pair

    def _draw(self, size: int, rng: np.random.Generator, look: float, variety: Variety, device: torch.device | None) -> Pair:
        def there(picture: Array) -> Array:
            return picture if device is None else torch.from_numpy(picture).to(device)

        if self.films and (not self.stills + self.frames or (variety.films and rng.random() < variety.films)):
            pair = dataset.random_pair(self.films, size, rng)
            return pairs.Pair(there(pair.sdr), there(pair.hdr), pair.operator)
        if variety.graphics and rng.random() < variety.graphics:
            sdr, hdr = graphics.draw(size, rng)
            coded = pairs.deliver(sdr[None], rng, variety)[0]
            return pairs.Pair(there(coded.astype(np.float32)), there(hdr.astype(np.float32)), "graphics")
        while True:  # a black view teaches nothing: draw again
            pictures, primaries = self._pictures(rng, variety)
            view = _view(pictures[int(rng.integers(len(pictures)))], size, rng, variety)
            if view.max() > 0:
                return pairs.make_pair(there(view), rng, look=look, variety=variety, primaries=primaries)

    def draw_clip(
        self,
        size: int,
        rng: np.random.Generator,
        frames: int,
        motion: clips.Motion,
        look: float = 1.0,
        bars: float = 0.0,
        variety: Variety = pairs.PLAIN,
    ) -> clips.Clip:
        """A clip of `frames` frames of `size` x `size` pixels, a function of the generator's state.

        `motion` is that of `clips.make_clip`, the other arguments are those of `draw`. Drawings and black bars stand still; a
        frame of an HDR clip is a picture that a camera moves over.

        Raises:
            InputError: there are neither stills nor frames of HDR clips.
        """
        if not self.stills + self.frames:
            raise InputError("training: clips are made of HDR pictures, and there are none; give a folder that has hdr_stills/")
        if variety.graphics and rng.random() < variety.graphics:
            sdr, hdr = (np.repeat(side[None], frames, axis=0) for side in graphics.draw(size, rng))  # (N, 3, size, size)
            clip = clips.Clip(pairs.deliver(sdr, rng, variety).astype(np.float32), hdr.astype(np.float32), "graphics", ())
        else:
            pictures, primaries = self._pictures(rng, variety)
            clip = clips.make_clip(pictures, frames, size, rng, motion, None, look, variety, primaries)
        if bars and rng.random() < bars:
            pair = pairs.with_bars(Pair(clip.sdr, clip.hdr, clip.operator), rng)
            clip = dataclasses.replace(clip, sdr=pair.sdr.astype(np.float32), hdr=pair.hdr.astype(np.float32))
        return clip

    def draw_key_frame(
        self, size: int, rng: np.random.Generator, references: int, motion: clips.Motion, variety: Variety = pairs.PLAIN
    ) -> key_frames.KeyFrame:
        """A key frame with its references, `size` x `size` pixels; arguments as for `key_frames.make_key_frame`.

        Raises:
            InputError: there are no stills.
        """
        return key_frames.make_key_frame(self._needed("key frames"), references, size, rng, dis.trusted, motion, variety)

    def draw_segment(
        self, size: int, rng: np.random.Generator, motion: clips.Motion, variety: Variety = pairs.PLAIN
    ) -> key_frames.Segment:
        """A group of frames with the key frames round it; arguments as for `key_frames.make_segment`.

        Raises:
            InputError: there are no stills.
        """
        return key_frames.make_segment(self._needed("segments of frames"), size, rng, dis.trusted, motion, variety)

    def draw_flow_pair(self, size: int, rng: np.random.Generator, apart: displacement.Displacement) -> displacement.FlowPair:
        """Two frames of `size` x `size` pixels and the flow between them; arguments as for `displacement.make_flow_pair`.

        Raises:
            InputError: there are no stills.
        """
        return displacement.make_flow_pair(self._needed("pairs with flow"), size, rng, apart)

    def _needed(self, what: str) -> list[Picture]:
        if not self.stills:
            raise InputError(f"training: {what} are made of HDR pictures, and there are none; give a folder that has hdr_stills/")
        return self.stills

    def _pictures(self, rng: np.random.Generator, variety: Variety) -> tuple[list[Picture], str]:
        """Pictures to choose from, and their primaries."""
        if self.frames and (not self.stills or (variety.video and rng.random() < variety.video)):
            return self.frames, "bt2020"
        return self.stills, "bt709"


@dataclass(frozen=True)
class Sources:
    """What there is of one split, found but not read.

    Attributes:
        stills: pictures.
        videos: HDR clips.
        films: scenes of a data set.
    """

    stills: list[Scene]
    videos: list[Scene]
    films: list[dataset.Entry]

    def load(self) -> Material:
        """Read stills and frames of clips into memory; films are read pair by pair."""
        frames = [frame for clip in self.videos for frame in scenes.read_video(clip, FRAMES_A_VIDEO)]
        return Material([scene.read() for scene in self.stills], frames, self.films)


def find(data: Path, split: str, variety: Variety = pairs.PLAIN) -> Sources:
    """What is below `data` and of one split.

    Args:
        data: a folder of .hdr and .exr pictures; or one with `hdr_stills/`, and where there are `hdr_video/` and a data set in
            `films/`; or a data set that `dataset build` wrote.
        split: `train`, `validation` or `test`.
        variety: what its share is 0 of is left out, unless there is nothing else.

    Raises:
        InputError: there is nothing of that split.
    """
    if dataset.is_dataset(data):
        films = dataset.read(data, split)
        if not films:
            raise InputError(f"training: data set {data} has no {split} scene; add films, or build it with --split-by part")
        return Sources([], [], films)
    stills = data / "hdr_stills" if (data / "hdr_stills").is_dir() else data
    videos = scenes.find_videos(data / "hdr_video", split) if variety.video else []
    films = dataset.read(data / "films", split) if variety.films and dataset.is_dataset(data / "films") else []
    for share, name, found in ((variety.video, "hdr_video", videos), (variety.films, "films", films)):
        if share and not found:
            logger.warning("training: %s/%s has no %s scene; its share of pairs comes from stills", data, name, split)
    return Sources(scenes.find(stills, split), videos, films)


def _view(picture: Picture, size: int, rng: np.random.Generator, variety: Variety) -> Picture:
    if variety.perspective and scenes.is_panorama(picture) and rng.random() < variety.perspective:
        pose = camera.random_pose(rng, size, picture.shape[1])
        view = camera.view(picture, pose, size, size)
        return np.ascontiguousarray(view[:, ::-1]) if rng.random() < 0.5 else view
    return scenes.random_view(picture, size, rng)
