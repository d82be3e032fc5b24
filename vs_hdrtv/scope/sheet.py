"""Pictures made of panels: what a conversion did, one frame under the scopes, two videos beside each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from ..color.gamut import luminance
from ..color.transfer import REFERENCE_WHITE, bt1886_eotf, pq_eotf, srgb_inverse_eotf
from ..errors import InputError
from .draw import (
    BACKGROUND,
    BLUE,
    DIM,
    ORANGE,
    OUTLINES,
    TEXT,
    WAVES,
    Box,
    delta_legend,
    false_color_legend,
    fit,
    heading,
    histograms,
    legend,
    light_curve,
    number,
    parade_pixels,
    plane,
    shorten,
    table,
    text,
    waveform_pixels,
    waves,
)
from .measure import BLACK, GAMUTS, Floats, FrameLight, false_color, histogram, to_bytes, tone_map
from .read import READINGS

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

    from .report import Comparison, Pair, Pixels, Scope

PANEL_WIDTH = 780
"""Of `figure`, which has two columns."""

COLUMN = 592
"""Width of a panel of the sheets, which have three columns."""
PANEL = 333
"""Its height: 16:9."""
LOW_PANEL = 250
"""Height of the panel of light over time."""

MARGIN = 36
HEADER = 104
HEADING = 40
SCALE = 64
"""Of a legend or an axis below a panel."""


def figure(sdr: Floats, hdr: Floats, title: str = "SDR to HDR") -> Image.Image:
    """Four panels: SDR frame, HDR tone-mapped for an SDR screen, false-colour luminance, luminance histogram of both.

    Args:
        sdr: (3, H, W) BT.709 gamma signal in [0, 1]; its white is taken as 203 cd/m2 (BT.2408).
        hdr: (3, H, W) BT.2020 PQ signal in [0, 1], of the same frame and size.
        title: heading of the picture.

    Returns:
        An sRGB picture, about 1670 pixels wide.

    Raises:
        InputError: the two are not (3, H, W) pictures of one size.
    """
    if sdr.ndim != 3 or sdr.shape[0] != 3 or sdr.shape != hdr.shape or 0 in sdr.shape:
        raise InputError(f"figure: sdr is {tuple(sdr.shape)} and hdr {tuple(hdr.shape)}; give two (3, H, W) pictures of one size")
    sdr, hdr = np.asarray(sdr, dtype=np.float64), np.asarray(hdr, dtype=np.float64)
    sdr_light = np.asarray(bt1886_eotf(np.clip(np.nan_to_num(sdr), 0, 1)))
    sdr_luminance = REFERENCE_WHITE * luminance(sdr_light, "bt709")[0]
    hdr_luminance = np.asarray(luminance(pq_eotf(hdr), "bt2020"))[0]

    height, width = hdr_luminance.shape
    panel = round(min(max(PANEL_WIDTH * height / width, 0.42 * PANEL_WIDTH), 0.85 * PANEL_WIDTH))
    above = 100.0 * float(np.mean(hdr_luminance > REFERENCE_WHITE))
    facts = (
        f"{width} x {height}    HDR luminance: brightest {number(float(hdr_luminance.max()))}, average "
        f"{number(float(hdr_luminance.mean()))} cd/m2, {number(above)} % of pixels above reference white (203 cd/m2)"
        f"    SDR average {number(float(sdr_luminance.mean()))} cd/m2"
    )
    canvas, draw = _canvas(2 * PANEL_WIDTH + 3 * MARGIN, HEADER + 2 * (HEADING + panel) + SCALE + 2 * MARGIN, title, [facts])

    left, right = MARGIN, 2 * MARGIN + PANEL_WIDTH
    top, bottom = HEADER, HEADER + HEADING + panel + MARGIN
    headings = (
        (left, top, "SDR source", "BT.709, its white shown as 203 cd/m2"),
        (right, top, "HDR result, tone-mapped for this screen", "BT.2020 PQ, by BT.2390 to 203 cd/m2"),
        (left, bottom, "HDR luminance in false colour", "cd/m2"),
        (right, bottom, "Luminance histogram", ""),
    )
    for x, y, name, note in headings:
        heading(draw, x, y + HEADING // 2, PANEL_WIDTH, name, note)
    legend(draw, right + PANEL_WIDTH, bottom + HEADING // 2, (("SDR source", BLUE), ("HDR result", ORANGE)))

    def box(x: int, y: int) -> Box:
        return x, y + HEADING, x + PANEL_WIDTH, y + HEADING + panel

    fit(canvas, to_bytes(np.asarray(srgb_inverse_eotf(sdr_light))), box(left, top))
    fit(canvas, to_bytes(tone_map(hdr)), box(right, top))
    fit(canvas, false_color(hdr_luminance), box(left, bottom), codes=True)
    end = bottom + HEADING + panel
    false_color_legend(canvas, draw, (left, end + 12, left + PANEL_WIDTH, end + 34))
    x = right + 56
    curves = ((histogram(sdr_luminance), BLUE), (histogram(hdr_luminance), ORANGE))
    histograms(canvas, draw, (x, bottom + HEADING, right + PANEL_WIDTH, end), curves)
    text(draw, ((x + right + PANEL_WIDTH) / 2, end + 44), "luminance in cd/m2, spaced as PQ codes it", 15, DIM, "mm")
    return canvas


def scope_sheet(report: Scope, index: int | None = None) -> Image.Image:
    """One frame under the scopes, and the light of the file.

    Args:
        report: the file.
        index: of the view to show; by default the brightest one.

    Returns:
        An sRGB picture, 1920 pixels wide.
    """
    view = report.views[report.brightest if index is None else index]
    measured, light = view.measured, view.light
    rows = _rows(PANEL + SCALE, PANEL + SCALE - 8, LOW_PANEL + SCALE - 12)
    title = f"{report.name}, frame {light.number} at {light.seconds:.2f} s"
    lines = [
        "    ".join(line for word, line in report.facts if word in ("video", "rate", "mastering"))
        or f"{report.frames} frames, {report.kind}",
        f"{READINGS[report.kind]}.  This frame: MaxRGB {number(light.max_rgb)}, average MaxRGB {number(light.average)}, "
        f"mean luminance {number(measured.mean)}, median {number(measured.luminance[50.0])} cd/m2; "
        f"{number(measured.above[REFERENCE_WHITE])} % of pixels above 203, {number(measured.above[1000.0])} % above 1000 cd/m2",
    ]
    canvas, draw = _canvas(3 * COLUMN + 4 * MARGIN, rows[-1], title, lines)
    picture, false, plot = (_box(column, rows[0]) for column in range(3))
    _head(draw, picture, "Picture, for this screen", f"BT.2390 from {number(report.peak)} to 203 cd/m2")
    fit(canvas, view.picture, picture)
    _head(draw, false, "False colour", "luminance, cd/m2")
    fit(canvas, view.false_color, false, codes=True)
    false_color_legend(canvas, draw, (false[0], false[3] + 10, false[2], false[3] + 26))
    _head(draw, plot, "Chromaticity, CIE 1976")
    legend(draw, plot[2], plot[1] - HEADING // 2, tuple(OUTLINES.values()))
    plane(canvas, (plot[0], plot[1], plot[2], plot[3] + SCALE - 16), measured.chromaticities)

    wave, parade, bins = (_box(column, rows[1]) for column in range(3))
    _head(draw, wave, "Waveform, luminance", "cd/m2 on a PQ axis")
    waves(canvas, draw, wave, waveform_pixels(measured.waveform[3:4], WAVES[3:]))
    _head(draw, parade, "Parade, R G B", "cd/m2 on a PQ axis")
    waves(canvas, draw, parade, parade_pixels(measured.waveform))
    _head(draw, bins, "Histogram")
    legend(draw, bins[2], bins[1] - HEADING // 2, (("luminance", ORANGE), ("max(R, G, B)", BLUE)))
    curves = ((measured.histogram_max, BLUE), (measured.histogram, ORANGE))
    histograms(canvas, draw, (bins[0] + 64, bins[1], bins[2], bins[3]), curves)

    graph = (MARGIN, rows[2] + HEADING, 2 * COLUMN + 2 * MARGIN, rows[2] + HEADING + LOW_PANEL)
    _head(draw, graph, f"Light level over time, {len(report.curve)} of {report.frames} frames measured")
    claims = (("claimed", DIM),) if report.claimed else ()
    legend(draw, graph[2], graph[1] - HEADING // 2, (("MaxRGB", ORANGE), ("average MaxRGB", BLUE), *claims))
    levels = [[level.max_rgb for level in report.curve], [level.average for level in report.curve]]
    marks = [(float(value), DIM) for value in (report.claimed.max, report.claimed.average) if value] if report.claimed else []
    times = [level.seconds for level in report.curve]
    light_curve(draw, graph, times, tuple(zip(levels, (ORANGE, BLUE), strict=True)), marks, light.seconds)
    _scope_tables(draw, report, index, 3 * MARGIN + 2 * COLUMN, rows[2])
    return canvas


def _scope_tables(draw: ImageDraw.ImageDraw, report: Scope, index: int | None, x: int, y: int) -> None:
    view = report.views[report.brightest if index is None else index]
    heading(draw, x, y + HEADING // 2, COLUMN, "Gamut", f"pixels of {BLACK:g} cd/m2 and more")
    shares = [(name, view.measured.share(key), report.share(key)) for key, name in GAMUTS.items()]
    rows = [("outside", "this frame", f"all {len(report.views)} frames looked at")]
    rows += [(name, show_percent(here), show_percent(all_of_them)) for name, here, all_of_them in shares]
    y = table(draw, x, y + HEADING, COLUMN, rows, first=0.3) + 22
    how = "whole file" if report.complete else f"at least: {len(report.curve)} of {report.frames} frames"
    heading(draw, x, y + HEADING // 2, COLUMN, "Light level", how)
    found = report.found
    rows = [("cd/m2", "measured", "the file claims"), ("MaxCLL", str(found.max), report.claim("max"))]
    table(draw, x, y + HEADING, COLUMN, [*rows, ("MaxFALL", str(found.average), report.claim("average"))], first=0.3)


def show_percent(value: float | None) -> str:
    """A share as it is written."""
    return "no such pixel" if value is None else f"{number(value)} %"


def compare_sheet(report: Comparison, index: int | None = None) -> Image.Image:
    """A frame of two videos: A, B, half of each, their difference, histograms and numbers.

    Args:
        report: the two.
        index: of the pair to show; by default the most different one.

    Returns:
        An sRGB picture, 1920 pixels wide.
    """
    pair = report.pairs[report.most_different if index is None else index]
    rows = _rows(PANEL + 24, PANEL + SCALE)
    light = pair.lights[0]
    title = f"{report.names[0]}  and  {report.names[1]}, frame {light.number} at {light.seconds:.2f} s"
    readings = [f"{letter}: {READINGS[kind]}" for letter, kind in zip("AB", report.kinds, strict=True)]
    lines = [".  ".join(readings), ".  ".join(report.notes)]
    canvas, draw = _canvas(3 * COLUMN + 4 * MARGIN, rows[-1], title, [line for line in lines if line])
    a, b, half = (_box(column, rows[0]) for column in range(3))
    for place, letter, name, pixels in zip((a, b), "AB", report.names, pair.pictures, strict=True):
        _head(draw, place, letter, name)
        fit(canvas, pixels, place)
    _head(draw, half, "A left, B right", "all by one BT.2390 curve to 203 cd/m2")
    lain = fit(canvas, split(*pair.pictures), half)
    middle = (lain[0] + lain[2]) // 2
    draw.line((middle, lain[1], middle, lain[3] - 1), fill=TEXT, width=2)

    difference, bins, numbers = (_box(column, rows[1]) for column in range(3))
    _head(draw, difference, "Difference", "dE_ITP, 1 is just noticeable (BT.2124)")
    fit(canvas, pair.delta_map, difference, codes=True)
    delta_legend(canvas, draw, (difference[0], difference[3] + 10, difference[2], difference[3] + 26))
    _head(draw, bins, "Luminance histogram")
    legend(draw, bins[2], bins[1] - HEADING // 2, (("A", BLUE), ("B", ORANGE)))
    curves = tuple(zip(pair.histograms, (BLUE, ORANGE), strict=True))
    histograms(canvas, draw, (bins[0] + 64, bins[1], bins[2], bins[3]), curves)
    many = len(report.pairs)
    _head(draw, numbers, "Numbers", f"mean of {many} frame{'s' * (many != 1)} at the right")
    cells = [("", "this frame", "mean")]
    for name, of, digits, unit in NUMBERS:
        cells.append((name, show_number(of(pair), digits, unit), show_number(report.mean(of), digits, unit)))
    below = table(draw, numbers[0], numbers[1], COLUMN, cells, first=0.5)
    cells = [("cd/m2, this frame", "A", "B")]
    cells += [(name, number(of(pair.lights[0])), number(of(pair.lights[1]))) for name, of in LEVELS]
    table(draw, numbers[0], below + 16, COLUMN, cells, first=0.5)
    return canvas


def show_number(value: float | None, digits: int, unit: str) -> str:
    """A number of `NUMBERS` as it is written."""
    if value is None:
        return "A is black"
    return "equal" if math.isinf(value) else f"{value:.{digits}f}{unit}"


NUMBERS: tuple[tuple[str, Callable[[Pair], float | None], int, str], ...] = (
    ("PSNR of PQ", lambda pair: pair.psnr, 2, " dB"),
    ("dE_ITP, mean", lambda pair: pair.delta, 2, ""),
    ("dE_ITP, 95 % of pixels below", lambda pair: pair.delta_95, 2, ""),
    ("mean luminance, B to A", lambda pair: pair.ratio, 3, ""),
)
"""Name, how a pair has it, digits after the point, unit."""

LEVELS: tuple[tuple[str, Callable[[FrameLight], float]], ...] = (
    ("MaxRGB", lambda level: level.max_rgb),
    ("average MaxRGB", lambda level: level.average),
)


def split(a: Pixels, b: Pixels) -> Pixels:
    """The left half of one picture and the right half of the other."""
    middle = a.shape[1] // 2
    return np.concatenate([a[:, :middle], b[:, middle:]], axis=1)


def _canvas(width: int, height: int, title: str, lines: list[str]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    from PIL import Image, ImageDraw

    canvas = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    text(draw, (MARGIN, 42), shorten(title, 32, width - 2 * MARGIN), 32, TEXT, "lm")
    for index, line in enumerate(lines):
        text(draw, (MARGIN, 80 + 26 * index), shorten(line, 17, width - 2 * MARGIN), 17, DIM, "lm")
    return canvas, draw


def _rows(*heights: int) -> list[int]:
    """Tops of the sheets' rows, and the height of all; a row's height is without its heading."""
    return list(accumulate((HEADING + height for height in heights), initial=HEADER + 26))


def _box(column: int, top: int) -> Box:
    left = MARGIN + column * (COLUMN + MARGIN)
    return left, top + HEADING, left + COLUMN, top + HEADING + PANEL


def _head(draw: ImageDraw.ImageDraw, box: Box, title: str, note: str = "") -> None:
    heading(draw, box[0], box[1] - HEADING // 2, box[2] - box[0], title, note)
