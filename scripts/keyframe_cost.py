"""What key frames cost: ICAM on one frame in six and FCPM on all, against ICAM on every frame, in one run.

    python scripts/keyframe_cost.py                              # 512x512, twelve references, random weights of the full size
    python scripts/keyframe_cost.py --size 1920x1080 --keep DIR  # DIR keeps the random models: their export takes minutes

A long clip of one scene is gone through segment by segment as `propagate_keyframes` does it: the key frames that a segment needs
and that are not held are recovered, each from references on both sides, then its frames are propagated. After each segment a line
says how long both took and the peak memory so far, which does not grow with the clip. The clip moves and changes its exposure.
`--measured` recovers only so many key frames of a segment and takes the light of the frame itself for the others: what FCPM costs
does not depend on what it is given.

The last lines: seconds a frame of ICAM on every frame (the median of its calls), and of the whole (that by the stride, and FCPM
by the frames that a segment gives, its overlap included). The same in seconds of all cores together, which other work on the
machine changes less; the load before the run is printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmark import peak_resident
from numpy.typing import NDArray

from vs_hdrtv import engines, weights
from vs_hdrtv.color.arrays import Array
from vs_hdrtv.color.transfer import bt1886_eotf
from vs_hdrtv.engines import Engine
from vs_hdrtv.keyframes.grid import OVERLAP, SEGMENT, Grid, segments
from vs_hdrtv.keyframes.propagation import Propagation
from vs_hdrtv.keyframes.recovery import Recovery
from vs_hdrtv.modelcard import ModelCard


def random_model(network: str, folder: Path) -> ModelCard:
    """A model with seeded random weights of the full size, in `folder`; the one that is there already where it is."""
    card = folder / f"{network}.toml"
    if card.exists():
        return weights.find(card)
    import torch

    from vs_hdrtv.networks import registry

    torch.manual_seed(0)
    return weights.write(registry.create(network).eval(), network, folder, model=network, licence="MIT", preview=True)


def frame(n: int, height: int, width: int) -> NDArray[np.float32]:
    """Frame n of the clip, (1, 3, height, width): a texture that moves by two pixels a frame under an exposure that swings."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [np.sin((x + 2 * n) / (5 + plane)) * np.cos(y / (7 + plane)) for plane in range(3)]
    light = np.stack(waves)[None] * 0.3 + 0.6
    return np.asarray(np.clip(light * (1 + 0.5 * np.sin(n / 40)), 0, 1), dtype=np.float32)


def now() -> tuple[float, float]:
    """Seconds of the clock, and of all cores together."""
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> tuple[float, float]:
    """Seconds since `now`."""
    wall, cores = now()
    return wall - start[0], cores - start[1]


def measure(engine: Engine, models: dict[str, ModelCard | None], size: tuple[int, int], asked: argparse.Namespace) -> None:
    """Print the table."""
    assert models["icam"] is not None and models["fcpm"] is not None
    recovery = Recovery(engine, models["flow"], models["icam"])
    propagation = Propagation(recovery, engine, models["fcpm"])
    grid = Grid(asked.stride, asked.references, asked.reference_stride)
    grid.check("keyframe_cost")
    # One scene without ends, so that every key frame has all its references.
    away = grid.reference_reach + grid.nearest_reach + asked.overlap
    first = -(-away // asked.segment)
    scene = (0, (first + asked.segments) * asked.segment + away)

    def at(n: int) -> Array:
        return engine.upload(frame(n, *size))

    recovered: dict[int, Array] = {}
    of_icam: list[tuple[float, float]] = []
    of_fcpm: list[tuple[float, float]] = []
    print(f"{'frames':>8} {'key frames':>10} {'ICAM s':>8} {'FCPM s':>8} {'peak MB':>8}")
    for block in range(first, first + asked.segments):
        (segment,) = segments(block, asked.segment, asked.overlap, scene[1] + 1, lambda n: n == 0)
        nearest = [grid.nearest_keys(n, scene) for n in segment.frames]
        keys = sorted({key for found in nearest for key in found})
        recovered = {key: light for key, light in recovered.items() if key in keys}
        before = len(of_icam)
        for key in keys:
            if key not in recovered and len(of_icam) - before >= asked.measured:
                recovered[key] = bt1886_eotf(at(key))
            elif key not in recovered:
                start = now()
                recovered[key], _ = recovery.recover(at(key), (at(n) for n in grid.references_of(key, scene)))
                engine.download(recovered[key])  # waits for the device
                of_icam.append(since(start))
        start = now()
        frames, sources = [at(n) for n in segment.frames], [at(key) for key in keys]
        numbers = [tuple(keys.index(key) for key in found) for found in nearest]
        for light in propagation.propagate(frames, [recovered[key] for key in keys], sources, numbers):
            engine.download(light)
        given = segment.last - segment.first + 1
        wall, cores = since(start)
        of_fcpm.append((wall / given, cores / given))
        icam = sum(wall for wall, _ in of_icam[before:])
        print(
            f"{given:8d} {len(of_icam) - before:10d} {icam:8.2f} {wall:8.2f} {peak_resident() / 2**20:8.0f}",
            flush=True,
        )
    for index, unit in enumerate(("s", "core s")):
        alone, carried = (statistics.median(each[index] for each in found) for found in (of_icam, of_fcpm))
        shared = alone / grid.stride
        print(f"ICAM on every frame: {alone:.3f} {unit} a frame")
        print(
            f"ICAM on one frame in {grid.stride}, and FCPM: {shared + carried:.3f} {unit} a frame ({shared:.3f} + {carried:.3f})"
        )
        print(f"ratio: {alone / (shared + carried):.2f}")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="512x512", metavar="WxH", help="(default: %(default)s)")
    parser.add_argument("--engine", default="cpu", help="(default: %(default)s)")
    parser.add_argument("--device", help="(default: the engine's own choice)")
    parser.add_argument("--threads", type=int, default=engines.cores(), help="CPU threads (default: %(default)s)")
    parser.add_argument("--flow", default="dis", help="model of the initial flow, 'random' or 'dis' (default: %(default)s)")
    parser.add_argument("--icam", default="random", help="model (default: %(default)s)")
    parser.add_argument("--fcpm", default="random", help="model (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where random models are kept (default: nowhere)")
    parser.add_argument("--stride", type=int, default=6, help="frames of a group (default: %(default)s)")
    parser.add_argument("--references", type=int, default=6, help="on each side (default: %(default)s)")
    parser.add_argument("--reference-stride", type=int, default=15, help="frames from one to the next (default: %(default)s)")
    parser.add_argument("--segment", type=int, default=SEGMENT, help="frames propagated at a time (default: %(default)s)")
    parser.add_argument("--overlap", type=int, default=OVERLAP, help="frames more at each end of it (default: %(default)s)")
    parser.add_argument("--measured", type=int, default=1000, help="key frames of a segment that are recovered (default: all)")
    parser.add_argument("--segments", type=int, default=2, help="(default: %(default)s)")
    asked = parser.parse_args()
    width, height = (int(side) for side in asked.size.split("x"))
    engines.preload()
    engine = engines.create(asked.engine, device=asked.device, threads=asked.threads)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        models: dict[str, ModelCard | None] = {
            name: random_model(name, folder) if getattr(asked, name) == "random" else weights.find(getattr(asked, name))
            for name in ("icam", "fcpm")
        }
        models["flow"] = None
        if asked.flow != "dis":
            models["flow"] = random_model("flow", folder) if asked.flow == "random" else weights.find(asked.flow)
        print(
            f"{asked.size}, {2 * asked.references} references, engine {asked.engine} on {engine.device}, {asked.threads} "
            f"threads, flow {asked.flow}, segments of {asked.segment} + 2 x {asked.overlap} frames, load before the run {load}",
            flush=True,
        )
        measure(engine, models, (height, width), asked)


if __name__ == "__main__":
    main()
