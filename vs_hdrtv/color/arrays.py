"""One code for numpy arrays and torch tensors: the few array operations that the array API standard leaves open.

Every function of `vs_hdrtv.color` takes either kind and returns the kind it was given, on the same device.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

Array = Any
"""A `numpy.ndarray` or a `torch.Tensor` of floating point type."""


def namespace(array: Array) -> ModuleType:
    """Array API namespace of `array` (`array_api_compat.numpy` or `array_api_compat.torch`).

    Raises:
        TypeError: `array` is neither kind.
    """
    found: ModuleType = array_namespace(array)
    return found


WILD = 100.0
"""Of a signal whose white is 1: 100 is 63000 times its light by BT.1886, which no camera and no grade reaches."""


def tame(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples from outside: NaN becomes 0 and infinities the ends of [0, 1], lest one pixel spoil a mean.

    What is finite is held within `WILD`, lest a power of it overflow.
    """
    if not -WILD <= array.min() <= array.max() <= WILD:  # false with NaN too
        array = np.nan_to_num(array, nan=0.0, posinf=1.0, neginf=0.0).clip(-WILD, WILD)
    return array


def constant(values: Any, like: Array) -> Array:
    """`values` as an array of `like`'s kind, type and device."""
    return namespace(like).asarray(np.asarray(values), dtype=like.dtype, device=getattr(like, "device", None))


def on_host(array: Array) -> NDArray[Any]:
    """`array` as a numpy array, for libraries that know nothing else."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.detach().cpu())


def precise(x: Array) -> Array:
    """`x` as float64, or as float32 on a device that has no float64 (Apple's)."""
    xp = namespace(x)
    return xp.astype(x, xp.float32 if getattr(x.device, "type", "") == "mps" else xp.float64)


def non_negative(x: Array) -> Array:
    """`x` with negatives and NaN replaced by 0 (the rule of every EOTF of this project)."""
    xp = namespace(x)
    return xp.where(x > 0, x, xp.zeros_like(x))


def unit(x: Array) -> Array:
    """`x` clipped to [0, 1], NaN becoming 0."""
    xp = namespace(x)
    return xp.where(x < 1, non_negative(x), xp.where(x >= 1, xp.ones_like(x), xp.zeros_like(x)))


def mix_channels(matrix: NDArray[np.float64], x: Array) -> Array:
    """Multiply the channels of `x` by `matrix`.

    Args:
        matrix: (M, C) matrix.
        x: (..., C, H, W) planar picture.

    Returns:
        (..., M, H, W). Each output is summed channel by channel in a fixed order, so that a pixel does not depend on
        the size of the picture that it stands in (a BLAS product would).
    """
    xp = namespace(x)
    rows = []
    for row in matrix:
        total = float(row[0]) * x[..., 0, :, :]
        for index in range(1, len(row)):
            total = total + float(row[index]) * x[..., index, :, :]
        rows.append(total)
    return xp.stack(rows, axis=-3)
