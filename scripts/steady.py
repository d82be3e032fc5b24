"""What `steady=k` does for a model: flicker, MABD and dE_ITP on held-out clips for each k, beside what SDR and BT.2408 have.

    python scripts/steady.py --data DIR                    # DIR/hdr_stills; hdcfm
    python scripts/steady.py --data DIR --model kpn_mfi --steady 0 4

A network with frame-wide statistics changes pixels that stand still when something elsewhere in the picture changes. So there are
clips of a static camera with something moving in front, of slow motion, and, since real video is coded, of the first ones through
an encoder. Columns, as `vs-hdrtv evaluate` has them where it has them:

    flicker      change of luma from frame to frame where the reference stands still, 10-bit codes
    detrended    the part of it that comes and goes: 0 for light that drifts evenly
    statistics   change of luma everywhere if a frame is converted by the next frame's statistics instead of its own, 10-bit
                 codes: what they alone do, whether the picture moves, is noisy or stands still
    MABD, dE_ITP against the reference

In brackets: relative to k = 0. SDR's own flicker is that of its signal, in the same unit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vs_hdrtv import engines, pipeline, stages, weights
from vs_hdrtv.color.arrays import Array, namespace
from vs_hdrtv.color.gamut import luminance
from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import generated
from vs_hdrtv.metrics.difference import delta_e_itp
from vs_hdrtv.metrics.samples import Sample
from vs_hdrtv.metrics.temporal import flicker, flicker_detrended, mabd
from vs_hdrtv.networks.parts import STATISTICS
from vs_hdrtv.stages import Stage

SETS = ("static camera", "slow motion", "static camera, coded")
"""Keys of `generated.KINDS`."""

Frames = NDArray[np.float32]
"""(N, 3, H, W)."""

COLUMNS: dict[str, Callable[[Frames, Sample], float]] = {
    "flicker": lambda hdr, sample: flicker(hdr, sample.hdr),
    "detrended": lambda hdr, sample: flicker_detrended(hdr, sample.hdr),
    "statistics": lambda hdr, sample: float("nan"),
    "MABD": lambda hdr, sample: mabd(hdr, sample.hdr),
    "dE_ITP": lambda hdr, sample: delta_e_itp(hdr, sample.hdr),
}
"""Of a method that has no statistics; of SDR the first two alone make sense."""


def with_window(stage: Stage, steady: int, later: int) -> Stage:
    """A steady stage with another window.

    Args:
        stage: of `stages.feature_map(card, steady=1)`; what it has in common with others made of it stays the same object.
        steady: frames on each side of which statistics are the mean.
        later: frames by which the statistics are those of a later frame.
    """
    inner = {signal: with_window(each, steady, later) for signal, each in stage.inner.items()}
    if STATISTICS not in stage.reads:
        same = all(inner[signal] is stage.inner[signal] for signal in inner)
        return stage if same else replace(stage, inner=inner)
    if stage.card is None:  # the mean
        return replace(stage, reads={STATISTICS: tuple(range(-steady, steady + 1))}, inner=stage.inner)
    return replace(stage, reads={**stage.reads, STATISTICS: (later,)}, inner=inner)


class Windows:
    """A model with several windows of statistics, which are computed once for all of them.

    Args:
        model: see `weights.find`.
        windows: each k.
        engine: name of the engine.

    Raises:
        InputError: the model is not there, or has no statistics to be given.
    """

    def __init__(self, model: str, windows: Sequence[int], engine: str) -> None:
        base = stages.feature_map(weights.find(model), steady=1, name="steady")
        self.windows = list(dict.fromkeys(windows))
        variants = {f"{steady} {later}": with_window(base, steady, later) for steady in self.windows for later in (0, 1)}
        every = Stage(name="steady", reads=dict.fromkeys(variants, (0,)), writes="hdr", function=_beside, inner=variants)
        self._engine = engines.create(engine)
        self._step = pipeline.build(every, {"sdr": pipeline.Source("sdr")})
        self._calls = pipeline.load(every, self._engine)

    def convert(self, sdr: Frames) -> dict[int, tuple[Frames, Frames]]:
        """Results by k, with each frame's own statistics and with those of the next frame, which the last has none of."""
        memo = pipeline.Memo(self._step)

        def fetch(_: pipeline.Source, at: int) -> Array:
            return self._engine.upload(sdr[at][None])

        def frame(number: int) -> Frames:
            result = pipeline.compute(self._step, number, (0, len(sdr) - 1), self._calls, fetch, memo=memo)
            return np.asarray(self._engine.download(result)).reshape(len(self.windows), 2, 3, *sdr.shape[2:])

        found = np.stack([frame(number) for number in range(len(sdr))])  # (N, windows, 2, 3, H, W)
        return {steady: (found[:, index, 0], found[:-1, index, 1]) for index, steady in enumerate(self.windows)}


def _beside(*results: Array) -> Array:
    """(1, 3 V, H, W) of V results."""
    return namespace(results[0]).concat(list(results), axis=1)


def change(own: Frames, later: Frames) -> float:
    """Mean change of PQ luma in 10-bit codes."""
    lumas = (luminance(np.clip(each, 0, 1), "bt2020") for each in (own[: len(later)], later))
    return float(np.mean(abs(np.subtract(*lumas)))) * 1023


def measure(model: Windows, items: Sequence[Callable[[], Sample]]) -> dict[str, dict[str, float]]:
    """Means over clips of each row: SDR, BT.2408, and each k."""
    rows: dict[str, dict[str, list[float]]] = {}

    def note(row: str, values: dict[str, float]) -> None:
        for column, value in values.items():
            rows.setdefault(row, {}).setdefault(column, []).append(value)

    for load in items:
        sample = load()
        note("SDR", {column: COLUMNS[column](sample.sdr, sample) for column in ("flicker", "detrended")})
        note("BT.2408", {column: of(np.asarray(bt2408(sample.sdr)), sample) for column, of in COLUMNS.items()})
        for steady, (own, later) in model.convert(sample.sdr).items():
            values = {column: of(own, sample) for column, of in COLUMNS.items()}
            note(f"k = {steady}", values | {"statistics": change(own, later)})
    # A clip in which no pixel stands still has no flicker and counts in no mean.
    return {row: {column: _mean(values) for column, values in columns.items()} for row, columns in rows.items()}


def _mean(values: list[float]) -> float:
    numbers = [value for value in values if not np.isnan(value)]
    return float(np.mean(numbers)) if numbers else float("nan")


def table(title: str, means: dict[str, dict[str, float]]) -> str:
    """Markdown of one set."""
    lines = [f"| {title} | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    first = means.get("k = 0", {})
    for row, values in means.items():
        cells = []
        for column in COLUMNS:
            value, one = values.get(column, float("nan")), first.get(column, float("nan"))
            share = f" ({value / one:.2f})" if row.startswith("k = ") and row != "k = 0" and one > 0 else ""
            cells.append("-" if np.isnan(value) else f"{value:.4f}{share}")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with hdr_stills/, or one of .hdr and .exr pictures")
    parser.add_argument("--model", default="hdcfm", help="shipped model, or a .toml file (%(default)s)")
    parser.add_argument("--steady", type=int, nargs="+", default=[0, 1, 2, 4, 8], metavar="K", help="(0 1 2 4 8)")
    parser.add_argument("--engine", default="auto", help="that runs it (%(default)s)")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="whose pictures (%(default)s)")
    parser.add_argument("--clips", type=int, default=4, help="of each set (%(default)s)")
    parser.add_argument("--frames", type=int, default=24, help="of a clip (%(default)s)")
    parser.add_argument("--size", type=int, default=96, help="side in pixels, even (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the clips (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        if min(options.steady) < 0 or max(options.steady) > stages.MAX_STEADY:
            raise InputError(f"steady: --steady is {options.steady}; give numbers of 0 to {stages.MAX_STEADY}")
        if options.clips < 1 or options.frames < 3 or options.size < 32 or options.size % 2:
            raise InputError("steady: give --clips of 1 or more, --frames of 3 or more and an even --size of 32 or more")
        model = Windows(options.model, options.steady, options.engine)
        wanted = generated.Clips(options.clips, options.frames, options.size, options.seed)
        items = generated.of_data(options.data, options.split, wanted)
        for kind in SETS:
            own = [item.load for item in items if item.group == generated.name_of(kind, "seen operators")]
            print(table(f"{options.model}: {kind} ({len(own)})", measure(model, own)), flush=True)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
