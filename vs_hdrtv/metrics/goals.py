"""What shipped weights are asked to show, as data, and what was found."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..color.tone_curves import INVERSE_TONE_MAPS
from ..training import operators
from .methods import CHAIN, stages
from .registry import METRICS
from .results import CHARTS, Results, shown
from .samples import PHOTOS, SPLITS, unseen

SEEN = SPLITS["test"]
UNSEEN = tuple(unseen(name) for name in operators.UNSEEN)
HELD_OUT = (SEEN, *UNSEEN, PHOTOS)

FORMULAS = tuple(INVERSE_TONE_MAPS)
FIRST_STAGE = "the chain without its last model"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One thing that is asked of a model.

    Attributes:
        what: for people.
        metric: key of `METRICS`.
        rivals: methods of which the best counts, or `FIRST_STAGE`, or a fixed value of the metric.
        sets: on each of which it is asked.
        least: by how much the model has to be better, in the metric's unit, or as a share of the rival's value.
        relative: `least` is such a share.
        ahead: being better by exactly `least` is not enough.
    """

    what: str
    metric: str
    rivals: tuple[str, ...] | str | float
    sets: tuple[str, ...]
    least: float = 0.0
    relative: bool = False
    ahead: bool = False


GOALS = (
    Goal(what="matched, ahead of the best formula by 3 dB", metric="psnr_matched", rivals=FORMULAS, sets=(SEEN,), least=3.0),
    Goal(
        what="matched, a dE_ITP 25 % below the best formula's",
        metric="delta_e_itp_matched",
        rivals=FORMULAS,
        sets=(SEEN,),
        least=0.25,
        relative=True,
    ),
    *(
        Goal(what="matched, ahead of the best formula", metric=metric, rivals=FORMULAS, sets=(*UNSEEN, PHOTOS), ahead=True)
        for metric in ("psnr_matched", "delta_e_itp_matched")
    ),
    *(
        Goal(what="unmatched, ahead of BT.2408", metric=metric, rivals=("bt2408",), sets=HELD_OUT, ahead=True)
        for metric in ("psnr", "delta_e_itp")
    ),
    Goal(what="hue shift no worse than BT.2446 A's", metric="hue_shift", rivals=("bt2446a",), sets=(CHARTS,)),
    Goal(what="banding at most 1.5 times BT.2408's", metric="banding_ratio", rivals=1.5, sets=(CHARTS,)),
)
"""Of every model: issue 4, "What the weights must show", 1."""

CHAIN_GOALS = (
    *(
        Goal(what="inside the mask, better than the first stage", metric=metric, rivals=FIRST_STAGE, sets=HELD_OUT, ahead=True)
        for metric in ("cvvdp_overexposed", "mdsi_overexposed", "features_overexposed")
    ),
    Goal(what="overall, at most 0.2 dB below the first stage", metric="psnr", rivals=FIRST_STAGE, sets=HELD_OUT, least=-0.2),
)
"""Of every chain beside these, against what it is without its last model: the same, 3."""


@dataclass(frozen=True)
class Verdict:
    """What was found of one goal on one set.

    Attributes:
        method: the model or chain.
        goal: `Goal.what` and the metric.
        set: the pairs.
        value: the model's mean.
        rival: the best rival's.
        better_by: of the model, in the metric's unit or relative to the rival, more being better.
        least: that is asked.
        reached: None where something was not measured.
    """

    method: str
    goal: str
    set: str
    value: float
    rival: float
    better_by: float
    least: float
    reached: bool | None


def judge(results: Results, models: list[str]) -> list[Verdict]:
    """Every goal of every model, in the order of `models`.

    Goals of metrics that were not asked for are left out; what has no value for another reason is not reached and not missed.
    """
    names = {metric.name for metric in results.metrics}
    return [
        _verdict(results, model, goal, group)
        for model in models
        for goal in (*GOALS, *(CHAIN_GOALS if first_stage(model) else ()))
        if goal.metric in names
        for group in goal.sets
    ]


def first_stage(model: str) -> str:
    """A chain without its last model; empty for a single model."""
    return CHAIN.join(stages(model)[:-1])


def _verdict(results: Results, model: str, goal: Goal, group: str) -> Verdict:
    metric = METRICS[goal.metric]
    sign = 1 if metric.higher_is_better else -1
    value = _mean(results, model, group, goal.metric)
    rivals = _rivals(results, model, goal, group)
    rival = sign * float(np.max(sign * np.array(rivals)))  # NaN where one of them was not measured
    better_by = sign * (value - rival) / ((rival or math.nan) if goal.relative else 1)
    reached = None if math.isnan(better_by) else better_by > goal.least or (better_by == goal.least and not goal.ahead)
    return Verdict(model, f"{goal.what}: {metric.title}", group, value, rival, better_by, goal.least, reached)


def _rivals(results: Results, model: str, goal: Goal, group: str) -> list[float]:
    if isinstance(goal.rivals, float):
        return [goal.rivals]
    rivals = (first_stage(model),) if goal.rivals == FIRST_STAGE else goal.rivals
    return [_mean(results, rival, group, goal.metric) for rival in rivals]


def _mean(results: Results, method: str, group: str, metric: str) -> float:
    """NaN where it was not measured."""
    return results.mean(method, group).get(metric, math.nan) if (method, group) in results.values else math.nan


WORDS = {True: "yes", False: "no", None: "not measured"}


def table(verdicts: list[Verdict]) -> str:
    """Markdown for people: a row a goal and set."""
    lines = ["| model | goal | set | found | best rival | better by | asked | reached |", "|---" * 8 + "|"]
    for each in verdicts:
        numbers = (shown(number) for number in (each.value, each.rival, each.better_by, each.least))
        lines.append(f"| {each.method} | {each.goal} | {each.set} | {' | '.join(numbers)} | {WORDS[each.reached]} |")
    reached = sum(each.reached is True for each in verdicts)
    return "\n".join([*lines, "", f"{reached} of {len(verdicts)} goals reached."]) + "\n"


def as_json(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """The same as plain values; what is no number is null."""
    rows = (asdict(each) for each in verdicts)
    return [{key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in row.items()} for row in rows]
