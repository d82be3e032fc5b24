"""The end-point error of optical flow between frames of different exposure, on held-out pairs whose flow is known.

    python scripts/flow_error.py --data DIR                     # DIR/hdr_stills: DIS and the shipped network
    python scripts/flow_error.py --data DIR --icam icam         # and what ICAM's correction makes of the last of them

The pairs are those of `training/displacement.py`, from pictures of the test split, each once with one exposure and once with two.
What the reference does not show is not counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vs_hdrtv import engines, weights
from vs_hdrtv.errors import InputError
from vs_hdrtv.keyframes import dis
from vs_hdrtv.keyframes.recovery import Recovery
from vs_hdrtv.modelcard import ModelCard
from vs_hdrtv.training import material
from vs_hdrtv.training.displacement import Displacement, FlowPair, make_flow_pair

Floats = NDArray[np.float32]

Method = Callable[[Floats, Floats], Floats]
"""Frame and reference, (3, H, W) each, to flow (2, H, W)."""

SEED = 0x666C6F77

EXPOSURES = {"same exposure": 0.0, "other exposure": 1.0}
"""Kinds of pairs, and the share of them whose exposures differ."""

PIXELS: dict[str, Callable[[FlowPair], Floats]] = {
    "all": lambda pair: pair.seen[0],
    "clipped": lambda pair: pair.seen[0] * (pair.clipped[0] > 0),
}
"""Where the error is taken: over-exposed pixels are what key frames are recovered at."""


def methods(flow: ModelCard | None, icam: ModelCard | None, engine: engines.Engine) -> dict[str, Method]:
    """Everything that is measured, by its name; `none` says how far things move."""
    found: dict[str, Method] = {"none": lambda sdr, _: np.zeros_like(sdr[:2]), "DIS": lambda *frames: dis.estimate(*frames)[0]}
    if flow is not None:
        found[flow.name] = on(engine, engine.load(flow))
    if icam is not None:
        found[f"{flow.name if flow else 'DIS'} + {icam.name}"] = on(engine, Recovery(engine, flow, icam).flow)
    return found


def on(engine: engines.Engine, run: engines.Network) -> Method:
    """What runs on an engine, as a method."""
    return lambda *frames: engine.download(run(*(engine.upload(each[None]) for each in frames)))[0]


def measure(pairs: Sequence[FlowPair], known: dict[str, Method], times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Kind of pixel -> method -> mean end-point error over them, in pixels; NaN where there is none.

    The last kind is the share of pairs that a method refuses as different things, which its errors leave out.
    """
    sums, counts = ({kind: dict.fromkeys(known, 0.0) for kind in PIXELS} for _ in range(2))
    refused = dict.fromkeys(known, 0)
    for pair in pairs:
        for name, method in known.items():
            begin = time.perf_counter()
            flow = method(pair.sdr, pair.reference)  # (2, H, W)
            times[name].append(time.perf_counter() - begin)
            if flow.min() > max(flow.shape):
                refused[name] += 1
                continue
            error = np.hypot(*(flow - pair.flow))  # (H, W)
            for kind, where in PIXELS.items():
                sums[kind][name] += float((error * where(pair)).sum())
                counts[kind][name] += float(where(pair).sum())
    means = {
        kind: {name: total / counts[kind][name] if counts[kind][name] else float("nan") for name, total in row.items()}
        for kind, row in sums.items()
    }
    return means | {"refused, share": {name: count / len(pairs) for name, count in refused.items()}}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments of the command line, their numbers checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of .hdr and .exr pictures, or one that has hdr_stills/")
    parser.add_argument("--flow", default="flow", help="model of the flow network, or none (default: %(default)s)")
    parser.add_argument("--icam", help="model that corrects the flow; left out unless given")
    parser.add_argument("--pairs", type=int, default=40, help="how many (default: %(default)s)")
    parser.add_argument("--size", type=int, default=128, help="pixels a side (default: %(default)s)")
    parser.add_argument("--far", type=float, default=0.25, help="longest way, in sides of a frame (default: %(default)s)")
    parser.add_argument("--engine", default="auto", help="that runs the networks (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of its CPU (default: one a core)")
    arguments = parser.parse_args(argv)
    if arguments.pairs < 1:
        raise InputError(f"flow_error: --pairs is {arguments.pairs}; give 1 or more")
    if arguments.size < 32 or arguments.size % 2:
        raise InputError(f"flow_error: --size is {arguments.size}; give an even number of 32 or more")
    if not 0 < arguments.far <= 1:
        raise InputError(f"flow_error: --far is {arguments.far}; give a share of the side, above 0 and up to 1")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; the exit code."""
    try:
        arguments = parse(argv)
        flow = None if arguments.flow == "none" else weights.find(arguments.flow)
        icam = None if arguments.icam is None else weights.find(arguments.icam)
        known = methods(flow, icam, engines.create(arguments.engine, threads=arguments.threads))
        pictures = material.find(arguments.data, "test").load().stills
        times: dict[str, list[float]] = {name: [] for name in known}
        print(f"end-point error in pixels; {arguments.pairs} pairs of {arguments.size} px from {len(pictures)} held-out pictures")
        print(f"| pairs | pixels | {' | '.join(known)} |")
        print("|---|---|" + "---|" * len(known))
        for exposure, share in EXPOSURES.items():
            apart = Displacement(far=arguments.far, exposure=share)
            # Exposures are drawn after the scene: both kinds show the same.
            generators = (np.random.default_rng((SEED, number)) for number in range(arguments.pairs))
            pairs = [make_flow_pair(pictures, arguments.size, rng, apart) for rng in generators]
            for kind, row in measure(pairs, known, times).items():
                print(f"| {exposure} | {kind} | {' | '.join(f'{row[name]:.2f}' for name in known)} |")
        # The first call of each compiles for the size.
        print(f"| ms a pair | | {' | '.join(f'{1000 * float(np.median(times[name])):.0f}' for name in known)} |")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
