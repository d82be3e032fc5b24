"""Pictures of an evaluation: the worst cases of each method on each set, with maps of where the error lies."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..color.arrays import unit
from ..color.transfer import bt1886_eotf, pq_eotf, srgb_inverse_eotf
from ..errors import InputError
from ..scope import draw, measure
from .difference import delta_e_itp_map
from .registry import Metric
from .results import Values, shown
from .samples import Sample

if TYPE_CHECKING:
    from PIL import Image

WIDTH = 420
"""Pixels of a panel at most."""

_MARGIN, _HEADER, _HEADING, _LEGEND = 24, 96, 36, 64

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """One sample as a method made it: what ranks it (higher is worse), its name and numbers, and four panels."""

    badness: float
    name: str
    numbers: str
    panels: tuple[Pixels, Pixels, Pixels, Pixels]


class Worst:
    """Keeps the worst few cases of each method on each set, as pictures, so that no more than these are held."""

    TITLES = ("SDR", "result", "reference", "dE_ITP")

    def __init__(self, metrics: list[Metric], count: int) -> None:
        """Start with none.

        Args:
            metrics: the first of a picture ranks; dE_ITP where there is none.
            count: cases to keep of each method and set.
        """
        self._metrics = metrics
        self._count = count
        self._rank = next((metric for metric in metrics if metric.kind != "method"), None)
        self._kept: dict[tuple[str, str], list[Case]] = {}

    def add(self, method: str, group: str, name: str, values: Values, sample: Sample, result: NDArray[np.float32]) -> None:
        """Look at one sample, and keep it if it is among the worst."""
        kept = self._kept.setdefault((method, group), [])
        badness = self._badness(values)
        if len(kept) == self._count and badness <= kept[-1].badness:
            return
        numbers = "    ".join(
            f"{metric.title} {shown(values[metric.name])}{f' {metric.unit}' if metric.unit else ''}"
            for metric in self._metrics
            if metric.name in values
        )
        kept.append(Case(badness, name, numbers, _panels(sample, result)))
        kept.sort(key=lambda case: -case.badness)
        del kept[self._count :]

    def _badness(self, values: Values) -> float:
        if self._rank is None or math.isnan(values.get(self._rank.name, math.nan)):
            return -math.inf
        value = values[self._rank.name]
        return -value if self._rank.higher_is_better else value

    def write(self, folder: Path) -> list[Path]:
        """Write a PNG of each method and set into `folder`, which is made where it is not there.

        Raises:
            InputError: it cannot be written to.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            written = []
            for (method, group), cases in self._kept.items():
                path = folder / f"{_file_name(group)}.{_file_name(method)}.png"
                partial = path.with_name(path.name + ".partial")
                self._sheet(method, group, cases).save(partial, format="PNG")
                partial.replace(path)
                written.append(path)
        except OSError as error:
            raise InputError(f"evaluate: --pictures {folder} cannot be written ({error.strerror or error})") from None
        return written

    def _sheet(self, method: str, group: str, cases: list[Case]) -> Image.Image:
        from PIL import Image, ImageDraw

        columns = len(self.TITLES)
        heights = [min(WIDTH, max(1, round(WIDTH * case.panels[0].shape[0] / case.panels[0].shape[1]))) for case in cases]
        width = _MARGIN + columns * (WIDTH + _MARGIN)
        canvas = Image.new("RGB", (width, _HEADER + sum(heights) + len(cases) * 2 * _HEADING + _LEGEND), draw.BACKGROUND)
        pen = ImageDraw.Draw(canvas)
        draw.text(pen, (_MARGIN, 34), draw.shorten(f"{method}: {group}", 28, width - 2 * _MARGIN), 28, draw.TEXT, "lm")
        ranked = f"worst by {self._rank.title}" if self._rank is not None else "not ranked"
        note = f"{ranked}; HDR tone-mapped for this screen by BT.2390, result and reference alike"
        draw.text(pen, (_MARGIN, 70), draw.shorten(note, 16, width - 2 * _MARGIN), 16, draw.DIM, "lm")
        top = _HEADER
        for case, height in zip(cases, heights, strict=True):
            name = draw.shorten(case.name, 21, width / 2)
            draw.heading(pen, _MARGIN, top + _HEADING // 2, width - 2 * _MARGIN, name, case.numbers)
            for column, (title, panel) in enumerate(zip(self.TITLES, case.panels, strict=True)):
                left = _MARGIN + column * (WIDTH + _MARGIN)
                draw.text(pen, (left, top + 3 * _HEADING // 2), title, 16, draw.DIM, "lm")
                box = (left, top + 2 * _HEADING, left + WIDTH, top + 2 * _HEADING + height)
                draw.fit(canvas, panel, box, codes=title == "dE_ITP")
            top += 2 * _HEADING + height
        left = _MARGIN + (columns - 1) * (WIDTH + _MARGIN)
        draw.delta_legend(canvas, pen, (left, top + 14, left + WIDTH, top + 30))
        return canvas


def _panels(sample: Sample, result: NDArray[np.float32]) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """SDR, result, reference and error map; of a clip its frame of the highest dE_ITP."""
    sdr, reference = sample.sdr, sample.hdr
    delta = np.asarray(delta_e_itp_map(result, reference))
    if delta.ndim == 3:
        number = int(delta.mean(axis=(1, 2)).argmax())
        sdr, result, reference, delta = sdr[number], result[number], reference[number], delta[number]
    # One curve for both, or the one that is too bright would look like the other.
    peak = max(float(np.percentile(pq_eotf(reference).max(axis=0), 99.9)), 1.0)
    light = srgb_inverse_eotf(bt1886_eotf(np.asarray(sdr, dtype=np.float32)))
    pictures = (np.asarray(light), *(measure.tone_map(np.asarray(unit(hdr)), peak) for hdr in (result, reference)))
    source, made, meant = (measure.to_bytes(measure.shrink(picture, 2 * WIDTH)) for picture in pictures)
    return source, made, meant, measure.delta_color(measure.shrink(delta[None], 2 * WIDTH)[0])


def _file_name(text: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip("_.") or "unnamed"
