"""Between integer Y'CbCr planes and planar R'G'B' on the device: what `core.resize` does on the host, to 1 LSB.

Chroma is resampled by Catmull-Rom (bicubic b = 0, c = 0.5). Dither depends on position alone, so that a pixel depends neither
on distant pixels (as in error diffusion) nor on the order of frames.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .arrays import Array, constant, mix_channels, namespace, unit
from .gamut import ycbcr_matrix

ChromaLocation = Literal["left", "center", "top_left", "top"]

CHROMA_OFFSET: dict[str, tuple[float, float]] = {
    "left": (0.0, 0.5),  # H.273, figure 1, type 0: 8-bit 4:2:0 of BT.709
    "center": (0.5, 0.5),  # type 1: JPEG, MPEG-1
    "top_left": (0.0, 0.0),  # type 2: BT.2100-2, table 6
    "top": (0.5, 0.0),  # type 3
}
"""Position of chroma sample 0 in luma samples, (horizontal, vertical)."""

_ROUNDING = 0.02
"""Codes that a limit on luma stays below its exact value: what float arithmetic of another decoder may add."""

_MOST_LOWERED = 2
"""10-bit codes of luma that a limit may take: dither adds one, rounding of the two chroma samples up to another."""

_BAYER_ORDER = 3
"""log2 of the dither tile's side."""


def bayer() -> NDArray[np.float64]:
    """(8, 8) ordered dither thresholds in (0, 1), each of 64 levels once. Bayer 1973."""
    tile = np.zeros((1, 1))
    for _ in range(_BAYER_ORDER):
        tile = np.block([[4 * tile, 4 * tile + 2], [4 * tile + 3, 4 * tile + 1]])
    thresholds: NDArray[np.float64] = (tile + 0.5) / tile.size
    return thresholds


SUBSAMPLED: dict[str, tuple[int, ...]] = {"420": (-1, -2), "422": (-1,), "444": ()}
"""Axes along which each kind of sampling has half as many chroma samples."""


def rgb_to_ycbcr(
    rgb: Array, *, sampling: str = "420", matrix: str = "bt2020", depth: int = 10, top: float | None = None
) -> tuple[Array, Array, Array]:
    """Pack a signal to limited-range Y'CbCr with co-sited (top-left) chroma, dithered. BT.2100-2, tables 6 and 9.

    Args:
        rgb: (N, 3, H, W) R'G'B' in [0, 1]; values outside are clipped, NaN becomes 0. A side that is subsampled and odd is
            edge-replicated.
        sampling: key of `SUBSAMPLED`.
        matrix: key of `gamut.LUMA`.
        depth: bits a sample.
        top: R'G'B' above which neither dither nor rounding lifts a pixel, chroma being upsampled linearly; None for no such
            limit. What subsampled chroma overshoots at a saturated edge stays: luma that gave way there would leave dark
            fringes round text (a display clips the overshoot, and shows the fringe).

    Returns:
        Y', Cb, Cr as (N, 1, H', W') and twice (N, 1, H'/h, W'/w), H' and W' being H and W rounded up to even where h or w is 2,
        of `rgb`'s floating type, holding integers.
    """
    axes = SUBSAMPLED[sampling]
    rgb = _even(unit(rgb), axes)
    ycbcr = mix_channels(ycbcr_matrix(matrix), rgb)
    luma, chroma = ycbcr[:, :1], ycbcr[:, 1:]
    for axis in axes:
        chroma = _halve(chroma, axis)
    scale = 2.0 ** (depth - 8)
    y = _quantize(luma * (219 * scale) + 16 * scale, depth)
    c = _quantize(chroma * (224 * scale) + 128 * scale, depth)
    if top is not None:
        xp = namespace(y)
        full = (c - 128 * scale) / (224 * scale)  # (N, 2, H'/h, W'/w)
        for axis in axes:
            full = _double_linear(full, axis)
        above_luma = mix_channels(np.linalg.inv(ycbcr_matrix(matrix))[:, 1:], full)  # (N, 3, H', W'): R', G', B' less Y'
        limit = xp.floor((top - xp.max(above_luma, axis=1, keepdims=True)) * (219 * scale) + 16 * scale - _ROUNDING)
        lowest = xp.clip(y - _MOST_LOWERED * scale / 4, 2 ** (depth - 8), None)
        y = xp.where(y > limit, xp.where(limit > lowest, limit, lowest), y)
    return y, c[:, :1], c[:, 1:]


def unpack(planes: tuple[Array, Array, Array], *, sampling: str = "420", matrix: str = "bt2020", depth: int = 10) -> Array:
    """R'G'B' of what `rgb_to_ycbcr` packed, chroma brought to full size linearly, which does not overshoot by itself.

    Args:
        planes: as `rgb_to_ycbcr` gives them.
        sampling: of the planes; key of `SUBSAMPLED`.
        matrix: key of `gamut.LUMA`.
        depth: bits a sample.

    Returns:
        (N, 3, H', W').
    """
    y, cb, cr = planes
    xp = namespace(y)
    scale = 2.0 ** (depth - 8)
    chroma = (xp.concat([cb, cr], axis=1) - 128 * scale) / (224 * scale)  # (N, 2, H'/h, W'/w)
    for axis in SUBSAMPLED[sampling]:
        chroma = _double_linear(chroma, axis)
    return mix_channels(np.linalg.inv(ycbcr_matrix(matrix)), xp.concat([(y - 16 * scale) / (219 * scale), chroma], axis=1))


def ycbcr_to_rgb(
    planes: tuple[Array, Array, Array],
    *,
    matrix: str = "bt709",
    depth: int = 8,
    full_range: bool = False,
    chroma_location: ChromaLocation = "left",
) -> Array:
    """Y'CbCr planes to R'G'B'.

    Args:
        planes: Y' (N, 1, H, W) and Cb, Cr (N, 1, H/h, W/w), h and w 1 or 2, floating type holding integers.
        matrix: key of `gamut.LUMA`.
        depth: bits a sample.
        full_range: samples use all codes (H.273, equations 20 to 22) rather than 16..235 and 16..240 (17 to 19).
        chroma_location: where a subsampled chroma sample lies.

    Returns:
        (N, 3, H, W); codes below black and above white give values outside [0, 1].

    Raises:
        InputError: chroma has another size.
    """
    y, cb, cr = planes
    height, width = y.shape[-2:]
    x_offset, y_offset = CHROMA_OFFSET[chroma_location]
    xp = namespace(y)
    chroma = xp.concat([cb, cr], axis=1)
    for axis, size, offset in ((-2, height, y_offset), (-1, width, x_offset)):
        if chroma.shape[axis] * 2 == size:
            chroma = _double(chroma, axis, offset)
        elif chroma.shape[axis] != size:
            raise InputError(
                f"ycbcr_to_rgb: chroma is {cb.shape[-1]}x{cb.shape[-2]} for luma {width}x{height}; only 1:1 and 2:1 are known"
            )
    scale = 2.0 ** (depth - 8)
    top = 2.0**depth - 1
    if full_range:
        ycbcr = xp.concat([y / top, (chroma - 128 * scale) / top], axis=1)
    else:
        ycbcr = xp.concat([(y - 16 * scale) / (219 * scale), (chroma - 128 * scale) / (224 * scale)], axis=1)
    return mix_channels(np.linalg.inv(ycbcr_matrix(matrix)), ycbcr)


def _catmull_rom(distance: float) -> float:
    d = abs(distance)
    if d < 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def _weights(offsets: list[int], position: float, support: float) -> list[float]:
    raw = [_catmull_rom((offset - position) / support) for offset in offsets]
    return [value / sum(raw) for value in raw]


def _convolve(x: Array, axis: int, count: int, offsets: list[int], weights: list[float], step: int) -> Array:
    """`out[i] = sum_k weights[k] x[step i + offsets[k]]` for `count` outputs, edges mirrored as zimg does."""
    size = x.shape[axis]
    before = max(0, -offsets[0])
    after = max(0, step * (count - 1) + offsets[-1] - size + 1)
    padded = _mirror(x, axis, before, after)
    total = None
    for offset, weight in zip(offsets, weights, strict=True):
        if weight == 0:
            continue
        first = before + offset
        window = _slice(padded, axis, first, first + step * (count - 1) + 1, step)
        total = window * weight if total is None else total + window * weight
    return total


def _halve(x: Array, axis: int) -> Array:
    """Every second sample, co-sited with the first one, of the low-passed signal."""
    offsets = list(range(-3, 4))
    return _convolve(x, axis, x.shape[axis] // 2, offsets, _weights(offsets, 0.0, 2.0), 2)


def _double(x: Array, axis: int, offset: float) -> Array:
    """Twice as many samples; sample 0 of `x` lies at `offset` in samples of the result."""
    xp = namespace(x)
    phases = []
    for parity in (0, 1):
        position = (parity - offset) / 2
        first = int(np.floor(position)) - 1
        offsets = list(range(first, first + 4))
        phases.append(_convolve(x, axis, x.shape[axis], offsets, _weights(offsets, position, 1.0), 1))
    shape = list(x.shape)
    shape[axis] *= 2
    # (..., n, ...) twice -> (..., n, 2, ...) -> (..., 2 n, ...)
    return xp.reshape(xp.stack(phases, axis=x.ndim + axis + 1), tuple(shape))


def _double_linear(x: Array, axis: int) -> Array:
    """Twice as many samples, the new ones between two old ones their mean; after the last one it is repeated."""
    xp = namespace(x)
    following = xp.concat([_slice(x, axis, 1, x.shape[axis], 1), _slice(x, axis, x.shape[axis] - 1, x.shape[axis], 1)], axis=axis)
    shape = list(x.shape)
    shape[axis] *= 2
    return xp.reshape(xp.stack([x, (x + following) / 2], axis=x.ndim + axis + 1), tuple(shape))


def _mirror(x: Array, axis: int, before: int, after: int) -> Array:
    """Half-sample symmetric extension: ... 1 0 | 0 1 2 ..., as far as there are samples."""
    size = x.shape[axis]
    low = [min(index, size - 1) for index in reversed(range(before))]
    high = [max(size - 1 - index, 0) for index in range(after)]
    return _assemble(x, axis, low, high)


def _assemble(x: Array, axis: int, low: list[int], high: list[int]) -> Array:
    """`x` with the samples `low` before it and `high` after it."""
    parts = [_slice(x, axis, index, index + 1, 1) for index in low]
    parts += [x, *(_slice(x, axis, index, index + 1, 1) for index in high)]
    return namespace(x).concat(parts, axis=axis)


def _slice(x: Array, axis: int, start: int, stop: int, step: int) -> Array:
    index = [slice(None)] * x.ndim
    index[axis] = slice(start, stop, step)
    return x[tuple(index)]


def _even(x: Array, axes: tuple[int, ...]) -> Array:
    for axis in axes:
        if x.shape[axis] % 2:
            x = _assemble(x, axis, [], [x.shape[axis] - 1])
    return x


def _quantize(x: Array, depth: int) -> Array:
    """Dithered integers in the range that ST 2084 video may use (0 and the top codes are reserved for timing)."""
    xp = namespace(x)
    side = 2**_BAYER_ORDER
    height, width = x.shape[-2:]
    tile = constant(bayer(), x)
    tiled = xp.tile(tile, (-(-height // side), -(-width // side)))[:height, :width]
    reserved = 2 ** (depth - 8)
    return xp.clip(xp.floor(x + tiled), reserved, 2**depth - 1 - reserved)
