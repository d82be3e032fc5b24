"""Results of an evaluation: means by method and set, as tables for people, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .registry import OVEREXPOSED, PAIRS, TEMPORAL, Metric

CHARTS = "test charts"
"""The set of what is measured of a method alone."""

Values = dict[str, float]
"""Metric's name -> value."""


@dataclass(frozen=True)
class Layout:
    """Several measures in one table of a row a method and a column a set.

    Attributes:
        title: above the table.
        metrics: what is in it.
        cell: means of `metrics`, in their order, as people read them.
        heading: of a set: its name, its pairs, all of them (`count`), and means of the first method by name.
    """

    title: str
    metrics: tuple[str, ...]
    cell: str
    heading: str = "{set} ({pairs})"


LAYOUTS = (
    Layout(
        "PSNR of PQ in dB / mean dE_ITP; in brackets after matching exposure (one gain on linear light).",
        PAIRS,
        "{:.1f} / {:.1f} ({:.1f} / {:.1f})",
    ),
    Layout(
        "Where SDR is over-exposed: PSNR of PQ in dB / mean dE_ITP / MDSI / ColorVideoVDP in JOD, the last two of pictures "
        "that are the reference outside of the mask. Pairs with nothing over-exposed are left out.",
        OVEREXPOSED,
        "{:.2f} / {:.2f} / {:.4f} / {:.3f}",
        "{set} ({pairs}, {overexposed_share} % of their pixels)",
    ),
    Layout(
        "Clips: MABD / flicker where the reference stands still, in 10-bit codes.", TEMPORAL, "{:.4f} / {:.3f}", "{set} ({count})"
    ),
)
"""Tables that are printed where all of their measures were taken; what is in none gets a table a set."""


@dataclass
class Results:
    """Values of every method on every sample, in the order in which they came.

    Attributes:
        metrics: what was measured.
        values: (method, set) -> (sample's name, values).
    """

    metrics: list[Metric]
    values: dict[tuple[str, str], list[tuple[str, Values]]] = field(default_factory=dict)

    def add(self, method: str, group: str, name: str, values: Values) -> None:
        """Note what was measured on one sample."""
        self.values.setdefault((method, group), []).append((name, values))

    @property
    def methods(self) -> list[str]:
        """The rows."""
        return list(dict.fromkeys(method for method, _ in self.values))

    @property
    def groups(self) -> list[str]:
        """The sets."""
        return list(dict.fromkeys(group for _, group in self.values))

    def count(self, group: str) -> int:
        """Samples of a set."""
        return len(self.values[self.methods[0], group])

    def mean(self, method: str, group: str) -> Values:
        """Means over a set, of the metrics that were measured on it; samples where one has no value do not count in it."""
        rows = [values for _, values in self.values[method, group]]
        means = {}
        for metric in self.metrics:
            found = [row[metric.name] for row in rows if not math.isnan(row.get(metric.name, math.nan))]
            if any(metric.name in row for row in rows):
                means[metric.name] = float(np.mean(found)) if found else math.nan
        return means

    def measured(self, method: str, group: str, metric: str) -> int:
        """Samples of a set on which a metric has a value."""
        return sum(not math.isnan(values.get(metric, math.nan)) for _, values in self.values[method, group])

    def table(self) -> str:
        """Markdown for people."""
        names = {metric.name for metric in self.metrics}
        layouts = [layout for layout in LAYOUTS if names.issuperset(layout.metrics)]
        tables = [self._compact(layout) for layout in layouts if self._groups_with(set(layout.metrics))]
        rest = names.difference(*(layout.metrics for layout in layouts))
        tables += [self._of_group(group, rest) for group in self._groups_with(rest)]
        return "\n".join(f"{table}\n" for table in tables)

    def _groups_with(self, names: set[str]) -> list[str]:
        """Sets on which one of these metrics was measured."""
        return [group for group in self.groups if names.intersection(self.mean(self.methods[0], group))]

    def _compact(self, layout: Layout) -> str:
        groups = self._groups_with(set(layout.metrics))
        headings = []
        for group in groups:
            count, found = self.count(group), min(self.measured(self.methods[0], group, name) for name in layout.metrics)
            pairs = str(count) if found == count else f"{found} of {count} pairs"
            first = {name: shown(value) for name, value in self.mean(self.methods[0], group).items()}
            headings.append(layout.heading.format(set=group, pairs=pairs, count=count, **first))
        lines = [layout.title, "", f"| method | {' | '.join(headings)} |", "|---" * (len(groups) + 1) + "|"]
        for method in self.methods:
            means = [self.mean(method, group) for group in groups]
            cells = [layout.cell.format(*(mean[name] for name in layout.metrics)).replace("nan", "-") for mean in means]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def _of_group(self, group: str, names: set[str]) -> str:
        """A table of one set: a row a method and a column a metric."""
        measured = [metric for metric in self.metrics if metric.name in names & self.mean(self.methods[0], group).keys()]
        lines = [
            f"| {group} ({self.count(group)}) | " + " | ".join(metric.heading for metric in measured) + " |",
            "|---" * (len(measured) + 1) + "|",
        ]
        for method in self.methods:
            means = self.mean(method, group)
            lines.append(f"| {method} | " + " | ".join(shown(means[metric.name]) for metric in measured) + " |")
        return "\n".join(lines)

    def write_csv(self, path: Path) -> None:
        """A row a method and set; what was not measured on a set is empty.

        `pairs` are all of a set, `pairs_overexposed` those that means of what is over-exposed are of.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        masked = [metric.name for metric in self.metrics if metric.masked][:1]
        counts = ["pairs", *("pairs_overexposed" for _ in masked)]
        writer.writerow(["method", "set", *counts, *(metric.column for metric in self.metrics)])
        for method, group in self.values:
            means = self.mean(method, group)
            numbers = [f"{means[metric.name]:.4f}" if metric.name in means else "" for metric in self.metrics]
            found = [self.measured(method, group, name) for name in masked]
            writer.writerow([method, group, self.count(group), *found, *numbers])
        _write(path, text.getvalue())

    def write_json(self, path: Path, settings: dict[str, Any], goals: Sequence[dict[str, Any]] = ()) -> None:
        """Everything: settings, metrics, means, the pairs that each is of, the values of each sample, and goals.

        JSON has no infinity and no NaN: the first (PSNR of equal pictures) is written as the string "inf", the second as null.
        """
        described = {
            metric.column: {"title": metric.title, "unit": metric.unit, "higher_is_better": metric.higher_is_better}
            for metric in self.metrics
        }
        rows = [
            {
                "method": method,
                "set": group,
                "pairs": len(samples),
                "mean": self._by_column(self.mean(method, group)),
                "measured": {metric.column: self.measured(method, group, metric.name) for metric in self.metrics},
                "samples": [{"name": name, **self._by_column(values)} for name, values in samples],
            }
            for (method, group), samples in self.values.items()
        ]
        everything = {"settings": settings, "metrics": described, "results": rows, "goals": list(goals)}
        _write(path, json.dumps(everything, indent=1, allow_nan=False, ensure_ascii=False) + "\n")

    def _by_column(self, values: Values) -> dict[str, float | str | None]:
        return {metric.column: _json_number(values[metric.name]) for metric in self.metrics if metric.name in values}


def shown(value: float) -> str:
    """A number with about four digits, or a dash where there is none."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    return f"{value:.{1 if size >= 100 else 2 if size >= 10 else 3 if size >= 1 else 4}f}"


def _json_number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def check_file(option: str, path: Path | None) -> None:
    """Refuse a file that cannot be written, before hours of measuring.

    Raises:
        InputError: its folder is not there, or it is a folder.
    """
    if path is not None and not path.parent.is_dir():
        raise InputError(f"evaluate: {option} {path}: there is no such folder; create it first")
    if path is not None and path.is_dir():
        raise InputError(f"evaluate: {option} {path} is a folder; give the name of a file")


def check_numbers(pairs: Sequence[tuple[str, int | None, int]]) -> None:
    """Refuse numbers below their least value.

    Args:
        pairs: option, value or None, least.

    Raises:
        InputError: one is.
    """
    for option, value, least in pairs:
        if value is not None and value < least:
            raise InputError(f"evaluate: {option} is {value}; give {least} or more")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="")
    partial.replace(path)
