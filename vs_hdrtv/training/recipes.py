"""Training recipes as data: one TOML file a model in `training/recipes/`."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from .clips import UNCUT, Motion
from .displacement import Displacement
from .pairs import PLAIN, Variety

FOLDER = Path(__file__).parent / "recipes"

CONTENTS = {"l1": "L1 on PQ", "tanh_l1": "L1 of tanh on PQ, summed over the frames"}
"""Losses of the frames of a clip, each for itself, in words; `objectives.CONTENTS` has them."""

NEAR = Displacement()
"""No pairs of frames with their flow."""

TABLES: Mapping[str, type[Any]] = {"variety": Variety, "motion": Motion, "displacement": Displacement}
"""Fields of a recipe that are tables in its file, beside `network`, whose fields are the network's own."""


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
        frames: of a clip, odd; 0 for pictures.
        motion: what moves in the clips; a table `[motion]`.
        content: key of `CONTENTS`, the loss of clips.
        consistency: weight of the inter-frame brightness consistency loss (KPN-MFI, equation 9) beside it.
        displacement: of two frames whose optical flow is learnt; a table `[displacement]`.
        references: of a key frame that is recovered; 0 for none. `motion` is that of a frame; they lie further apart.
        segments: learn to propagate key frames over the frames between them; `first_stage` recovers them.
        flow: weight of the flow's correction beside L1, of key frames.
        fresh: modules of the network that do not take the weights of `after`: what they give means something else there.
        restraint: what HDCFM's changes of gain, saturation and hue are multiplied by when the weights are exported; () for 1.
        interpolation: where between the weights of `after`, 0, and those that were trained, 1, the exported ones are: each knows
            what the other one has lost (WiSE-FT: Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
        network: arguments that the network is made with, where they are not its defaults; a table `[network]`.
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
    frames: int = 0
    motion: Motion = UNCUT
    content: str = "l1"
    consistency: float = 0.0
    displacement: Displacement = NEAR
    references: int = 0
    segments: bool = False
    flow: float = 0.0
    fresh: tuple[str, ...] = ()
    restraint: tuple[float, ...] = ()
    interpolation: float = 1.0
    network: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what is said of clips and of flow.

        Raises:
            InputError: a recipe for pictures asks for what only clips have, or the other way round; or one for flow for either.
        """
        given = {
            "displacement": bool(self.displacement.far),
            "references": bool(self.references),
            "segments": self.segments,
            "frames": bool(self.frames),
        }
        several = [name for name, there in given.items() if there]
        if len(several) > 1:
            raise InputError(f"recipe: {' and '.join(several)} are of different kinds of data; leave out all but one")
        if (self.displacement.far or self.references) and (self.first_stage or self.bars or self.ictcp):
            raise InputError(f"recipe: {several[0]} needs no first_stage, bars or ictcp; leave them out")
        if self.displacement.far and self.variety != PLAIN:
            raise InputError("recipe: displacement has no variety; leave it out")
        if self.segments and not self.first_stage:
            raise InputError("recipe: segments are of key frames; give the model that recovers them as first_stage")
        if self.flow and not self.references:
            raise InputError("recipe: flow is a loss of key frames; give references, or leave it out")
        if self.restraint and self.network.get("output") != "light":
            raise InputError("recipe: restraint is for a network whose output is light; give that, or leave it out")
        if not 0 < self.interpolation <= 1 or (self.interpolation < 1 and not self.after):
            raise InputError(f"recipe: interpolation is {self.interpolation}; give 1, or with `after` a number between 0 and 1")
        if self.interpolation < 1 and self.fresh:
            raise InputError("recipe: interpolation mixes weights, and what is fresh has none before; leave out one of the two")
        if not self.frames:
            moves = self.motion != UNCUT and not (self.references or self.segments)
            if moves or (self.content, self.consistency) != ("l1", 0.0):
                raise InputError("recipe: motion, content and consistency are for clips; give frames, or leave them out")
            return
        if self.frames < 3 or self.frames % 2 == 0:
            raise InputError(f"recipe: frames is {self.frames}; give an odd number, 3 or more, or 0 for pictures")
        if self.content not in CONTENTS:
            raise InputError(f"recipe: unknown content {self.content!r}; choose one of {', '.join(CONTENTS)}")
        if self.motion.cut:
            raise InputError(f"recipe: motion.cut is {self.motion.cut}; give 0, networks never see frames of two scenes")
        if self.first_stage or self.overexposed or self.variety.films:
            raise InputError("recipe: first_stage, overexposed and variety's films are for pictures; leave them out with frames")

    @property
    def kind(self) -> str:
        """What the network learns on: `pictures`, `clips`, `flow`, `key_frames` or `segments`."""
        if self.displacement.far:
            return "flow"
        if self.references:
            return "key_frames"
        return "segments" if self.segments else "clips" if self.frames else "pictures"

    @property
    def arguments(self) -> dict[str, Any]:
        """What the network is made with to be trained; afterwards it is made with `network` alone."""
        return {**self.network, **({} if self.dropout is None else {"dropout": self.dropout})}

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def losses(self, setup: Mapping[str, str]) -> str:
        """The losses and their weights in words, for a card.

        Args:
            setup: of the run (`objectives.Objective.setup`): without a feature network the perceptual loss had no weight.
        """
        if self.kind == "flow":
            return "end-point error at every size of the pyramid, a tenth of it where the reference does not show the pixel"
        masked = bool(self.first_stage or self.references)
        parts = ["L1 on PQ over the pixels of the mask" if masked else CONTENTS[self.content]]
        perceptual = 0.0 if setup.get("perceptual", "none").startswith("none") else self.perceptual
        if self.ictcp:
            parts.append(f"{self.ictcp} colour difference in ICtCp")
        if self.consistency:
            parts.append(f"{self.consistency} inter-frame brightness consistency")
        if self.flow:
            parts.append(f"{self.flow} L1 of the corrected flow")
        if self.perceptual:
            parts.append(f"{perceptual} perceptual")
        if self.adversarial:
            of = "patch discriminator of clips" if self.segments else "patch discriminator"
            parts.append(f"{self.adversarial} adversarial (least squares, {of})")
        return " + ".join(parts)

    def views(self) -> str:
        """What the steps of its phases see, in words."""
        kind = {
            "pictures": "views",
            "clips": f"clips of {self.frames} frames",
            "flow": "pairs of frames",
            "key_frames": f"key frames with {self.references} references",
            "segments": "segments of frames",
        }[self.kind]
        return "; ".join(f"{phase.steps} of {phase.batch} {kind} of {phase.size} px" for phase in self.phases)

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
    needed = {each.name for each in dataclasses.fields(Recipe) if _has_no_default(each)}
    optional = {each.name for each in dataclasses.fields(Recipe)} - needed - set(TABLES)
    tables = {name: values.pop(name, {}) for name in TABLES}
    differs = (set(values) - optional) ^ needed
    for name, kind in TABLES.items():
        differs |= set(tables[name]) - {each.name for each in dataclasses.fields(kind)}
    if differs:
        known = f"{', '.join(sorted(needed))} and may have {', '.join(sorted(optional))}"
        raise InputError(f"train: {path} must have the fields {known}; it differs in {', '.join(sorted(differs))}")
    values |= {name: tuple(values.get(name, ())) for name in ("fresh", "restraint")}
    values["phases"] = tuple(Phase(**phase) for phase in values["phases"])
    motion = dataclasses.replace(UNCUT, **tables["motion"])
    displacement = Displacement(**tables["displacement"])
    return Recipe(**values, variety=Variety(**tables["variety"]), motion=motion, displacement=displacement)


def _has_no_default(each: dataclasses.Field[Any]) -> bool:
    return each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
