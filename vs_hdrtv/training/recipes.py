"""Training recipes as data: one TOML file a model in `training/recipes/`."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .pairs import PLAIN, Variety

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of steps with views of `size` x `size` pixels, `batch` of them a step."""

    size: int
    batch: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a training run is made of. What has a default may be left out of a recipe's file.

    Attributes:
        model: key of the network's registry.
        after: recipe whose weights this one starts from, empty for none.
        phases: one after another.
        dropout: of the network's condition; None where the network has none.
        bars: share of pairs with black bars.
        look: strength of the random grade on the SDR side (`pairs.make_pair`).
        ictcp: weight of the colour difference in ICtCp beside L1.
        warmup: steps over which the rate rises to its peak.
        learning_rate: Adam's peak; it falls to 1 % by half a cosine.
        clip: largest norm of the gradient.
        average: decay of the moving average of the weights.
        seed: of everything random.
        report: steps between two points of the curve.
        checkpoint: steps between two checkpoints.
        variety: what else varies from pair to pair; a table `[variety]`.
        first_stage: model whose result the network improves where SDR is over-exposed; empty for a network of the first stage.
        overexposed: smallest share of a pair's pixels that are over-exposed; pairs with less are drawn again.
        perceptual: weight of the perceptual loss beside L1.
        adversarial: weight of the patch discriminator's loss beside L1.
    """

    model: str
    after: str
    phases: tuple[Phase, ...]
    bars: float
    warmup: int
    learning_rate: float
    clip: float
    average: float
    seed: int
    report: int
    checkpoint: int
    dropout: float | None = None
    look: float = 1.0
    ictcp: float = 0.0
    variety: Variety = PLAIN
    first_stage: str = ""
    overexposed: float = 0.0
    perceptual: float = 0.0
    adversarial: float = 0.0

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def losses(self, setup: Mapping[str, str]) -> str:
        """The losses and their weights in words, for a card.

        Args:
            setup: of the run (`objectives.Objective.setup`): without a feature network the perceptual loss had no weight.
        """
        parts = ["L1 on PQ over the pixels of the mask" if self.first_stage else "L1 on PQ"]
        perceptual = 0.0 if setup.get("perceptual", "none").startswith("none") else self.perceptual
        if self.ictcp:
            parts.append(f"{self.ictcp} colour difference in ICtCp")
        if self.perceptual:
            parts.append(f"{perceptual} perceptual")
        if self.adversarial:
            parts.append(f"{self.adversarial} adversarial (least squares, patch discriminator)")
        return " + ".join(parts)

    def phase(self, step: int) -> Phase:
        """Phase that `step` falls in; the last one from its end on."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        return self.phases[-1]


def load(name: str) -> Recipe:
    """Recipe `name`.

    Raises:
        InputError: there is no such recipe, or its file lacks or misspells a field.
    """
    path = FOLDER / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise InputError(f"train: unknown recipe {name!r}; choose one of {known}")
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    fields = {field.name for field in dataclasses.fields(Recipe) if field.default is dataclasses.MISSING}
    optional = {field.name for field in dataclasses.fields(Recipe)} - fields - {"variety"}
    varied = values.pop("variety", {})
    kinds = {field.name for field in dataclasses.fields(Variety)}
    differs = (set(values) - optional) ^ fields | set(varied) - kinds
    if differs:
        known = f"{', '.join(sorted(fields))} and may have {', '.join(sorted(optional))}"
        raise InputError(f"train: {path} must have the fields {known}; it differs in {', '.join(sorted(differs))}")
    values["phases"] = tuple(Phase(**phase) for phase in values["phases"])
    return Recipe(**values, variety=Variety(**varied))
