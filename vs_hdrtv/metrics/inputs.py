"""What every measure does first: check the two pictures, and bring them to torch where a library wants that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..color.arrays import Array, unit
from ..errors import InputError

if TYPE_CHECKING:
    import torch


def check_pair(name: str, hdr: Array, reference: Array, smallest: int = 1) -> None:
    """Refuse pictures that cannot be compared.

    Args:
        name: the measure, which the message starts with.
        hdr: (..., 3, H, W).
        reference: the same.
        smallest: pixels that each side has to have.

    Raises:
        InputError: the shapes differ, are not those of a picture, or are too small.
    """
    shapes = tuple(hdr.shape), tuple(reference.shape)
    if shapes[0] != shapes[1] or len(shapes[0]) < 3 or shapes[0][-3] != 3 or 0 in shapes[0]:
        raise InputError(f"{name}: pictures are {shapes[0]} and {shapes[1]}; give two of the same shape (..., 3, H, W)")
    if min(shapes[0][-2:]) < smallest:
        raise InputError(f"{name}: pictures are {shapes[0][-1]}x{shapes[0][-2]}; it needs {smallest} pixels a side or more")


def check_clip(name: str, hdr: Array, reference: Array) -> None:
    """Refuse clips that cannot be compared.

    Raises:
        InputError: they are not two of the same shape (N, 3, H, W) with N of 2 or more.
    """
    check_pair(name, hdr, reference)
    if len(hdr.shape) != 4 or hdr.shape[0] < 2:
        raise InputError(f"{name}: the clip is {tuple(hdr.shape)}; give two or more consecutive frames, (N, 3, H, W)")


def batch(signal: Array, *, double: bool = False) -> torch.Tensor:
    """A signal as (N, C, H, W) in [0, 1], float32 or float64, on the device that it is on already."""
    import torch

    tensor = signal if isinstance(signal, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(signal))
    clipped: torch.Tensor = unit(tensor.to(torch.float64 if double else torch.float32))
    return clipped.reshape(-1, *clipped.shape[-3:])
