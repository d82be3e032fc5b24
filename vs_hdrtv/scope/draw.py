"""Drawing with Pillow and the font that it carries, so that it belongs to the small install and looks the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..color.gamut import D65, PRIMARIES, rgb_to_xyz
from ..color.transfer import REFERENCE_WHITE, pq_eotf, pq_inverse_eotf, srgb_inverse_eotf
from .measure import (
    DELTA_TICKS,
    PLANE,
    PLANE_SIDE,
    TICKS,
    Color,
    Floats,
    delta_color,
    delta_position,
    false_color,
    uv,
)

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, the last two outside."""

BACKGROUND: Color = (20, 22, 27)
PLOT: Color = (29, 32, 39)
GRID: Color = (56, 61, 72)
TEXT: Color = (232, 234, 238)
DIM: Color = (158, 165, 177)
BLUE: Color = (120, 170, 240)
ORANGE: Color = (250, 176, 76)
WAVES: tuple[Color, ...] = ((255, 92, 92), (92, 230, 120), (110, 150, 255), (226, 230, 236))
"""R, G, B and luminance of a waveform."""
OUTLINES: dict[str, tuple[str, Color]] = {
    "bt709": ("BT.709", (232, 234, 238)),
    "p3_d65": ("P3-D65", (240, 214, 72)),
    "bt2020": ("BT.2020", (92, 210, 130)),
}
"""Triangles of the chromaticity plot: name and colour."""

# CIE 1931 x and y of the spectral locus, 2 degree observer. CIE 15:2018, table 1 (rounded to 4 digits).
LOCUS: dict[int, tuple[float, float]] = {
    **{380: (0.1741, 0.0050), 420: (0.1714, 0.0051), 440: (0.1644, 0.0109), 450: (0.1566, 0.0177), 460: (0.1440, 0.0297)},
    **{470: (0.1241, 0.0578), 475: (0.1096, 0.0868), 480: (0.0913, 0.1327), 485: (0.0687, 0.2007), 490: (0.0454, 0.2950)},
    **{495: (0.0235, 0.4127), 500: (0.0082, 0.5384), 505: (0.0039, 0.6548), 510: (0.0139, 0.7502), 515: (0.0389, 0.8120)},
    **{520: (0.0743, 0.8338), 525: (0.1142, 0.8262), 530: (0.1547, 0.8059), 535: (0.1929, 0.7816), 540: (0.2296, 0.7543)},
    **{550: (0.3016, 0.6923), 560: (0.3731, 0.6245), 570: (0.4441, 0.5547), 580: (0.5125, 0.4866), 590: (0.5752, 0.4242)},
    **{600: (0.6270, 0.3725), 610: (0.6658, 0.3340), 620: (0.6915, 0.3083), 640: (0.7190, 0.2809), 700: (0.7347, 0.2653)},
}
"""Wavelength in nm -> x, y."""


def text(draw: ImageDraw.ImageDraw, at: tuple[float, float], line: str, size: int, fill: Color, anchor: str) -> float:
    """Write one line; the `2` of `m2` is raised, since the font that Pillow carries has no superscripts.

    Args:
        draw: where.
        at: x and y of the anchor.
        line: what.
        size: of the letters in pixels.
        fill: their colour.
        anchor: `l`, `m` or `r`, then `a` (top), `m` (middle) or `s` (baseline), as Pillow has them.

    Returns:
        Width in pixels.
    """
    from PIL import ImageFont

    pieces: list[tuple[str, float, float]] = []
    for part in line.split("m2"):
        pieces += [(part, size, 0.0), ("m", size, 0.0), ("2", 0.62 * size, 0.28 * size)]
    runs = [(piece, ImageFont.load_default(scale), raised) for piece, scale, raised in pieces[:-2] if piece]
    # Middle and top of the letters are taken from the font, not from the pieces, so that all stand on one baseline.
    base = ImageFont.load_default(size).getbbox("H", anchor="l" + anchor[1])[3]
    widths = [font.getlength(piece) for piece, font, _ in runs]
    x = at[0] - sum(widths) * {"l": 0, "m": 0.5, "r": 1}[anchor[0]]
    for (piece, font, raised), width in zip(runs, widths, strict=True):
        draw.text((x, at[1] + base - raised), piece, fill=fill, font=font, anchor="ls")
        x += width
    return sum(widths)


def shorten(line: str, size: int, width: float) -> str:
    """A line that fits into `width` pixels, its middle left out where it is longer."""
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    if font.getlength(line) <= width:
        return line
    keep = len(line) - 1
    while keep > 2 and font.getlength(f"{line[: (keep + 1) // 2]}...{line[-(keep // 2) :]}") > width:
        keep -= 1
    return f"{line[: (keep + 1) // 2]}...{line[-(keep // 2) :]}"


def heading(draw: ImageDraw.ImageDraw, x: int, y: int, width: int, title: str, note: str = "") -> None:
    """Title of a panel at the left, and what it shows at the right; `y` is the middle of the line."""
    used = text(draw, (x, y), title, 21, TEXT, "lm")
    if note:
        text(draw, (x + width, y), shorten(note, 16, width - used - 24), 16, DIM, "rm")


def legend(draw: ImageDraw.ImageDraw, right: int, y: int, entries: Sequence[tuple[str, Color]]) -> None:
    """Names and their colours in one line that ends at `right`: beside a plot, never over its curves."""
    for name, color in reversed(entries):
        width = text(draw, (right, y), name, 16, DIM, "rm")
        right -= round(width) + 20
        draw.rectangle((right, y - 6, right + 12, y + 6), fill=color)
        right -= 18


def number(value: float) -> str:
    """Three digits at most, without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}" if value >= 0.001 or value == 0 else "< 0.001"


def position(light: float) -> float:
    """Where a luminance lies on a PQ axis, [0, 1]."""
    return float(pq_inverse_eotf(np.array([light]))[0])


def fit(canvas: Image.Image, pixels: NDArray[np.uint8], box: Box, *, codes: bool = False) -> Box:
    """Put a picture into a box, keeping its aspect; where it came to lie.

    Args:
        canvas: the picture to put it into.
        pixels: (H, W, 3).
        box: the place.
        codes: its colours stand for numbers: none is mixed of two.
    """
    from PIL import Image, ImageDraw

    left, top, right, bottom = box
    height, width = pixels.shape[:2]
    factor = min((right - left) / width, (bottom - top) / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    ImageDraw.Draw(canvas).rectangle((left, top, right - 1, bottom - 1), fill=PLOT)
    smooth = Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.LANCZOS
    how = Image.Resampling.NEAREST if codes else smooth
    x, y = left + (right - left - size[0]) // 2, top + (bottom - top - size[1]) // 2
    canvas.paste(Image.fromarray(pixels).resize(size, how), (x, y))
    return x, y, x + size[0], y + size[1]


def light_axis(draw: ImageDraw.ImageDraw, left: int, right: int, y: int) -> None:
    """Marks and labels of a PQ axis below a plot or a legend."""
    for value in (*TICKS, 10000.0):
        x = left + position(value) * (right - left)
        draw.line((x, y, x, y + 5), fill=DIM)
        color = TEXT if value == REFERENCE_WHITE else DIM
        wide = right - left > 640
        label = f"{value:g}" if wide or value < 4000 else f"{value / 1000:g}k"
        text(draw, (x, y + 9), label, 15 if wide else 13, color, "ra" if x > right - 20 else "ma")


def light_rows(draw: ImageDraw.ImageDraw, box: Box) -> None:
    """Lines and labels of a PQ axis up the left side of a plot."""
    left, top, right, bottom = box
    for value in (0.1, 1.0, 10.0, 100.0, REFERENCE_WHITE, 1000.0, 4000.0, 10000.0):
        y = bottom - 1 - position(value) * (bottom - top - 1)
        draw.line((left, y, right - 1, y), fill=DIM if value == REFERENCE_WHITE else GRID)
        # 100 and 203 cd/m2 lie close together: the reference is what one looks for.
        if value != 100.0:
            text(draw, (left - 8, y + (5 if value == 10000 else 0)), f"{value:g}", 14, TEXT if value == 203 else DIM, "rm")


def false_color_legend(canvas: Image.Image, draw: ImageDraw.ImageDraw, box: Box) -> None:
    """The colours of `measure.false_color` along a PQ axis."""
    left, _, right, bottom = box
    _strip(canvas, box, false_color(np.asarray(pq_eotf((np.arange(right - left) + 0.5) / (right - left)))[None]))
    light_axis(draw, left, right, bottom)


def delta_legend(canvas: Image.Image, draw: ImageDraw.ImageDraw, box: Box) -> None:
    """The colours of `measure.delta_color`."""
    left, _, right, bottom = box
    values = np.array([0.0, *DELTA_TICKS, 2 * DELTA_TICKS[-1]])
    ramp = np.interp((np.arange(right - left) + 0.5) / (right - left), delta_position(values), values)
    _strip(canvas, box, delta_color(ramp[None]))
    for value in DELTA_TICKS:
        x = left + float(delta_position(np.array([value]))[0]) * (right - left)
        draw.line((x, bottom, x, bottom + 5), fill=DIM)
        text(draw, (x, bottom + 9), f"{value:g}", 13, DIM, "ma")


def _strip(canvas: Image.Image, box: Box, colors: NDArray[np.uint8]) -> None:
    from PIL import Image

    left, top, right, bottom = box
    canvas.paste(Image.fromarray(np.ascontiguousarray(np.broadcast_to(colors, (bottom - top, right - left, 3)))), (left, top))


def histograms(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, box: Box, curves: Sequence[tuple[NDArray[np.float64], Color]]
) -> None:
    """Curves of percent of pixels, logarithmic, since highlights are few and are what one looks for."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = box
    low = -3.0
    # The top 34 pixels are left to what is written there.
    most = math.log10(max(1.0, *(float(share.max()) for share, _ in curves)))
    high = low + (most - low) * (bottom - top) / (bottom - top - 34)

    def row(share: float) -> float:
        exponent = math.log10(share) if share > 0 else low
        return bottom - 1 - (min(max(exponent, low), high) - low) / (high - low) * (bottom - top - 1)

    draw.rectangle((left, top, right - 1, bottom - 1), fill=PLOT)
    for exponent in range(int(low), int(high) + 1):
        y = row(10.0**exponent)
        draw.line((left, y, right - 1, y), fill=GRID)
        text(draw, (left - 8, y if exponent > low else y - 4), f"{10.0**exponent:g} %", 14, DIM, "rm")
    for value in TICKS:
        x = left + position(value) * (right - left)
        draw.line((x, top, x, bottom - 1), fill=TEXT if value == REFERENCE_WHITE else GRID)

    for share, color in curves:
        step = (right - left) / len(share)
        corners: list[tuple[float, float]] = [(left, bottom - 1)]
        for index, value in enumerate(share):
            corners += [(left + index * step, row(float(value))), (left + (index + 1) * step, row(float(value)))]
        corners.append((right - 1, bottom - 1))
        layer = Image.new("L", canvas.size, 0)
        ImageDraw.Draw(layer).polygon(corners, fill=70)
        canvas.paste(color, mask=layer)
        draw.line(corners, fill=color, width=2)
    draw.line((left, bottom - 1, right - 1, bottom - 1), fill=DIM, width=2)
    x = left + position(REFERENCE_WHITE) * (right - left)
    text(draw, (x + 8, top + 16), "reference white", 14, TEXT, "lm")
    light_axis(draw, left, right, bottom)


def waveform_pixels(planes: NDArray[np.float32], colors: Sequence[Color]) -> NDArray[np.uint8]:
    """Waveforms over each other as light adds up.

    Args:
        planes: (C, rows, columns) of `measure.waveform`.
        colors: one for each.

    Returns:
        (rows, columns, 3) 8-bit sRGB.
    """
    # A flat column has all its pixels in one row: a tenth of that already shines fully.
    glow = np.clip(planes * 10, 0, 1) ** 0.38
    added = np.einsum("crw,ck->rwk", glow, np.array(colors, dtype=np.float32))
    shown = np.array(PLOT, dtype=np.float32) + added * (1 - np.array(PLOT, dtype=np.float32) / 255)
    return np.asarray(np.clip(np.round(shown), 0, 255).astype(np.uint8))


def parade_pixels(waveform: NDArray[np.float32]) -> NDArray[np.uint8]:
    """R, G and B beside each other; `waveform` is (>= 3, rows, columns)."""
    gap = np.full((waveform.shape[1], max(2, waveform.shape[2] // 60), 3), BACKGROUND, dtype=np.uint8)
    parts = [waveform_pixels(waveform[channel : channel + 1], WAVES[channel : channel + 1]) for channel in range(3)]
    return np.concatenate([parts[0], gap, parts[1], gap, parts[2]], axis=1)


def waves(canvas: Image.Image, draw: ImageDraw.ImageDraw, box: Box, pixels: NDArray[np.uint8]) -> None:
    """A waveform or parade with its axis in cd/m2, which takes 52 pixels at the left of the box."""
    from PIL import Image, ImageChops, ImageDraw

    left, top, right, bottom = box
    left += 52
    size = (right - left, bottom - top)
    # The lines are laid over a dark plot first, so that the trace stays on top of them.
    base = Image.new("RGB", canvas.size, PLOT)
    light_rows(ImageDraw.Draw(base), (left, top, right, bottom))
    light_rows(draw, (left, top, right, bottom))
    trace = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    canvas.paste(ImageChops.lighter(trace, base.crop((left, top, right, bottom))), (left, top))


def plane_pixels(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Chromaticities of pixels as (PLANE, PLANE, 4) 8-bit sRGB with alpha: each in its own colour, the rarer the fainter."""
    cells = (np.arange(PLANE) + 0.5) * PLANE_SIDE / PLANE
    u, v = np.meshgrid(cells, cells[::-1])
    x, y = 9 * u / (6 * u - 16 * v + 12), 4 * v / (6 * u - 16 * v + 12)  # CIE 15:2018, section 8.2.1, inverted
    xyz = np.stack([x / y, np.ones_like(x), (1 - x - y) / y]).reshape(3, -1)
    rgb = np.clip(np.linalg.solve(rgb_to_xyz("bt709"), xyz), 0, None)
    rgb /= np.maximum(rgb.max(axis=0), 1e-9)
    color = np.round(255 * np.asarray(srgb_inverse_eotf(rgb))).reshape(3, PLANE, PLANE).transpose(1, 2, 0)
    # From one pixel in a million to one in a hundred.
    with np.errstate(divide="ignore"):
        seen = np.where(shares > 0, np.clip((np.log10(shares) + 6) / 4, 0, 1) * 0.65 + 0.35, 0)
    return np.concatenate([color, np.round(255 * seen)[..., None]], axis=2).astype(np.uint8)


def plane_background(side: int, letters: int = 14) -> Image.Image:
    """The CIE 1976 u'v' plane with the spectral locus and the three triangles, `side` pixels square, without a legend."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (2 * side, 2 * side), PLOT)
    draw = ImageDraw.Draw(image)

    def at(xy: Floats) -> list[tuple[float, float]]:
        scaled = uv(xy) * (2 * side / PLANE_SIDE)
        return [(float(u), 2 * side - float(v)) for u, v in scaled]

    for tenth in range(1, 7):
        place = tenth * 0.2 * side / PLANE_SIDE
        draw.line((place, 0, place, 2 * side), fill=GRID)
        draw.line((0, 2 * side - place, 2 * side, 2 * side - place), fill=GRID)
    locus = at(np.array(list(LOCUS.values())))
    draw.line([*locus, locus[0]], fill=DIM, width=3, joint="curve")
    for name, (_, color) in OUTLINES.items():
        corners = at(np.array(PRIMARIES[name]))
        draw.line([*corners, corners[0]], fill=color, width=3, joint="curve")
    ((u, v),) = at(np.array([D65]))
    draw.line((u - 9, v, u + 9, v), fill=TEXT, width=2)
    draw.line((u, v - 9, u, v + 9), fill=TEXT, width=2)
    small = image.resize((side, side), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(small)
    for tenth in range(1, 7):
        place = tenth * 0.1 * side / PLANE_SIDE
        text(draw, (place, side - 4), f"{tenth / 10:g}", letters, DIM, "ms")
        if tenth < 6:
            text(draw, (5, side - place), f"{tenth / 10:g}", letters, DIM, "lm")
    text(draw, (side - 6, side - letters - 16), "u'", letters, TEXT, "rm")
    text(draw, (letters + 16, 6 + letters // 2), "v'", letters, TEXT, "lm")
    return small


def plane(canvas: Image.Image, box: Box, shares: NDArray[np.float32]) -> None:
    """The chromaticity plot, square, in the middle of a box."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = box
    ImageDraw.Draw(canvas).rectangle((left, top, right - 1, bottom - 1), fill=PLOT)
    side = min(right - left, bottom - top)
    image = plane_background(side, 13)
    dots = Image.fromarray(plane_pixels(shares)).resize((side, side), Image.Resampling.BILINEAR)
    image.paste(dots, (0, 0), dots)
    canvas.paste(image, (left + (right - left - side) // 2, top + (bottom - top - side) // 2))


def light_curve(
    draw: ImageDraw.ImageDraw,
    box: Box,
    times: Sequence[float],
    curves: Sequence[tuple[Sequence[float], Color]],
    marks: Sequence[tuple[float, Color]],
    now: float,
) -> None:
    """Light over time on a PQ axis.

    Args:
        draw: where.
        box: with 52 pixels at the left for the axis and the labels of time below it.
        times: seconds.
        curves: cd/m2 at each time.
        marks: cd/m2 of dashed lines.
        now: time of a frame to point out.
    """
    left, top, right, bottom = box
    left += 52
    draw.rectangle((left, top, right - 1, bottom - 1), fill=PLOT)
    light_rows(draw, (left, top, right, bottom))
    first, last = times[0], times[-1] if times[-1] > times[0] else times[0] + 1

    def place(second: float, value: float) -> tuple[float, float]:
        return left + (second - first) / (last - first) * (right - left - 1), bottom - 1 - position(value) * (bottom - top - 1)

    step = next((s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800) if (last - first) / s <= 9), 3600)
    for index in range(math.ceil(first / step), math.floor(last / step) + 1):
        x, _ = place(index * step, 1)
        draw.line((x, top, x, bottom - 1), fill=GRID)
        label = f"{index * step:g} s" if last < 120 else f"{int(index * step) // 60}:{int(index * step) % 60:02d}"
        text(draw, (min(max(x, left + 14), right - 14), bottom + 8), label, 14, DIM, "ma")
    for value, color in marks:
        y = place(first, value)[1]
        for x in range(left, right - 8, 14):
            draw.line((x, y, x + 7, y), fill=color, width=1)
    x, _ = place(now, 1)
    draw.line((x, top, x, bottom - 1), fill=TEXT)
    for values, color in curves:
        points = [place(second, value) for second, value in zip(times, values, strict=True)]
        draw.line(points if len(points) > 1 else [points[0], (right - 1, points[0][1])], fill=color, width=3, joint="curve")


def table(
    draw: ImageDraw.ImageDraw, x: int, y: int, width: int, rows: Sequence[Sequence[str]], *, size: int = 16, first: float = 0.46
) -> int:
    """A table whose first row is its head and whose first column takes `first` of the width.

    Returns:
        The y below it.
    """
    height = size + 13
    for index, row in enumerate(rows):
        middle = y + height // 2
        columns = len(row) - 1
        text(draw, (x, middle), shorten(row[0], size, width * first - 8), size, DIM, "lm")
        for column, cell in enumerate(row[1:], 1):
            right = x + width * (first + (1 - first) * column / columns)
            text(draw, (right, middle), cell, size, DIM if not index else TEXT, "rm")
        y += height
        draw.line((x, y - 1, x + width, y - 1), fill=DIM if not index else GRID)
    return y
