"""Pages of HTML that need nothing else: pictures as data URIs, style and script inside."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..color.transfer import REFERENCE_WHITE
from .draw import (
    BACKGROUND,
    OUTLINES,
    WAVES,
    delta_legend,
    false_color_legend,
    number,
    parade_pixels,
    plane_background,
    plane_pixels,
    waveform_pixels,
)
from .measure import BLACK, CODES, GAMUTS, Color
from .read import READINGS
from .sheet import NUMBERS, show_number, show_percent

if TYPE_CHECKING:
    from PIL import Image

    from .report import Comparison, Facts, Pair, Pixels, Scope, View

ASSETS = Path(__file__).with_name("assets")
THUMB = 62
"""Height of a picture in the filmstrip."""
LEGEND_WIDTH = 660


def scope_page(report: Scope) -> str:
    """A file under the scopes, each frame looked at to be chosen from a filmstrip."""
    found = report.found
    how = "every frame of the file" if report.complete else f"{len(report.curve)} of {report.frames} frames: at least"
    levels = [("MaxCLL", str(found.max), report.claim("max")), ("MaxFALL", str(found.average), report.claim("average"))]
    gamut = [
        f'<tr><th scope="row">{name}</th><td id="gamut-{index}"></td><td>{show_percent(report.share(key))}</td></tr>'
        for index, (key, name) in enumerate(GAMUTS.items())
    ]
    plots = [
        _plot("waveform", "Waveform, luminance", "cd/m², PQ axis"),
        _plot("parade", "Parade, R G B", "cd/m², PQ axis"),
        _plot("histogram", "Histogram", _keys(("luminance", "var(--orange)"), ("max(R, G, B)", "var(--blue)"))),
    ]
    triangles = _keys(*((name, _css(color)) for name, color in OUTLINES.values()))
    curves = [("MaxRGB", "var(--orange)"), ("average MaxRGB", "var(--blue)")]
    curves += [("claimed by the file", "var(--dim)")] if report.claimed else []
    body = f"""
<h1>{escape(report.name)}</h1>
<p class="note">{_text(READINGS[report.kind])}. {len(report.views)} frames looked at, {len(report.curve)} of {report.frames}
measured for light. Keys: ← → frames, P picture, F false colour.</p>
<nav class="strip" id="strip" aria-label="frames"></nav>
<div class="desk"><div>
<section><h2><span id="title"></span><small>for this screen: BT.2390 from {number(report.peak)} to 203 cd/m²</small></h2>
<div class="modes" id="modes"><button type="button" data-mode="picture" data-key="p" aria-pressed="true">Picture</button>
<button type="button" data-mode="false" data-key="f" aria-pressed="false">False colour</button></div>
<div class="view"><img id="picture" alt="the frame"></div>
<img class="legend" id="false-legend" alt="colours of luminance in cd/m²" src="{_legend(false_color_legend)}" hidden></section>
<section><h2>Light level over time<small>{_keys(*curves)}</small></h2>
<div class="plot" id="light" data-label="light level over time"></div></section>
</div><div>{"".join(plots)}</div></div>
<div class="grid"><div>
<section><h2>Chromaticity, CIE 1976 u′v′<small>{triangles}</small></h2><div class="square">
<img alt="spectral locus and gamuts" src="{_uri(plane_background(560, 16), "png")}">
<img id="plane" alt="chromaticities"></div></section>
<section><h2>Gamut</h2><table><thead><tr><th>outside</th><th>this frame</th><th>all {len(report.views)} frames</th></tr></thead>
<tbody>{"".join(gamut)}</tbody></table>
<p class="note">Percent of the pixels of {BLACK:g} cd/m² and more that no colour of the gamut can be, by more than {CODES} codes
of rounding in R′, G′ and B′.</p></section></div>
<div>
<section><h2>This frame</h2><table><tbody id="numbers"></tbody></table></section>
<section><h2>Light level<small>{how}</small></h2>{_table(("cd/m²", "measured", "the file claims"), levels)}
<p class="note">MaxRGB is the highest max(R, G, B) of a frame, MaxCLL the highest of the file; MaxFALL is the highest average of
it (CTA-861.3). Measured on the decoded pictures, where what the encoder lost shows; what a file claims is usually from before
it.</p></section>
</div>
<section><h2>File</h2>{_facts(report.facts)}</section></div>"""
    content = {
        "first": report.brightest,
        "frames": [_scope_frame(view) for view in report.views],
        "light": {
            "time": [round(level.seconds, 4) for level in report.curve],
            "max": [round(level.max_rgb, 3) for level in report.curve],
            "average": [round(level.average, 4) for level in report.curve],
        },
        "claimed": [value for value in (report.claimed.max, report.claimed.average) if value] if report.claimed else [],
    }
    return _page(f"{report.name}: scopes", body, content, "scope.js")


def _scope_frame(view: View) -> dict[str, Any]:
    measured, light = view.measured, view.light
    rows = [
        ("MaxRGB", f"{number(light.max_rgb)} cd/m²"),
        ("average MaxRGB", f"{number(light.average)} cd/m²"),
        ("mean luminance", f"{number(measured.mean)} cd/m²"),
        *((f"{point:g} % of pixels below", f"{number(value)} cd/m²") for point, value in measured.luminance.items()),
        *((f"pixels above {limit:g} cd/m²", f"{number(share)} %") for limit, share in measured.above.items()),
    ]
    return {
        "number": light.number,
        "time": round(light.seconds, 4),
        "max": round(light.max_rgb, 3),
        "thumb": _thumb(view.picture),
        "picture": _image(view.picture),
        "false": _image(view.false_color),
        "waveform": _image(waveform_pixels(measured.waveform[3:4], WAVES[3:])),
        "parade": _image(parade_pixels(measured.waveform)),
        "plane": _image(plane_pixels(measured.chromaticities)),
        "histogram": _rounded(measured.histogram),
        "histogramMax": _rounded(measured.histogram_max),
        "rows": rows,
        "gamut": [show_percent(measured.share(key)) for key in GAMUTS],
    }


def compare_page(report: Comparison) -> str:
    """Two videos beside each other, with a wipe between them."""
    many = len(report.pairs)
    readings = [f"{letter}: {READINGS[kind]}" for letter, kind in zip("AB", report.kinds, strict=True)]
    notes = "".join(f'<p class="note">{escape(note)}.</p>' for note in report.notes)
    means = "".join(f"<td>{show_number(report.mean(of), digits, unit)}</td>" for _, of, digits, unit in NUMBERS)
    head = "".join(f"<th>{name}</th>" for name, *_ in NUMBERS) + "<th>MaxRGB A, B</th><th>average MaxRGB A, B</th>"
    buttons = [("wipe", "w", "Wipe"), ("a", "a", "A"), ("b", "b", "B"), ("delta", "d", "Difference")]
    modes = "".join(
        f'<button type="button" data-mode="{mode}" data-key="{key}" aria-pressed="{"true" if mode == "wipe" else "false"}">{name}'
        "</button>"
        for mode, key, name in buttons
    )
    body = f"""
<h1>A: {escape(report.names[0])}<br>B: {escape(report.names[1])}</h1>
<p class="note">{_text(". ".join(readings))}. Keys: ← → frames, W wipe, A, B, D difference.</p>{notes}
<nav class="strip" id="strip" aria-label="frames"></nav>
<section><h2><span id="title"></span><small>both by one BT.2390 curve to {REFERENCE_WHITE:g} cd/m² for this screen</small></h2>
<div class="modes" id="modes">{modes}</div>
<div id="wipe-view"><div class="view wipe" id="wipe"><img id="a" alt="A" draggable="false"><img class="b" id="b" alt="B"
draggable="false"><span class="bar"></span><span class="tag a">A</span><span class="tag b">B</span></div>
<input type="range" id="slider" min="0" max="100" step="0.1" aria-label="where A ends and B begins"></div>
<div id="delta-view" hidden><div class="view"><img id="delta" alt="difference"></div>
<img class="legend" alt="colours of dE ITP" src="{_legend(delta_legend)}">
<p class="note">dE_ITP of each pixel; 1 is just noticeable (BT.2124).</p></div></section>
<section><h2>Numbers<small>{many} frame{"s" * (many != 1)}, B against A</small></h2><div class="scroll"><table>
<thead><tr><th>frame</th>{head}</tr></thead><tbody id="rows"></tbody>
<tfoot><tr><th scope="row">mean</th>{means}<td></td><td></td></tr></tfoot></table></div></section>
<div class="grid">
{_plot("histogram", "Luminance histogram", _keys(("A", "var(--blue)"), ("B", "var(--orange)")))}
<section><h2>A</h2>{_facts(report.facts[0])}</section><section><h2>B</h2>{_facts(report.facts[1])}</section></div>"""
    content = {"first": report.most_different, "frames": [_pair(pair) for pair in report.pairs]}
    return _page(f"{report.names[0]} and {report.names[1]}", body, content, "compare.js")


def _pair(pair: Pair) -> dict[str, Any]:
    a, b = pair.lights
    cells = [show_number(of(pair), digits, unit) for _, of, digits, unit in NUMBERS]
    cells += [f"{number(a.max_rgb)}, {number(b.max_rgb)}", f"{number(a.average)}, {number(b.average)}"]
    return {
        "number": a.number,
        "time": round(a.seconds, 4),
        "thumb": _thumb(pair.pictures[1]),
        "a": _image(pair.pictures[0]),
        "b": _image(pair.pictures[1]),
        "delta": _image(pair.delta_map),
        "histograms": [_rounded(histogram) for histogram in pair.histograms],
        "cells": cells,
    }


def _page(title: str, body: str, content: dict[str, Any], script: str) -> str:
    # "<" escaped: nothing in the data can end the script element.
    data = json.dumps(content, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    style = (ASSETS / "page.css").read_text(encoding="utf-8")
    code = "".join((ASSETS / name).read_text(encoding="utf-8") for name in ("page.js", script))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>{body}
<noscript><p>The frames and the graphs are drawn by the script of this page; allow it.</p></noscript>
</main>
<script type="application/json" id="data">{data}</script>
<script>
{code}</script>
</body>
</html>
"""


def _plot(name: str, title: str, note: str) -> str:
    return f'<section><h2>{title}<small>{note}</small></h2><div class="plot" id="{name}" data-label="{title}"></div></section>'


def _keys(*entries: tuple[str, str]) -> str:
    return "".join(f'<span class="key" style="--c:{color}">{escape(name)}</span>' for name, color in entries)


def _css(color: Color) -> str:
    return f"rgb({color[0]} {color[1]} {color[2]})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = (
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _facts(facts: Facts) -> str:
    rows = (f'<tr><th scope="row">{escape(word)}</th><td>{_text(line)}</td></tr>' for word, line in facts)
    return f'<table class="facts"><tbody>{"".join(rows)}</tbody></table>'


def _text(line: str) -> str:
    return escape(line).replace("cd/m2", "cd/m²")


def _rounded(shares: Iterable[float]) -> list[float]:
    return [round(float(share), 4) for share in shares]


def _legend(draw_legend: Any) -> str:
    from PIL import Image, ImageDraw

    canvas = Image.new("RGB", (LEGEND_WIDTH, 50), BACKGROUND)
    draw_legend(canvas, ImageDraw.Draw(canvas), (0, 10, LEGEND_WIDTH, 24))
    return _uri(canvas, "png")


def _thumb(pixels: Pixels) -> str:
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((4 * THUMB, THUMB))
    return _uri(image, "webp")


def _image(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    from PIL import Image

    return _uri(Image.fromarray(pixels), "webp")


def _uri(image: Image.Image, kind: str) -> str:
    """A picture inside the page; WebP is of photographic quality, which graphs with soft edges bear too."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **({"quality": 88, "method": 4} if kind == "webp" else {"optimize": True}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
