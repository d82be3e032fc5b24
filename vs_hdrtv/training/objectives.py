"""What a network is trained for: the losses of one step, and the networks that only training needs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import weights
from ..color.overexposure import overexposure_mask
from ..errors import InputError
from ..networks.discriminator import PatchDiscriminator
from ..networks.flow import padded
from . import losses, recovery, temporal_losses
from . import perceptual as perceptual_loss
from .adversary import Adversary
from .recipes import Recipe

logger = logging.getLogger(__name__)


class Objective(Protocol):
    """What the trainer asks for.

    Attributes:
        terms: names of the losses that a step reports, columns of the curve.
        setup: what beside recipe and data makes the run what it is, for the card; a run goes on only with the same.
        frozen: networks that help and are not trained.
    """

    terms: tuple[str, ...]
    setup: dict[str, str]
    frozen: tuple[nn.Module, ...]

    def to(self, device: torch.device) -> None:
        """Move everything of it to `device`, before the first step."""
        ...

    def apply(self, network: nn.Module, sdr: Tensor) -> Tensor:
        """(N, 3, H, W) `sdr` -> `hdr`, by `network` and, where there is one, the stage before it.

        Of clips (N, T, 3, H, W) the frame in the middle, (N, 3, H, W).
        """
        ...

    def loss(self, network: nn.Module, *batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum to descend and its terms, of a `batches.Batch`: `sdr`, its master `hdr`, the flow of clips where asked for."""
        ...

    def learn(self, rate: float) -> dict[str, Tensor]:
        """Train what belongs to the objective itself, after the network's own step; its terms."""
        ...

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to hold of it."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        ...


def create(recipe: Recipe, first_stage: str | None = None, perceptual: str | None = None) -> Objective:
    """The objective of a recipe.

    Args:
        recipe: what to train for.
        first_stage: model that outweighs the recipe's.
        perceptual: feature network and weights, as `perceptual.load` reads them; None leaves that loss out, which is logged.

    Raises:
        InputError: an argument that the recipe has no use for, or a model or weights that are not there.
    """
    if recipe.kind in _SIMPLE and not recipe.first_stage:
        if first_stage or perceptual or recipe.perceptual or recipe.adversarial:
            found = "a first stage, a perceptual and an adversarial loss are for networks of the second stage"
            raise InputError(f"train: {found}; leave them out, or name the first stage in the recipe")
        return _SIMPLE[recipe.kind](recipe)
    setup: dict[str, str] = {}
    network = _first_stage(recipe, first_stage, setup)
    loss = None
    if perceptual:
        loss, setup["perceptual"] = perceptual_loss.load(perceptual)
    elif recipe.perceptual:
        setup["perceptual"] = "none: no feature network was given, its weight was 0"
        logger.warning("train: no --perceptual NETWORK=WEIGHTS; the perceptual loss is left out, and the card will say so")
    if network is None:
        return recovery.KeyFrames(recipe, loss, setup)
    return _SECOND[recipe.kind](recipe, network, loss, setup)


def _first_stage(recipe: Recipe, given: str | None, setup: dict[str, str]) -> nn.Module | None:
    """The frozen network that the recipe's own works behind, None where it has none; `setup` says which it is."""
    if not recipe.first_stage:
        if given:
            raise InputError("train: the recipe has no first stage; leave out --first-stage")
        return None
    card = weights.find(given or recipe.first_stage)
    if recipe.kind == "segments" and card.network != "icam":
        raise InputError(f"train: first stage {card.name!r} is a {card.network}; give an icam, which recovers key frames")
    if recipe.kind == "pictures" and (card.reads != ("sdr",) or card.writes != "hdr"):
        raise InputError(f"train: first stage {card.name!r} reads {' and '.join(card.reads)}; give one from sdr to hdr")
    setup["first_stage"] = f"{card.name} (safetensors sha256 {card.safetensors_sha256})"
    return weights.load_network(card)


class FeatureMapping:
    """SDR to HDR: L1, and the colour difference beside it where the recipe asks for it."""

    terms: tuple[str, ...] = ("l1",)
    frozen: tuple[nn.Module, ...] = ()

    def __init__(self, recipe: Recipe) -> None:
        self.setup: dict[str, str] = {}
        self._ictcp = recipe.ictcp

    def to(self, device: torch.device) -> None:
        """Nothing."""

    def apply(self, network: nn.Module, sdr: Tensor) -> Tensor:
        """See `Objective.apply`."""
        return network(sdr)  # type: ignore[no-any-return]

    def loss(self, network: nn.Module, *batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Objective.loss`."""
        sdr, hdr = batch
        result = network(sdr)  # (N, 3, H, W)
        l1 = functional.l1_loss(result, hdr)
        return l1 + self._ictcp * losses.ictcp_difference(result, hdr) if self._ictcp else l1, {"l1": l1.detach()}

    def learn(self, rate: float) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing."""


CONTENTS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": functional.l1_loss,
    "tanh_l1": temporal_losses.tanh_l1,
}
"""Of `recipes.CONTENTS`, of (N, T, 3, H, W) and its target."""


def _alone(network: nn.Module, sdr: Tensor) -> Tensor:
    result: Tensor = network(sdr.flatten(0, 1))  # (N T, 3, H, W)
    return result.reshape(*sdr.shape[:2], *result.shape[1:])  # (N, T, 3, H, W)


def _middle(network: nn.Module, sdr: Tensor) -> Tensor:
    result: Tensor = network(*sdr.unbind(1))
    return result[:, None]  # (N, 1, 3, H, W)


def _together(network: nn.Module, sdr: Tensor) -> Tensor:
    return network.all_frames(*sdr.unbind(1))  # type: ignore[no-any-return, operator]


CONVERSIONS: Mapping[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "hdcfm": _alone,
    "hdcfm_mfi": _together,
    "dslnet": _middle,
    "kpn_mfi": _together,
}
"""Model -> how a step of training converts clips: (N, T, 3, H, W) `sdr` -> `hdr` of all T frames, or of the one in the middle."""


class ClipMapping(FeatureMapping):
    """Clips, SDR to HDR: the recipe's content loss, and the consistency of brightness from frame to frame where it asks for it.

    Raises:
        InputError: the recipe's model is not trained on clips, or its result is one frame, which is consistent with nothing.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        if recipe.model not in CONVERSIONS:
            raise InputError(f"train: {recipe.model!r} is not trained on clips; choose one of {', '.join(CONVERSIONS)}")
        self._convert = CONVERSIONS[recipe.model]
        if recipe.consistency and self._convert is _middle:
            raise InputError(f"train: {recipe.model!r} gives one frame of a clip; leave out consistency")
        self._content, self._consistency = recipe.content, recipe.consistency
        self.terms = (recipe.content, *(("consistency",) if recipe.consistency else ()))

    def apply(self, network: nn.Module, sdr: Tensor) -> Tensor:
        """See `Objective.apply`."""
        return _inner(self._convert(network, sdr), 1)[:, 0]

    def loss(self, network: nn.Module, *batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Objective.loss`."""
        sdr, hdr, *flow = batch
        result = self._convert(network, sdr)  # (N, T or 1, 3, H, W)
        hdr = _inner(hdr, result.shape[1])
        terms = {self._content: CONTENTS[self._content](result, hdr)}
        total = terms[self._content]
        if self._consistency:
            terms["consistency"] = temporal_losses.brightness_consistency(result, *flow[0].unbind(1))
            total = total + self._consistency * terms["consistency"]
        if self._ictcp:
            total = total + self._ictcp * losses.ictcp_difference(result.flatten(0, 1), hdr.flatten(0, 1))
        return total, {name: value.detach() for name, value in terms.items()}


LEVEL_WEIGHT = 0.4
"""Of a level's error, of that of the next finer one."""

UNSEEN = 0.1
"""Weight of a pixel that the reference does not show."""


class OpticalFlow(FeatureMapping):
    """The flow between two frames: the end-point error at every size of the network's pyramid.

    The error itself, and not its square. What lies behind something or outside the reference can only be guessed at, and counts
    as `UNSEEN` of a pixel.

    Raises:
        InputError: the recipe's model estimates no flow.
    """

    terms: tuple[str, ...] = ("end_point", "finest")

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        if recipe.model != "flow":
            raise InputError(f"train: {recipe.model!r} estimates no flow; leave out displacement, or train model 'flow'")

    def apply(self, network: nn.Module, sdr: Tensor) -> Tensor:
        """(N, 2, 3, H, W), frames and their references, to flow (N, 2, H, W)."""
        return network(*sdr.unbind(1))  # type: ignore[no-any-return]

    def loss(self, network: nn.Module, *batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Objective.loss`."""
        sdr, reference, flow, seen = batch
        truth, weight, total = padded(flow), padded(UNSEEN + (1 - UNSEEN) * seen), flow.new_zeros(())
        for estimate in network.all_levels(sdr, reference):  # type: ignore[operator]
            mean, where = (functional.avg_pool2d(each, truth.shape[-1] // estimate.shape[-1]) for each in (truth, weight))
            finest = temporal_losses.end_point_error(estimate, mean, where)
            total = LEVEL_WEIGHT * total + finest
        return total, {"end_point": total.detach(), "finest": finest.detach()}


def _inner(clip: Tensor, frames: int) -> Tensor:
    """The `frames` in the middle of (N, T, 3, H, W)."""
    first = (clip.shape[1] - frames) // 2
    return clip[:, first : first + frames]


class Overexposure:
    """The second stage: L1 inside the mask, perceptual and adversarial. PDCG, section 3.3, formula 4.

    The two latter compare the result with what an ideal generator would give: the master, blended into the first stage's picture
    by the mask. Outside the mask, where nothing can be learnt, real and generated pictures are thereby alike.

    Args:
        recipe: weights and rates.
        first_stage: frozen network from `sdr` to `hdr`.
        perceptual: the perceptual loss; None leaves it out.
        setup: says what `first_stage` and `perceptual` are.
    """

    def __init__(
        self, recipe: Recipe, first_stage: nn.Module, perceptual: losses.Perceptual | None, setup: dict[str, str]
    ) -> None:
        self.setup = setup
        self.frozen: tuple[nn.Module, ...] = (first_stage,)
        self._first_stage, self._perceptual, self._recipe = first_stage, perceptual, recipe
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(recipe.seed)
            discriminator = PatchDiscriminator()
        self.adversary = Adversary(discriminator, recipe.learning_rate, recipe.clip)
        own = ("perceptual",) if perceptual is not None else ()
        self.terms: tuple[str, ...] = ("l1", *own, *(("adversarial", "discriminator") if recipe.adversarial else ()))

    def to(self, device: torch.device) -> None:
        """See `Objective.to`."""
        for module in (self._first_stage, self._perceptual, self.adversary):
            if module is not None:
                module.to(device)

    def apply(self, network: nn.Module, sdr: Tensor) -> Tensor:
        """See `Objective.apply`."""
        return network(self._first_stage(sdr), sdr)  # type: ignore[no-any-return]

    def loss(self, network: nn.Module, *batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Objective.loss`."""
        sdr, hdr = batch
        with torch.no_grad():
            first = self._first_stage(sdr)  # (N, 3, H, W)
            mask = overexposure_mask(sdr)  # (N, 1, H, W)
            ideal = hdr * mask + first * (1 - mask)
        result = network(first, sdr)  # (N, 3, H, W)
        terms = {"l1": losses.masked_l1(result, hdr, mask)}
        total = terms["l1"]
        if self._perceptual is not None:
            terms["perceptual"] = self._perceptual(result, ideal)
            total = total + self._recipe.perceptual * terms["perceptual"]
        if self._recipe.adversarial:
            terms["adversarial"] = self.adversary.judge(result, ideal, mask)
            total = total + self._recipe.adversarial * terms["adversarial"]
        return total, {name: value.detach() for name, value in terms.items()}

    def learn(self, rate: float) -> dict[str, Tensor]:
        """One step of the discriminator on the pictures of the last `loss`."""
        return self.adversary.learn(rate)

    def state(self) -> dict[str, Any]:
        """The discriminator and its optimiser."""
        return self.adversary.state()

    def restore(self, state: dict[str, Any]) -> None:
        """See `Objective.restore`."""
        self.adversary.restore(state)


_SIMPLE: Mapping[str, Callable[[Recipe], Objective]] = {
    "pictures": FeatureMapping,
    "clips": ClipMapping,
    "flow": OpticalFlow,
}
"""Kind of recipe -> the objective of a network that needs no other."""

_SECOND: Mapping[str, Callable[[Recipe, nn.Module, losses.Perceptual | None, dict[str, str]], Objective]] = {
    "pictures": Overexposure,
    "segments": recovery.Segments,
}
"""Kind of recipe -> the objective of one behind a frozen first stage."""
