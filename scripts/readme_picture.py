"""The README's picture: a scene made by arithmetic (no film may be committed), through the shipped network.

`python scripts/readme_picture.py docs/picture.png`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from vs_hdrtv import engines, scope, weights
from vs_hdrtv.color.transfer import bt1886_inverse_eotf

HEIGHT, WIDTH = 540, 960
HORIZON = 0.58


def clouds(rng: np.random.Generator) -> np.ndarray:
    """(H, W) fractal noise in [0, 1], stretched sideways."""
    total = np.zeros((HEIGHT, WIDTH))
    for octave in range(6):
        cells = (3 * 2**octave, 2 * 2**octave)
        grid = rng.random((cells[0] + 2, cells[1] + 2))
        y, x = np.linspace(0, cells[0], HEIGHT), np.linspace(0, cells[1], WIDTH)
        i, j = y.astype(int), x.astype(int)
        u, v = ((t - t.astype(int)) for t in (y, x))
        u, v = (3 * u**2 - 2 * u**3)[:, None], (3 * v**2 - 2 * v**3)[None]
        top = grid[i][:, j] * (1 - v) + grid[i][:, j + 1] * v
        low = grid[i + 1][:, j] * (1 - v) + grid[i + 1][:, j + 1] * v
        total += (top * (1 - u) + low * u) / 2**octave
    return (total - total.min()) / (total.max() - total.min())


def scene() -> np.ndarray:
    """(3, H, W) linear light, 1.0 = diffuse white: a low sun over water, and five glossy balls."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    u, v = x / HEIGHT, y / HEIGHT
    sun_u, sun_v = 1.28, 0.42
    height = np.clip((HORIZON - v) / HORIZON, 0, 1)
    blue, orange = np.array([0.10, 0.22, 0.55]), np.array([1.1, 0.55, 0.22])
    sky = orange[:, None, None] * np.exp(-4 * height) + blue[:, None, None] * (1 - np.exp(-3 * height))
    distance = np.hypot(u - sun_u, v - sun_v)
    glow = 6 * np.exp(-distance * 9) + 90 * (distance < 0.035)
    sky = sky + np.array([1.0, 0.75, 0.45])[:, None, None] * glow
    cover = np.clip(clouds(rng) * 2.2 - 1.0, 0, 1) * np.clip(height * 5, 0, 1)
    lit = 0.5 + 2.5 * np.exp(-distance * 4)
    sky = sky * (1 - 0.75 * cover) + cover * lit * np.array([0.9, 0.62, 0.5])[:, None, None] * 0.6
    ripple = 0.5 + 0.5 * np.sin(260 * (v - HORIZON) / (0.12 + v - HORIZON + 1e-6) + 9 * clouds(rng))
    path = np.exp(-(((u - sun_u) / (0.05 + 0.5 * (v - HORIZON).clip(0))) ** 2))
    water = np.array([0.03, 0.07, 0.12])[:, None, None] + np.array([1.0, 0.6, 0.3])[:, None, None] * 7 * path * ripple**6
    picture = np.where(v < HORIZON, sky, water)
    towards = np.array([0.55, -0.5, 0.67])
    for index, colour in enumerate(([0.75, 0.06, 0.05], [0.1, 0.45, 0.1], [0.06, 0.12, 0.6], [0.75, 0.6, 0.08], [0.7, 0.7, 0.7])):
        cx, cy, radius = 0.2 + 0.27 * index, 0.82, 0.11
        dx, dy = (u - cx) / radius, (v - cy) / radius
        inside = dx**2 + dy**2 < 1
        dz = np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1))
        facing = np.clip(dx * towards[0] + dy * towards[1] + dz * towards[2], 0, 1)
        mirror = np.clip(2 * facing * dz - towards[2], 0, 1) ** 60
        ball = np.array(colour)[:, None, None] * (0.12 + 0.9 * facing) + 12 * mirror * np.array([1.0, 0.85, 0.65])[:, None, None]
        picture = np.where(inside, ball, picture)
    return picture


def main() -> None:
    """Expose for SDR as a camera does, clip, convert, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="hdcfm")
    arguments = parser.parse_args()
    sdr = np.rint(bt1886_inverse_eotf(np.clip(scene() * 0.5, 0, 1)) * 255) / 255
    engine = engines.create("cpu")
    network = engine.load(weights.find(arguments.model))
    hdr = engine.download(network(engine.upload(sdr[None].astype(np.float32))))[0]
    scope.figure(sdr.astype(np.float32), hdr, title=f"A rendered scene by {arguments.model}").save(
        arguments.output, optimize=True
    )


if __name__ == "__main__":
    main()
