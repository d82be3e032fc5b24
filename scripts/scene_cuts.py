"""Which detector of scene cuts is the best: recall and precision on generated clips whose cuts are known.

    python scripts/scene_cuts.py --data DIR                 # DIR/hdr_stills; every detector that is installed
    python scripts/scene_cuts.py --video a.mp4 b.mp4        # what each finds in real footage, to be judged by eye

The clips are made from held-out pictures: cuts between still and fast scenes, a montage, dark grainy scenes; and what is no cut:
motion, whip pans, changing exposure, flashes, fades, dissolves.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vs_hdrtv.errors import InputError
from vs_hdrtv.scenes import CUT, cut_clip
from vs_hdrtv.training import clips, scenes
from vs_hdrtv.training.clips import Motion
from vs_hdrtv.training.scenes import Picture

Made = tuple[NDArray[np.float32], tuple[int, ...]]
"""(N, 3, H, W) signal in [0, 1], and the first frames of scenes, without 0."""

NOISE = 0.006
"""Standard deviation of the noise that every clip gets, as a camera's."""


class Maker:
    """Makes the clips of one set of pictures, each a function of its key."""

    def __init__(self, pictures: list[Picture], frames: int, size: int) -> None:
        self.pictures, self.frames, self.size = pictures, frames, size

    def view(self, key: tuple[int, ...], frames: int | None = None, **motion: float) -> Made:
        """A moving camera; see `clips.Motion`."""
        moves = Motion(**{"exposure": 0.0, "cut": 0.0, **motion})
        made = clips.make_exposure_clip(self.pictures, frames or self.frames, self.size, key, moves)
        return made.coded, made.cuts

    def montage(self, key: tuple[int, ...]) -> Made:
        """Scenes of three to six frames."""
        rng, parts, cuts, count = np.random.default_rng(key), [], [], 0
        while count < self.frames:
            cuts.append(count)
            parts.append(self.view((*key, count), min(int(rng.integers(3, 7)), self.frames - count))[0])
            count += len(parts[-1])
        return np.concatenate(parts), tuple(cuts[1:])

    def dark(self, key: tuple[int, ...]) -> Made:
        """A cut between two scenes of an eighth of the signal, with grain as large as their detail."""
        signal, cuts = self.view(key, cut=1.0)
        grain = np.random.default_rng(key).normal(0, 2 * NOISE, signal.shape)
        return (signal / 8 + grain).astype(np.float32), cuts

    def flashes(self, key: tuple[int, ...]) -> Made:
        """One or two frames of a photographer's flash: everywhere or in one place, up to all white."""
        signal = self.view(key)[0].copy()
        rng = np.random.default_rng(key)
        start = int(rng.integers(3, self.frames - 5))
        y, x = np.mgrid[: self.size, : self.size] / self.size
        place = rng.random(2)
        where = 1.0 if rng.random() < 0.5 else np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / 0.3)
        for frame in range(start, start + int(rng.integers(1, 3))):
            signal[frame] = np.clip(
                signal[frame] * (1 + where * (2 ** rng.uniform(1, 5) - 1)) + where * rng.uniform(0, 0.5), 0, 1
            )
        return signal, ()

    def fade(self, key: tuple[int, ...]) -> Made:
        """One scene fades to black, another one from black: no sharp cut anywhere."""
        middle, rng = self.frames // 2, np.random.default_rng(key)
        length, black = int(rng.integers(6, middle + 1)), int(rng.integers(0, 3))
        number = np.arange(self.frames)
        far = np.where(number < middle, middle - 1 - number, number - middle)
        share = np.clip((far - black) / length, 0, 1)[:, None, None, None]
        two = [self.view((*key, index))[0] for index in (1, 2)]
        return (np.concatenate([two[0][:middle], two[1][middle:]]) * share).astype(np.float32), ()

    def dissolve(self, key: tuple[int, ...]) -> Made:
        """One scene becomes another over 6 to 12 frames."""
        rng = np.random.default_rng(key)
        length = int(rng.integers(6, min(13, self.frames - 4)))
        start = int(rng.integers(2, self.frames - length - 1))
        share = np.clip((np.arange(self.frames) - start) / length, 0, 1)[:, None, None, None]
        one, other = (self.view((*key, index))[0] for index in (1, 2))
        return (one * (1 - share) + other * share).astype(np.float32), ()


KINDS: dict[str, Callable[[Maker, tuple[int, ...]], Made]] = {
    "cuts": lambda make, key: make.view(key, cut=1.0),
    "cuts in fast motion": lambda make, key: make.view(key, cut=1.0, speed=3.0),
    "montage": Maker.montage,
    "cuts in dark, grain": Maker.dark,
    "slow motion": lambda make, key: make.view(key),
    "fast motion": lambda make, key: make.view(key, speed=3.0),
    "whip pans": lambda make, key: make.view(key, speed=8.0, layers=0.0),
    "changing exposure": lambda make, key: make.view(key, exposure=1.0),
    "flashes": Maker.flashes,
    "fades": Maker.fade,
    "dissolves": Maker.dissolve,
}


def _mvtools(clip: vs.VideoNode) -> vs.VideoNode:
    return clip.mv.SCDetection(clip.mv.Super().mv.Analyse(isb=False))


def _mvutensils(clip: vs.VideoNode) -> vs.VideoNode:
    return clip.mvu.SCDetection(clip.mvu.Super(blksize=8, overlap=0).mvu.Analyse(delta=-1))


DETECTORS: dict[str, tuple[str | None, str, Callable[[vs.VideoNode], vs.VideoNode]]] = {
    "plain": (None, "core filters", lambda clip: clip),
    "scxvid": ("scxvid", "GPL", lambda clip: clip.scxvid.Scxvid()),
    "wwxd": ("wwxd", "GPL", lambda clip: clip.wwxd.WWXD()),
    "mvtools": ("mv", "GPL", _mvtools),
    "mvutensils": ("mvu", "GPL", _mvutensils),
    "scenechange": ("scd", "LGPL", lambda clip: clip.scd.Detect()),
}
"""Name -> (namespace of its plug-in, its licence, what sets its properties on an 8-bit 4:2:0 clip)."""


def installed() -> list[str]:
    """Names of the detectors that can be run here."""
    return [name for name, (space, *_) in DETECTORS.items() if space is None or hasattr(vs.core, space)]


def find(name: str, clip: vs.VideoNode) -> set[int]:
    """The cuts of a YUV420P8 clip by a detector, without 0."""
    space, _, detect = DETECTORS[name]
    flags = cut_clip("scene_cuts", detect(clip), "auto" if space is None else "props")
    return {n for n, frame in enumerate(flags.frames(close=True)) if n and frame.props[CUT]}


def to_clip(signal: NDArray[np.float32]) -> vs.VideoNode:
    """YUV420P8 of (N, 3, H, W) in [0, 1]."""
    count, _, height, width = signal.shape
    blank = vs.core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=count, keep=True)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane in range(3):
            np.asarray(out[plane])[...] = signal[n, plane]
        return out

    return blank.std.ModifyFrame(blank, fill).resize.Bicubic(format=vs.YUV420P8, matrix=vs.MATRIX_BT709)


def measure(maker: Maker, count: int, names: Sequence[str]) -> None:
    """Print the table: cuts found / missed / false of each detector on `count` clips of each kind."""
    totals = {name: np.zeros(3, int) for name in names}
    seconds = dict.fromkeys(names, 0.0)
    print(f"| {'clips':20s} | cuts | " + " | ".join(f"{name:>12s}" for name in names) + " |")
    print("|---|---|" + "---|" * len(names))
    for number, (kind, make) in enumerate(KINDS.items()):
        row = {name: np.zeros(3, int) for name in names}
        known = 0
        for index in range(count):
            signal, cuts = make(maker, (number, index))
            noise = np.random.default_rng((number, index)).normal(0, NOISE, signal.shape)
            clip = to_clip(np.clip(signal + noise, 0, 1).astype(np.float32))
            known += len(cuts)
            for name in names:
                begun = time.perf_counter()
                found, wanted = find(name, clip), set(cuts)
                seconds[name] += time.perf_counter() - begun
                row[name] += len(found & wanted), len(wanted - found), len(found - wanted)
        cells = [" / ".join(map(str, row[name])) for name in names]
        print(f"| {kind:20s} | {known:4d} | " + " | ".join(f"{cell:>12s}" for cell in cells) + " |", flush=True)
        for name in names:
            totals[name] += row[name]
    right, missed, false = (np.array([totals[name][index] for name in names]) for index in range(3))
    frames = len(KINDS) * count * maker.frames
    for what, values in (
        ("recall", right / np.maximum(right + missed, 1)),
        ("precision", right / np.maximum(right + false, 1)),
        ("F1", 2 * right / np.maximum(2 * right + missed + false, 1)),
        ("ms a frame", [1000 * seconds[name] / frames for name in names]),
    ):
        print(f"| {what:20s} |      | " + " | ".join(f"{value:12.3f}" for value in values) + " |")


def look(video: Path, names: Sequence[str]) -> None:
    """Print the cuts that each detector finds in a file."""
    clip = vs.core.bs.VideoSource(str(video)).resize.Bicubic(format=vs.YUV420P8)
    print(f"{video.name}: {clip.num_frames} frames")
    for name in names:
        print(f"  {name:12s} {' '.join(map(str, sorted(find(name, clip)))) or 'none'}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with hdr_stills/, or one of .hdr and .exr pictures")
    parser.add_argument("--video", type=Path, nargs="+", default=[], help="print the cuts of these files instead")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test", help="whose pictures (test)")
    parser.add_argument("--pictures", type=int, default=10, help="how many of them (10)")
    parser.add_argument("--clips", type=int, default=8, help="of each kind (8)")
    parser.add_argument("--frames", type=int, default=20, help="of each clip, 12 or more (20)")
    parser.add_argument("--size", type=int, default=128, help="side in pixels, even (128)")
    options = parser.parse_args(arguments)
    names = installed()
    print("detectors:", ", ".join(f"{name} ({DETECTORS[name][1]})" for name in names))
    try:
        for video in options.video:
            if not video.is_file():
                raise InputError(f"scene_cuts: {video} is not there; give a video file")
            look(video, names)
        if not options.video:
            if options.data is None or options.frames < 12 or options.clips < 1:
                raise InputError("scene_cuts: give --data DIR or --video FILE, --frames of 12 or more, --clips of 1 or more")
            folder = options.data / "hdr_stills" if (options.data / "hdr_stills").is_dir() else options.data
            pictures = [scene.read() for scene in scenes.find(folder, options.split)[: options.pictures]]
            measure(Maker(pictures, options.frames, options.size), options.clips, names)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
