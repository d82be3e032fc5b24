"""What the networks of VITM-TC are trained for: ICAM on key frames (equation 8), FCPM on the frames between them (equation 13).

Light is compared as PQ signal, where errors count as they are seen, and where SDR is over-exposed: the rest of a result is
replaced by the frame's own light (equation 1), so that nothing there can be learnt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..color import highlights
from ..color.overexposure import overexposure_mask
from ..color.transfer import REFERENCE_WHITE, bt1886_eotf, pq_inverse_eotf
from ..errors import InputError
from ..keyframes import dis
from ..networks.discriminator import ClipPatchDiscriminator
from ..networks.icam import ICAM
from . import key_frames, losses, temporal_losses
from .adversary import Adversary
from .recipes import Recipe


def seen(linear: Tensor) -> Tensor:
    """Light relative to reference white to PQ signal; any shape."""
    return pq_inverse_eotf(REFERENCE_WHITE * linear.clamp(min=0))  # type: ignore[no-any-return]


class KeyFrames:
    """ICAM: L1, the flow's correction, and the perceptual loss where there is a feature network (section 3.3.2).

    Args:
        recipe: weights of the losses.
        perceptual: the perceptual loss; None leaves it out.
        setup: says what `perceptual` is.

    Raises:
        InputError: the recipe's model recovers no key frames.
    """

    frozen: tuple[nn.Module, ...] = ()

    def __init__(self, recipe: Recipe, perceptual: losses.Perceptual | None, setup: dict[str, str]) -> None:
        if recipe.model != "icam":
            raise InputError(f"train: {recipe.model!r} recovers no key frames; leave out references, or train model 'icam'")
        self.setup, self._perceptual, self._recipe = setup, perceptual, recipe
        self.terms: tuple[str, ...] = ("l1", "flow", *(("perceptual",) if perceptual is not None else ()))

    def to(self, device: torch.device) -> None:
        """See `Objective.to`."""
        if self._perceptual is not None:
            self._perceptual.to(device)

    def shown(self, network: nn.Module, *batch: Tensor) -> tuple[Tensor, Tensor]:
        """Of a batch of `loss`, what the network makes of it and what it should be, blended PQ signal (N, 3, H, W) each."""
        sdr, linear, _, estimated = batch
        frame, *references = sdr.unbind(1)
        found = network(frame, references, list(estimated.unbind(1)))
        return blended(frame, seen(found)), blended(frame, seen(linear))

    def apply(self, network: nn.Module, sdr: Tensor) -> Tensor:
        """(N, 1 + R, 5, H, W), frames with the flows to them from the first, to PQ signal (N, 3, H, W), blended."""
        frames, flows = sdr[:, :, :3], sdr[:, 1:, 3:]
        linear = network(frames[:, 0], list(frames[:, 1:].unbind(1)), list(flows.unbind(1)))
        return blended(frames[:, 0], seen(linear))

    def loss(self, network: nn.Module, *batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """`sdr` (N, 1 + R, 3, H, W), `linear` (N, 3, H, W), true and estimated flow (N, R, 2, H, W)."""
        sdr, linear, flow, estimated = batch
        frame, *references = sdr.unbind(1)
        found, corrected = network.with_flows(frame, references, list(estimated.unbind(1)))  # type: ignore[operator]
        mask, truth, result = overexposure_mask(frame), seen(linear), seen(found)  # (N, 1 or 3, H, W)
        terms = {
            "l1": losses.masked_l1(result, truth, mask),
            "flow": temporal_losses.flow_l1(torch.stack(corrected, dim=1), flow),
        }
        total = terms["l1"] + self._recipe.flow * terms["flow"]
        if self._perceptual is not None:
            terms["perceptual"] = self._perceptual(blended(frame, result), blended(frame, truth))
            total = total + self._recipe.perceptual * terms["perceptual"]
        return total, {name: value.detach() for name, value in terms.items()}

    def learn(self, rate: float) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing."""


class Segments:
    """FCPM behind a frozen ICAM: L1, perceptual, and a patch discriminator of clips (section 3.4).

    Args:
        recipe: weights of the losses and rates.
        icam: recovers the key frames and corrects all flow.
        perceptual: the perceptual loss; None leaves it out.
        setup: says what `icam` and `perceptual` are.

    Raises:
        InputError: the recipe's model propagates no key frames.
    """

    def __init__(self, recipe: Recipe, icam: nn.Module, perceptual: losses.Perceptual | None, setup: dict[str, str]) -> None:
        if recipe.model != "fcpm":
            raise InputError(f"train: {recipe.model!r} propagates no key frames; leave out segment, or train model 'fcpm'")
        self.setup, self._perceptual, self._recipe = setup, perceptual, recipe
        self.frozen: tuple[nn.Module, ...] = (icam,)
        self._icam = icam
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(recipe.seed)
            discriminator = ClipPatchDiscriminator(inputs=4)
        self.adversary = Adversary(discriminator, recipe.learning_rate, recipe.clip)
        own = ("perceptual",) if perceptual is not None else ()
        self.terms: tuple[str, ...] = ("l1", *own, *(("adversarial", "discriminator") if recipe.adversarial else ()))

    def to(self, device: torch.device) -> None:
        """See `Objective.to`."""
        for module in (self._icam, self._perceptual, self.adversary):
            if module is not None:
                module.to(device)

    def apply(self, network: nn.Module, sdr: Tensor) -> Tensor:
        """Not measured while a run goes on: a batch is more than frames."""
        raise InputError("train: segments of frames are not measured while a run goes on; give --validate-every 0")

    def loss(self, network: nn.Module, *batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Of a `key_frames.Segment`, its arrays in their order, (N, ...) each."""
        sdr, linear, *rest = batch
        result = seen(self._propagated(network, sdr, *rest))  # (N, T, 3, H, W)
        truth, mask = seen(linear), overexposure_mask(sdr.flatten(0, 1))  # (N T, 1, H, W)
        frames, ideal = result.flatten(0, 1), truth.flatten(0, 1)  # (N T, 3, H, W)
        terms = {"l1": losses.masked_l1(frames, ideal, mask)}
        total = terms["l1"]
        shown, ideal = (blended(sdr.flatten(0, 1), each) for each in (frames, ideal))
        if self._perceptual is not None:
            terms["perceptual"] = self._perceptual(shown, ideal)
            total = total + self._recipe.perceptual * terms["perceptual"]
        if self._recipe.adversarial:
            judged = (each.reshape(*sdr.shape[:2], *each.shape[1:]) for each in (shown, ideal, mask))  # (N, T, 3 or 1, H, W)
            terms["adversarial"] = self.adversary.judge(*judged)
            total = total + self._recipe.adversarial * terms["adversarial"]
        return total, {name: value.detach() for name, value in terms.items()}

    def shown(self, network: nn.Module, *batch: Tensor) -> tuple[Tensor, Tensor]:
        """Of a batch of one segment as `loss` has it, what comes out and what should, blended PQ signal (T, 3, H, W) each.

        With an ICAM as `network` that one recovers each frame by itself.
        """
        sdr, linear, *rest = batch
        found = self._each(network, sdr[0], rest[1][0]) if isinstance(network, ICAM) else self._propagated(network, sdr, *rest)[0]
        return blended(sdr[0], seen(found)), blended(sdr[0], seen(linear[0]))

    @staticmethod
    def _each(icam: ICAM, sdr: Tensor, references: Tensor) -> Tensor:
        """Frames (T, 3, H, W) and their references (R, 3, H, W) -> linear (T, 3, H, W)."""
        far = [[dis.trusted(frame.cpu().numpy(), other.cpu().numpy()) for other in references] for frame in sdr]
        flows = torch.from_numpy(np.stack(far)).to(sdr)  # (T, R, 2, H, W)
        others = [other.expand_as(sdr) for other in references]
        return icam(sdr, others, list(flows.unbind(1)))  # type: ignore[no-any-return]

    def _propagated(self, network: nn.Module, sdr: Tensor, keys: Tensor, references: Tensor, *flows: Tensor) -> Tensor:
        """The frames' light (N, T, 3, H, W)."""
        key_references, to_keys, to_next, to_previous = (list(flow.unbind(1)) for flow in flows)
        frames, groups, far = (list(each.unbind(1)) for each in (sdr, keys, references))
        with torch.no_grad():
            recovered = [
                highlights.blend(frame, self._icam(frame, far, list(flow.unbind(1))), overexposure_mask(frame))
                for frame, flow in zip(groups, key_references, strict=True)
            ]
            encoded, encoded_keys = ([self._icam.encode(each) for each in some] for some in (frames, groups))  # type: ignore[operator]
            correct = self._icam.correct
            order = [key_frames.nearest(t) for t in range(len(frames))]
            key_flows = [
                [correct(encoded[t], encoded_keys[k], to_keys[t][:, k]) for k in order[t]]  # type: ignore[operator]
                for t in range(len(frames))
            ]
            following = [correct(encoded[t], encoded[t + 1], flow) for t, flow in enumerate(to_next)]  # type: ignore[operator]
            before = [correct(encoded[t + 1], encoded[t], flow) for t, flow in enumerate(to_previous)]  # type: ignore[operator]
        return network(frames, recovered, order, key_flows, following, before)  # type: ignore[no-any-return]

    def learn(self, rate: float) -> dict[str, Tensor]:
        """One step of the discriminator on the clips of the last `loss`."""
        return self.adversary.learn(rate)

    def state(self) -> dict[str, Any]:
        """The discriminator and its optimiser."""
        return self.adversary.state()

    def restore(self, state: dict[str, Any]) -> None:
        """See `Objective.restore`."""
        self.adversary.restore(state)


def blended(sdr: Tensor, result: Tensor) -> Tensor:
    """Equation 1 in PQ signal: (N, 3, H, W) twice -> (N, 3, H, W)."""
    mask = overexposure_mask(sdr)  # (N, 1, H, W)
    return mask * result + (1 - mask) * seen(bt1886_eotf(sdr))  # type: ignore[no-any-return]
