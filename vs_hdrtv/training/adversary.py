"""The adversarial loss: a patch discriminator, trained beside the network that it judges."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from . import gradients, losses


class Adversary:
    """Least squares (Mao et al., ICCV 2017), a patch weighing as much as the mask covers of it.

    Args:
        discriminator: of pictures with their mask (N, 4, H, W), or of clips with theirs (N, T, 4, H, W).
        rate: its optimiser's, until `learn` is told another.
        clip: largest norm of its gradient.
    """

    def __init__(self, discriminator: nn.Module, rate: float, clip: float) -> None:
        self.discriminator, self._clip = discriminator, clip
        self._optimizer = torch.optim.Adam(discriminator.parameters(), lr=rate)
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None

    def to(self, device: torch.device) -> None:
        """Move it; the optimiser keeps its parameters, which are moved in place."""
        self.discriminator.to(device)

    def judge(self, result: Tensor, ideal: Tensor, mask: Tensor) -> Tensor:
        """The loss of `result`, which the next `learn` compares with `ideal`; (N, 3, H, W), mask (N, 1, H, W), or clips."""
        self.discriminator.requires_grad_(False)
        scores = self._scores(result, mask)
        self.discriminator.requires_grad_(True)
        self._seen = (result.detach(), ideal, mask)
        return losses.generator_loss(scores, _as_scores(mask))

    def learn(self, rate: float) -> dict[str, Tensor]:
        """One step of the discriminator on the pictures of the last `judge`; nothing where there are none."""
        if self._seen is None:
            return {}
        result, ideal, mask = self._seen
        self._seen = None
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        real, generated = (self._scores(pictures, mask) for pictures in (ideal, result))
        loss = losses.discriminator_loss(real, generated, _as_scores(mask))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients.clip(self.discriminator.parameters(), self._clip)
        self._optimizer.step()
        return {"discriminator": loss.detach()}

    def state(self) -> dict[str, Any]:
        """The discriminator and its optimiser."""
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self._optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.discriminator.load_state_dict(state["discriminator"])
        self._optimizer.load_state_dict(state["optimizer"])

    def _scores(self, pictures: Tensor, mask: Tensor) -> Tensor:
        return self.discriminator(torch.cat([pictures, mask], dim=-3))  # type: ignore[no-any-return]


def _as_scores(mask: Tensor) -> Tensor:
    """Masks of clips (N, T, 1, H, W) as scores of clips lie, (N, 1, T, H, W); those of pictures as they are."""
    return mask.transpose(1, 2) if mask.dim() == 5 else mask
