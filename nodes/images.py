"""IMAGE tensors and the signals of the stages: colour spaces, alpha, checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .core import InputError, arrays, gamut, tone_curves, transfer

type Floats = NDArray[np.float32]

HLG_PEAK = 1000.0
"""cd/m2 of the display by which HLG is light. BT.2408-7, section 6."""

SDR_SPACES = ("sRGB", "BT.1886", "linear")
"""What an SDR IMAGE may be: a picture, decoded frames of video, light with white at 1."""

HDR_SPACES = ("HDR PQ", "HDR", "linear")
"""What an HDR IMAGE may be, by ComfyUI's own names: BT.2020 PQ, BT.2020 HLG, BT.709 light with 203 cd/m2 at 1."""


def check(name: str, images: Any, what: str = "images") -> None:
    """Refuse what is no IMAGE.

    Raises:
        InputError: it is not (B, H, W, 3 or 4) of floats, or empty.
    """
    if not isinstance(images, torch.Tensor):
        raise InputError(f"{name}: {what} is a {type(images).__name__}; connect an IMAGE")
    if images.ndim != 4 or images.shape[-1] not in (3, 4) or not images.is_floating_point():
        shape = "x".join(map(str, images.shape))
        raise InputError(f"{name}: {what} is {shape} of {images.dtype}; connect an IMAGE: frames, rows, columns, RGB or RGBA")
    if not images.numel():
        raise InputError(f"{name}: {what} has no frame or no pixel; give at least one")


def colors(images: torch.Tensor, frame: int) -> Floats:
    """R, G and B of a frame, (1, 3, H, W), as they are but for NaN and infinities."""
    picture = images[frame, ..., :3].detach().to("cpu", torch.float32).numpy()  # (H, W, 3)
    return arrays.tame(np.ascontiguousarray(picture.transpose(2, 0, 1))[None])  # (1, 3, H, W)


def _linear_to_sdr(light: Floats) -> Floats:
    return np.asarray(transfer.bt1886_inverse_eotf(light), np.float32)


SDR: dict[str, Callable[[Floats], Floats]] = {
    "sRGB": lambda rgb: _linear_to_sdr(transfer.srgb_eotf(rgb)),
    "BT.1886": lambda rgb: rgb,
    "linear": _linear_to_sdr,
}
"""Colour space -> the signal `sdr` of (..., 3, H, W), its light preserved."""


FROM_SDR: dict[str, Callable[[Floats], Floats]] = {
    "sRGB": lambda sdr: np.asarray(transfer.srgb_inverse_eotf(transfer.bt1886_eotf(sdr)), np.float32),
    "BT.1886": lambda sdr: sdr,
    "linear": lambda sdr: np.asarray(transfer.bt1886_eotf(sdr), np.float32),
}
"""Colour space -> what `sdr` is in it."""


def _hlg_light(rgb: Floats) -> Floats:
    return np.asarray(transfer.hlg_ootf(transfer.hlg_inverse_oetf(rgb), HLG_PEAK))


def _linear_light(rgb: Floats) -> Floats:
    return np.asarray(gamut.convert(rgb * transfer.REFERENCE_WHITE, "bt709", "bt2020"))


def _to_linear(hdr: Floats) -> Floats:
    return np.asarray(gamut.convert(transfer.pq_eotf(hdr), "bt2020", "bt709") / transfer.REFERENCE_WHITE, np.float32)


HDR: dict[str, Callable[[Floats], Floats]] = {
    "HDR PQ": lambda rgb: rgb,
    "HDR": lambda rgb: np.asarray(transfer.pq_inverse_eotf(_hlg_light(rgb)), np.float32),
    "linear": lambda rgb: np.asarray(transfer.pq_inverse_eotf(_linear_light(rgb)), np.float32),
    "sRGB": lambda rgb: np.asarray(tone_curves.bt2408(SDR["sRGB"](rgb)), np.float32),
    "BT.1886": lambda rgb: np.asarray(tone_curves.bt2408(rgb), np.float32),
}
"""Colour space -> the signal `hdr` of (..., 3, H, W); of SDR it is the plain BT.2408 mapping, white at 203 cd/m2."""

FROM_HDR: dict[str, Callable[[Floats], Floats]] = {
    "HDR PQ": lambda hdr: hdr,
    "HDR": lambda hdr: np.asarray(transfer.hlg_oetf(transfer.hlg_inverse_ootf(transfer.pq_eotf(hdr), HLG_PEAK)), np.float32),
    "linear": _to_linear,
}
"""Colour space -> what `hdr` is in it."""


def reader(name: str, table: dict[str, Callable[[Floats], Floats]], color_space: str) -> Callable[[Floats], Floats]:
    """The function of a colour space.

    Raises:
        InputError: `table` does not have it.
    """
    if color_space not in table:
        remedy = ", ".join(table)
        if table is SDR and color_space in HDR_SPACES:
            raise InputError(f"{name}: the images are {color_space}, which is HDR already; this node takes SDR: {remedy}")
        raise InputError(f"{name}: unknown color_space {color_space!r}; choose one of {remedy}")
    return table[color_space]


def to_images(frames: Iterable[Floats], count: int, alpha: torch.Tensor | None = None) -> torch.Tensor:
    """IMAGE of (1, 3, H, W) frames, with the alpha channel of the images that they were made of where those have one.

    Args:
        frames: of one size; taken one by one, so that they are in memory once.
        count: how many there are at most.
        alpha: the IMAGE (B, H, W, C) whose fourth channel is kept.
    """
    images, done = torch.empty(0), 0
    for frame in frames:
        if not done:
            images = torch.empty((count, *frame.shape[-2:], 4 if alpha is not None and alpha.shape[-1] == 4 else 3))
        images[done, ..., :3] = torch.from_numpy(np.ascontiguousarray(frame[0])).movedim(0, -1)  # (3, H, W) -> (H, W, 3)
        if alpha is not None and images.shape[-1] == 4:
            images[done, ..., 3] = alpha[done, ..., 3]
        done += 1
    return images[:done]
