"""What a run reports: CSV files of losses and metrics by step, and one picture of both."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

logger = logging.getLogger(__name__)

CURVE, METRICS, PICTURE = "curve.csv", "metrics.csv", "curve.png"
"""Names of the files: losses, metrics on validation pairs, both drawn."""

SMOOTH = 0.9
"""Weight of the past in the smooth line."""


def append(path: Path, step: int, values: Mapping[str, float]) -> None:
    """Add a row. A column that the file lacks is added to it; a run may go on with more than it began with."""
    columns, rows = _read(path)
    new = [name for name in values if name not in columns]
    if new or not columns:
        columns = [*(columns or ["step"]), *new]
        _write(path, columns, rows)
    with path.open("a", newline="") as file:
        csv.DictWriter(file, columns).writerow({"step": step, **{name: f"{value:.6f}" for name, value in values.items()}})


def forget_after(path: Path, step: int) -> None:
    """Drop what an interrupted run reported after its last checkpoint: the resumed one reports it again."""
    columns, rows = _read(path)
    if columns:
        _write(path, columns, [row for row in rows if int(row["step"]) <= step])


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    if not path.exists():
        return [], []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        return list(reader.fieldnames or []), list(reader)


def _write(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def smoothed(values: list[float]) -> list[float]:
    """Exponential mean of the values up to each, weighted so that the first ones count no more than the others.

    Args:
        values: in order; those that are not finite are passed over.

    Returns:
        As many.
    """
    total, weight, found = 0.0, 0.0, []
    for value in values:
        if math.isfinite(value):
            total, weight = SMOOTH * total + (1 - SMOOTH) * value, SMOOTH * weight + (1 - SMOOTH)
        found.append(total / weight if weight else math.nan)
    return found


def draw(folder: Path) -> None:
    """Draw `curve.csv` and `metrics.csv` of a run as `curve.png`, one panel a column. Without matplotlib it is left out."""
    panels: list[tuple[str, list[int], list[float], bool]] = []
    for file in (CURVE, METRICS):
        columns, rows = _read(folder / file)
        for name in columns[1:]:
            points = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
            if points:
                panels.append((name, [step for step, _ in points], [value for _, value in points], file == CURVE))
    if not panels:
        return
    try:
        from matplotlib.figure import Figure
    except ImportError:
        logger.warning("train: no matplotlib, so no %s; pip install matplotlib", PICTURE)
        return
    wide = min(3, len(panels))
    high = -(-len(panels) // wide)
    figure = Figure(figsize=(4 * wide, 2.6 * high), dpi=100, layout="constrained")
    for index, (name, steps, values, noisy) in enumerate(panels):
        axes = figure.add_subplot(high, wide, index + 1)
        axes.plot(steps, values, ".-" if not noisy else "-", color="tab:blue", alpha=0.35 if noisy else 1.0, linewidth=0.8)
        if noisy:
            axes.plot(steps, smoothed(values), color="tab:blue", linewidth=1.6)
            # The first steps would flatten all the others.
            if min(values) > 0 and max(values) > 20 * float(np.median(values)):
                axes.set_yscale("log")
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
    partial = folder / f"{PICTURE}.partial"
    figure.savefig(partial, format="png")
    partial.replace(folder / PICTURE)
