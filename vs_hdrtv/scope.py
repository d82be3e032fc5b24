"""One picture that shows what a conversion did: SDR, HDR, luminance in cd/m2, and a histogram of both.

Drawn with Pillow and the font that it carries, so that it belongs to the small install and looks the same everywhere.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .color.gamut import convert, luminance
from .color.tone_curves import bt2390_eetf
from .color.transfer import REFERENCE_WHITE, bt1886_eotf, pq_eotf, pq_inverse_eotf, srgb_inverse_eotf
from .errors import InputError

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

Floats = NDArray[np.floating]
Color = tuple[int, int, int]
Box = tuple[int, int, int, int]

TICKS = (0.1, 1.0, 10.0, 50.0, 100.0, REFERENCE_WHITE, 400.0, 1000.0, 4000.0)
"""cd/m2 at which the false colours change. Up to reference white they are cold, above it, where SDR ends, warm."""

BANDS: tuple[Color, ...] = (
    (10, 10, 22),
    (34, 22, 84),
    (44, 58, 150),
    (38, 112, 190),
    (38, 160, 170),
    (92, 192, 110),
    (240, 214, 72),
    (242, 142, 44),
    (222, 58, 48),
    (240, 130, 220),
)
"""Colour of each band at its upper edge: one more than `TICKS`."""

SHADE = 0.82
"""How dark a band begins, relative to its upper edge."""

PANEL_WIDTH = 780
MARGIN = 36
HEADER = 104
HEADING = 40
SCALE = 64
BINS = 160

BACKGROUND: Color = (20, 22, 27)
PLOT: Color = (29, 32, 39)
GRID: Color = (56, 61, 72)
TEXT: Color = (232, 234, 238)
DIM: Color = (158, 165, 177)
SDR_COLOR: Color = (120, 170, 240)
HDR_COLOR: Color = (250, 176, 76)


def tone_map(hdr: Floats, peak: float | None = None) -> Floats:
    """HDR for an SDR screen: BT.2390 EETF to reference white, BT.709 primaries, sRGB.

    The curve is taken on the maximum of R, G and B and applied as one gain, so that hues are kept.

    Args:
        hdr: (3, H, W) BT.2020 PQ signal.
        peak: cd/m2 that become white; by default the brightest component of this picture, leaving out one in 10 000.

    Returns:
        (3, H, W) sRGB signal in [0, 1]; diffuse white (203 cd/m2) and everything below is as bright as in the SDR
        picture as far as the highlights leave room.
    """
    light = pq_eotf(hdr)
    brightest = np.max(light, axis=0, keepdims=True)
    if peak is None:
        peak = float(np.quantile(brightest, 0.9999))
    target = brightest
    if peak > REFERENCE_WHITE:
        target = pq_eotf(bt2390_eetf(pq_inverse_eotf(brightest), REFERENCE_WHITE, peak))
    gain = np.where(brightest > 0, target / np.where(brightest > 0, brightest, 1), 1) / REFERENCE_WHITE
    shown: Floats = np.clip(srgb_inverse_eotf(convert(light * gain, "bt2020", "bt709")), 0, 1)
    return shown


def false_color(light: Floats) -> NDArray[np.uint8]:
    """Luminance as colours: a band between two of `TICKS`, growing lighter towards its upper edge.

    Args:
        light: (..., H, W) luminance in cd/m2.

    Returns:
        (..., H, W, 3) 8-bit sRGB.
    """
    edges = np.asarray(pq_inverse_eotf(np.array([0.0, *TICKS, 10000.0])))
    signal = np.asarray(pq_inverse_eotf(light))
    band = np.clip(np.searchsorted(edges, signal, side="right") - 1, 0, len(BANDS) - 1)
    inside = np.clip((signal - edges[band]) / (edges[band + 1] - edges[band]), 0, 1)
    shade = SHADE + (1 - SHADE) * inside
    colors: NDArray[np.uint8] = np.round(np.array(BANDS)[band] * shade[..., None]).astype(np.uint8)
    return colors


def histogram(light: Floats) -> NDArray[np.float64]:
    """Share of pixels, in percent, in each of `BINS` bins of equal PQ width from 0 to 10 000 cd/m2; they add up to 100.

    Args:
        light: luminance in cd/m2, any shape.
    """
    counts, _ = np.histogram(np.asarray(pq_inverse_eotf(light)), bins=BINS, range=(0.0, 1.0))
    share: NDArray[np.float64] = counts * (100.0 / light.size)
    return share


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
    from PIL import Image, ImageDraw

    if sdr.ndim != 3 or sdr.shape[0] != 3 or sdr.shape != hdr.shape or 0 in sdr.shape:
        raise InputError(f"figure: sdr is {tuple(sdr.shape)} and hdr {tuple(hdr.shape)}; give two (3, H, W) pictures of one size")
    sdr, hdr = np.asarray(sdr, dtype=np.float64), np.asarray(hdr, dtype=np.float64)
    sdr_light = np.asarray(bt1886_eotf(np.clip(np.nan_to_num(sdr), 0, 1)))
    sdr_luminance = REFERENCE_WHITE * luminance(sdr_light, "bt709")[0]
    hdr_luminance = np.asarray(luminance(pq_eotf(hdr), "bt2020"))[0]

    height, width = hdr_luminance.shape
    panel = round(min(max(PANEL_WIDTH * height / width, 0.42 * PANEL_WIDTH), 0.85 * PANEL_WIDTH))
    canvas = Image.new("RGB", (2 * PANEL_WIDTH + 3 * MARGIN, HEADER + 2 * (HEADING + panel) + SCALE + 2 * MARGIN), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    _text(draw, (MARGIN, 42), title, 32, TEXT, "lm")
    above = 100.0 * float(np.mean(hdr_luminance > REFERENCE_WHITE))
    facts = (
        f"{width} x {height}    HDR luminance: brightest {_number(float(hdr_luminance.max()))}, average "
        f"{_number(float(hdr_luminance.mean()))} cd/m2, {_number(above)} % of pixels above reference white (203 cd/m2)"
        f"    SDR average {_number(float(sdr_luminance.mean()))} cd/m2"
    )
    _text(draw, (MARGIN, 80), facts, 17, DIM, "lm")

    left, right = MARGIN, 2 * MARGIN + PANEL_WIDTH
    top, bottom = HEADER, HEADER + HEADING + panel + MARGIN
    headings = (
        (left, top, "SDR source", "BT.709"),
        (right, top, "HDR result, tone-mapped for this screen", "BT.2390 to 203 cd/m2"),
        (left, bottom, "HDR luminance in false colour", "cd/m2"),
        (right, bottom, "Luminance histogram", "share of pixels, SDR white at 203 cd/m2"),
    )
    for x, y, heading, note in headings:
        _text(draw, (x, y + HEADING // 2), heading, 21, TEXT, "lm")
        _text(draw, (x + PANEL_WIDTH, y + HEADING // 2), note, 16, DIM, "rm")

    def show(pixels: NDArray[np.uint8], x: int, y: int) -> None:
        """Fit into the panel, keeping the aspect."""
        factor = min(PANEL_WIDTH / width, panel / height)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        draw.rectangle((x, y + HEADING, x + PANEL_WIDTH - 1, y + HEADING + panel - 1), fill=PLOT)
        picture = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
        canvas.paste(picture, (x + (PANEL_WIDTH - size[0]) // 2, y + HEADING + (panel - size[1]) // 2))

    show(_bytes(np.asarray(srgb_inverse_eotf(sdr_light))), left, top)
    show(_bytes(tone_map(hdr)), right, top)
    show(false_color(hdr_luminance), left, bottom)
    _scale(canvas, draw, (left, bottom + HEADING + panel + 12, left + PANEL_WIDTH, bottom + HEADING + panel + 34))
    box = (right + 56, bottom + HEADING, right + PANEL_WIDTH, bottom + HEADING + panel)
    _plot(canvas, draw, box, histogram(sdr_luminance), histogram(hdr_luminance))
    return canvas


def _bytes(signal: Floats) -> NDArray[np.uint8]:
    """(3, H, W) signal to (H, W, 3) bytes."""
    rounded: NDArray[np.uint8] = np.round(255 * np.clip(signal, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(rounded)


def _number(value: float) -> str:
    """Three digits at most, without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def _position(light: float) -> float:
    """Where a luminance lies on a PQ axis, [0, 1]."""
    return float(pq_inverse_eotf(np.array([light]))[0])


def _text(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, fill: Color, anchor: str) -> None:
    """Write one line; the `2` of `m2` is raised, since the font that Pillow carries has no superscripts."""
    from PIL import ImageFont

    pieces: list[tuple[str, float, float]] = []
    for part in text.split("m2"):
        pieces += [(part, size, 0.0), ("m", size, 0.0), ("2", 0.62 * size, 0.28 * size)]
    runs = [(piece, ImageFont.load_default(scale), raised) for piece, scale, raised in pieces[:-2] if piece]
    # Middle and top of the letters are taken from the font, not from the pieces, so that all stand on one baseline.
    base = ImageFont.load_default(size).getbbox("H", anchor="l" + anchor[1])[3]
    widths = [font.getlength(piece) for piece, font, _ in runs]
    x = at[0] - sum(widths) * {"l": 0, "m": 0.5, "r": 1}[anchor[0]]
    for (piece, font, raised), width in zip(runs, widths, strict=True):
        draw.text((x, at[1] + base - raised), piece, fill=fill, font=font, anchor="ls")
        x += width


def _ticks(draw: ImageDraw.ImageDraw, left: int, right: int, y: int) -> None:
    """Marks and labels of a PQ axis."""
    for value in (*TICKS, 10000.0):
        x = left + _position(value) * (right - left)
        draw.line((x, y, x, y + 5), fill=DIM)
        color = TEXT if value == REFERENCE_WHITE else DIM
        _text(draw, (x, y + 9), f"{value:g}", 15, color, "ra" if x > right - 20 else "ma")


def _scale(canvas: Image.Image, draw: ImageDraw.ImageDraw, box: Box) -> None:
    """The colours of `false_color` along a PQ axis."""
    from PIL import Image

    left, top, right, bottom = box
    ramp = np.asarray(pq_eotf((np.arange(right - left) + 0.5) / (right - left)))
    strip = np.broadcast_to(false_color(ramp[None]), (bottom - top, right - left, 3))
    canvas.paste(Image.fromarray(np.ascontiguousarray(strip)), (left, top))
    _ticks(draw, left, right, bottom)


def _plot(canvas: Image.Image, draw: ImageDraw.ImageDraw, box: Box, sdr: NDArray[np.float64], hdr: NDArray[np.float64]) -> None:
    """Two curves of percent of pixels, logarithmic, since highlights are few and are what one looks for."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = box
    low = -3.0
    high = max(1.0, math.ceil(2 * math.log10(max(float(sdr.max()), float(hdr.max()), 1e-9))) / 2 + 0.15)

    def row(share: float) -> float:
        exponent = math.log10(share) if share > 0 else low
        return bottom - 1 - (min(max(exponent, low), high) - low) / (high - low) * (bottom - top - 1)

    draw.rectangle((left, top, right - 1, bottom - 1), fill=PLOT)
    for exponent in range(int(low), int(high) + 1):
        y = row(10.0**exponent)
        draw.line((left, y, right - 1, y), fill=GRID)
        _text(draw, (left - 8, y if exponent > low else y - 4), f"{10.0**exponent:g} %", 15, DIM, "rm")
    for value in TICKS:
        x = left + _position(value) * (right - left)
        draw.line((x, top, x, bottom - 1), fill=TEXT if value == REFERENCE_WHITE else GRID)

    step = (right - left) / BINS
    for share, color in ((sdr, SDR_COLOR), (hdr, HDR_COLOR)):
        corners: list[tuple[float, float]] = [(left, bottom - 1)]
        for index, value in enumerate(share):
            corners += [(left + index * step, row(float(value))), (left + (index + 1) * step, row(float(value)))]
        corners.append((right - 1, bottom - 1))
        layer = Image.new("L", canvas.size, 0)
        ImageDraw.Draw(layer).polygon(corners, fill=70)
        canvas.paste(color, mask=layer)
        draw.line(corners, fill=color, width=2)
    draw.line((left, bottom - 1, right - 1, bottom - 1), fill=DIM, width=2)

    x = left + _position(REFERENCE_WHITE) * (right - left)
    _text(draw, (x + 8, top + 16), "reference white", 15, TEXT, "lm")
    for index, (name, color) in enumerate((("SDR source", SDR_COLOR), ("HDR result", HDR_COLOR))):
        y = top + 18 + 26 * index
        draw.rectangle((left + 16, y - 7, left + 30, y + 7), fill=color)
        _text(draw, (left + 40, y), name, 17, TEXT, "lm")
    _ticks(draw, left, right, bottom)
    _text(draw, ((left + right) / 2, bottom + 44), "luminance in cd/m2, spaced as PQ codes it", 15, DIM, "mm")
