import json
import math

import pytest

from vs_hdrtv.metrics import goals
from vs_hdrtv.metrics.goals import CHAIN_GOALS, GOALS, HELD_OUT, PHOTOS, SEEN, UNSEEN
from vs_hdrtv.metrics.registry import DEFAULT, METRICS, OVEREXPOSED
from vs_hdrtv.metrics.results import CHARTS, Results

FORMULA = {"psnr": 30.0, "delta_e_itp": 20.0, "psnr_matched": 34.0, "delta_e_itp_matched": 12.0}
MODEL = {"psnr": 31.0, "delta_e_itp": 19.0, "psnr_matched": 37.0, "delta_e_itp_matched": 9.0}
MASKED = {"cvvdp_overexposed": 9.0, "mdsi_overexposed": 0.2}


def results(**methods):
    """Method -> (values of pairs, values of charts)."""
    found = Results([METRICS[name] for name in (*DEFAULT, *OVEREXPOSED)])
    for method, (of_pairs, of_charts) in methods.items():
        for group in HELD_OUT:
            found.add(method, group, "one", of_pairs)
        found.add(method, CHARTS, CHARTS, of_charts)
    return found


def formulas(**changes):
    charts = {"hue_shift": 2.0, "banding_ratio": 1.0}
    worse = FORMULA | {"psnr_matched": 33.0, "delta_e_itp_matched": 13.0}
    return {"bt2446a": (worse, charts), "bt2446c": (worse, charts), "bt2408": (FORMULA | changes, charts)}


def verdicts(found, *models):
    return {(each.goal, each.set): each for each in goals.judge(found, list(models))}


def test_goals_are_of_metrics_and_sets_that_there_are():
    for goal in (*GOALS, *CHAIN_GOALS):
        assert goal.metric in METRICS
        assert set(goal.sets) <= {*HELD_OUT, CHARTS}
    assert {goal.metric for goal in GOALS} == set(DEFAULT)


def test_reached_at_exactly_what_is_asked():
    found = results(**formulas(), own=(MODEL, {"hue_shift": 2.0, "banding_ratio": 1.5}))
    judged = verdicts(found, "own")
    assert len(judged) == sum(len(goal.sets) for goal in GOALS)
    assert all(each.reached for each in judged.values())
    three = judged["matched, ahead of the best formula by 3 dB: PSNR of PQ, exposure-matched", SEEN]
    assert (three.value, three.rival, three.better_by, three.least) == (37.0, 34.0, 3.0, 3.0)
    quarter = judged["matched, a dE_ITP 25 % below the best formula's: dE_ITP, exposure-matched", SEEN]
    assert (quarter.rival, quarter.better_by) == (12.0, 0.25)


@pytest.mark.parametrize(
    ("changes", "charts", "missed"),
    [
        ({"psnr_matched": 36.99}, {}, [SEEN]),
        ({"delta_e_itp_matched": 9.1}, {}, [SEEN]),
        ({"psnr_matched": 34.0}, {}, [SEEN, *UNSEEN, PHOTOS]),  # being equal is not being ahead
        ({"psnr": 30.0}, {}, list(HELD_OUT)),
        ({"delta_e_itp": 21.0}, {}, list(HELD_OUT)),
        ({}, {"hue_shift": 2.01}, [CHARTS]),
        ({}, {"banding_ratio": 1.51}, [CHARTS]),
    ],
)
def test_missed(changes, charts, missed):
    found = results(**formulas(), own=(MODEL | changes, {"hue_shift": 1.0, "banding_ratio": 1.0} | charts))
    judged = verdicts(found, "own").values()
    assert [each.set for each in judged if each.reached is False] == missed
    assert not [each for each in judged if each.reached is None]


def test_a_chain_against_its_first_stage():
    charts = {"hue_shift": 1.0, "banding_ratio": 1.0}
    better = {"cvvdp_overexposed": 9.1, "mdsi_overexposed": 0.2, "psnr": 31.0 - 0.3}
    found = results(**formulas(), own=(MODEL | MASKED, charts), **{"own+second": (MODEL | better, charts)})
    chained = [each for each in goals.judge(found, ["own", "own+second"]) if "first stage" in each.goal]
    assert {each.method for each in chained} == {"own+second"}
    reached = {each.goal.rpartition(": ")[2]: each.reached for each in chained if each.set == SEEN}
    # MDSI of the same size is not lower, and 0.3 dB are more than 0.2; there is no feature network, so nothing is said of one.
    assert reached == {"ColorVideoVDP where over-exposed": True, "MDSI where over-exposed": False, "PSNR of PQ": False}


def test_what_was_not_measured_is_neither():
    some = formulas()
    del some["bt2446a"]  # the best of three is not known from two
    found = results(**some, own=(MODEL, {"hue_shift": 1.0, "banding_ratio": 1.0}), **{"x+y": (MODEL, {})})
    judged = verdicts(found, "own")
    missing = {each.set for each in judged.values() if each.reached is None}
    assert missing == {SEEN, *UNSEEN, PHOTOS, CHARTS}
    assert judged["unmatched, ahead of BT.2408: PSNR of PQ", SEEN].reached
    chained = [each for each in goals.judge(found, ["x+y"]) if "first stage" in each.goal]
    assert chained and all(each.reached is None for each in chained)


def test_for_people_and_as_json():
    found = results(**formulas(), own=(MODEL | {"psnr": math.inf}, {"hue_shift": 3.0, "banding_ratio": math.nan}))
    judged = goals.judge(found, ["own"])
    lines = goals.table(judged).splitlines()
    assert "| own | hue shift no worse than BT.2446 A's: hue shift of memory colours | test charts | 3.000 | 2.000 |" in lines[-4]
    assert lines[-4].endswith("| -1.000 | 0.0000 | no |")
    assert lines[-3].endswith("| not measured |")
    assert lines[-1] == f"{len(judged) - 2} of {len(judged)} goals reached."
    rows = json.loads(json.dumps(goals.as_json(judged), allow_nan=False))
    assert rows[-1]["reached"] is None
    assert rows[-1]["value"] is None
