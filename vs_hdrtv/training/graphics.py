"""Graphics: gradients, flat shapes and thin strokes, as titles and drawings have them. BT.2408 says what they are in HDR."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..color.tone_curves import bt2408

SHAPES = 4
"""At most, on a gradient."""

STROKES = 6
"""At most, each a bundle of wavy lines a pixel or two wide."""


def draw(size: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A gradient between two colours with flat rectangles and thin strokes on it, and its HDR version.

    Nothing in a graphic was tone-mapped: its HDR version is the same light, white at 203 cd/m2 (BT.2408-7, section 5.1.3).

    Args:
        size: side in pixels, even.
        rng: every random choice comes from it.

    Returns:
        `sdr` and `hdr`, (3, size, size): BT.709 signal in [0, 1] and BT.2020 PQ.
    """
    y, x = np.mgrid[0:size, 0:size] / (size - 1)  # (size, size) each
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    along = (along - along.min()) / (along.max() - along.min())
    one, other = (_color(rng).reshape(3, 1, 1) for _ in range(2))
    sdr = one + (other - one) * along ** rng.choice([1.0, 2.0, 4.0])  # (3, size, size)
    for _ in range(int(rng.integers(SHAPES + 1))):
        top, left = rng.integers(size, size=2)
        tall, wide = rng.integers(size // 8, size // 2, size=2)
        sdr[:, top : top + tall, left : left + wide] = _color(rng).reshape(3, 1, 1)
    for _ in range(int(rng.integers(STROKES + 1))):
        sdr = np.where(_stroke(x, y, size, rng), _color(rng).reshape(3, 1, 1), sdr)
    return sdr, np.asarray(bt2408(sdr))


def _stroke(x: NDArray[np.float64], y: NDArray[np.float64], size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(H, W) mask of wavy parallel lines, one or two pixels wide, that end somewhere; `x` and `y` from 0 to 1."""
    angle, bent, at, end = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.1), rng.random(), rng.uniform(0.2, 1.0)
    across = x * np.cos(angle) + y * np.sin(angle)
    along = y * np.cos(angle) - x * np.sin(angle)
    waves = across + bent * np.sin(rng.uniform(2, 20) * along)
    apart = rng.uniform(4, size) / size
    near: NDArray[np.bool_] = ((waves - at) % apart < rng.uniform(1, 2) / size) & (np.abs(along - at) < end)
    return near


def _color(rng: np.random.Generator) -> NDArray[np.float64]:
    """Greys, black and white among them, as often as colours."""
    grey = rng.choice([0.0, 1.0, rng.random()])
    return np.full(3, grey) if rng.random() < 0.5 else rng.random(3)
