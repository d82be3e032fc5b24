"""What the networks of VITM-TC share about light: the camera curve, and how bright one frame's light is in another's exposure."""

from __future__ import annotations

import torch
from torch import Tensor

from ..color.arrays import non_negative
from ..color.exposure import levels
from ..color.transfer import BT1886_GAMMA

CAMERA_GAMMA = 2.2
"""f of the paper (section 3.5): a camera's code is light to the power of 1/2.2."""

DARKEST = 1e-5
"""Light (1.0 = reference white) below which no code is told apart: at 0 the slope of the curve is infinite."""

MOST = 4.0
"""Factor of the signal (28 of light) by which exposures may differ; more is taken for an error."""


def code_of_signal(sdr: Tensor) -> Tensor:
    """BT.1886 signal to the camera's code, both [0, 1]; any shape."""
    return non_negative(sdr) ** (BT1886_GAMMA / CAMERA_GAMMA)  # type: ignore[no-any-return]


def signal_of_code(code: Tensor) -> Tensor:
    """The inverse of `code_of_signal`."""
    return non_negative(code) ** (CAMERA_GAMMA / BT1886_GAMMA)  # type: ignore[no-any-return]


def code_of_light(linear: Tensor) -> Tensor:
    """Light to the camera's code; any shape, [0, inf), not below the code of `DARKEST`."""
    return linear.clamp(min=DARKEST) ** (1 / CAMERA_GAMMA)


def light_of_code(code: Tensor) -> Tensor:
    """The inverse of `code_of_light`; codes below that of `DARKEST` give it, so that PQ of the result has a slope everywhere."""
    return code.clamp(min=DARKEST ** (1 / CAMERA_GAMMA)) ** CAMERA_GAMMA


def gain(sdr: Tensor, aligned: Tensor, inside: Tensor) -> Tensor:
    """The factor of the signal that gives a reference the exposure of a frame.

    Measured, not learned: no gradient passes.

    Args:
        sdr: (N, 3, H, W) signal in [0, 1].
        aligned: the reference's signal, warped onto it.
        inside: (N, 1, H, W), 1 where the reference shows something and 0 elsewhere, which does not count.

    Returns:
        (N, 1, 1, 1), at most `MOST` and at least its inverse, float32 at least.
    """
    kind = torch.promote_types(sdr.dtype, torch.float32)  # sums over a frame
    # Black in both is no evidence, and where there is none at all the exposures are alike.
    own, other = levels(*((each * inside).detach().to(kind) for each in (sdr, aligned)))
    return (own / other).clamp(1 / MOST, MOST)  # type: ignore[no-any-return]
