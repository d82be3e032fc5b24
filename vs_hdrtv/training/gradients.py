"""Gradients before an optimiser uses them: clipped, and left out where they are not numbers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def clip(parameters: Iterable[nn.Parameter], largest: float) -> Tensor:
    """Scale gradients down to a norm of `largest`; where one of them is not finite, set all to 0.

    Dynamic filters multiply what they compute of a picture with that picture: one odd picture in a million can give an infinite
    result, and one step by it would leave nothing of the weights. With gradients of 0 an optimiser goes on by its moments.
    Nothing is read from the device.

    Args:
        parameters: whose gradients are changed in place.
        largest: norm of all together.

    Returns:
        () bool, whether they were finite.
    """
    given = list(parameters)
    finite = torch.isfinite(nn.utils.clip_grad_norm_(given, largest))  # ()
    for parameter in given:
        if parameter.grad is not None:
            parameter.grad = torch.where(finite, parameter.grad, 0.0)
    return finite
