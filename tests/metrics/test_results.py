import csv
import json
import math

import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics.registry import METRICS, OVEREXPOSED, PAIRS
from vs_hdrtv.metrics.results import Results, check_file, check_numbers, shown


def results(*names):
    return Results([METRICS[name] for name in names])


def test_means_leave_out_what_has_no_value():
    found = results("psnr", "flicker", "mabd")
    found.add("a", "clips", "1", {"psnr": 30.0, "flicker": math.nan})
    found.add("a", "clips", "2", {"psnr": 40.0, "flicker": 2.0})
    assert found.mean("a", "clips") == {"psnr": 35.0, "flicker": 2.0}  # MABD was not measured at all
    found.add("b", "clips", "1", {"psnr": math.inf, "flicker": math.nan})
    assert found.mean("b", "clips")["psnr"] == math.inf
    assert math.isnan(found.mean("b", "clips")["flicker"])


def test_default_table_is_the_compact_one():
    found = results(*PAIRS)
    found.add("a", "set", "1", dict(zip(PAIRS, (30.0, 20.0, 35.0, 10.0), strict=True)))
    assert found.table().splitlines()[2:] == ["| method | set (1) |", "|---|---|", "| a | 30.0 / 20.0 (35.0 / 10.0) |"]


def test_table_of_what_is_over_exposed_says_of_how_much():
    found = results(*OVEREXPOSED)
    for name, values in (("1", (30.0, 20.0, 0.25, 9.5, 4.0)), ("2", (math.nan,) * 5)):
        found.add("a", "set", name, dict(zip(OVEREXPOSED, values, strict=True)))
        found.add("a", "dark", name, dict.fromkeys(OVEREXPOSED, math.nan))
    assert found.measured("a", "set", "psnr_overexposed") == 1
    assert found.table().splitlines()[2:] == [
        "| method | set (1 of 2 pairs, 4.000 % of their pixels) | dark (0 of 2 pairs, - % of their pixels) |",
        "|---|---|---|",
        "| a | 30.00 / 20.00 / 0.2500 / 9.500 | - / - / - / - |",
    ]


def test_table_of_chosen_metrics_has_only_what_a_set_has():
    found = results("psnr", "banding")
    found.add("a", "photos", "1", {"psnr": 30.0})
    found.add("a", "test charts", "", {"banding": 2.0})
    assert found.table().splitlines() == [
        "| photos (1) | PSNR of PQ, dB ↑ |",
        "|---|---|",
        "| a | 30.00 |",
        "",
        "| test charts (1) | banding on a ramp, 10-bit codes ↓ |",
        "|---|---|",
        "| a | 2.000 |",
    ]


def test_files(tmp_path):
    found = results("psnr", "cvvdp", "flicker")
    found.add("a", "clips", "first", {"psnr": math.inf, "cvvdp": 9.5, "flicker": math.nan})
    found.add("a", "photos", "second", {"psnr": 30.0})
    found.write_csv(tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["method", "set", "pairs", "psnr_db", "cvvdp_jod", "flicker"],
        ["a", "clips", "1", "inf", "9.5000", "nan"],
        ["a", "photos", "1", "30.0000", "", ""],
    ]
    found.write_json(tmp_path / "r.json", {"seed": 0})

    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads((tmp_path / "r.json").read_text(), parse_constant=refuse)
    assert read["settings"] == {"seed": 0}
    assert read["metrics"]["cvvdp_jod"] == {"title": "ColorVideoVDP", "unit": "JOD", "higher_is_better": True}
    clips, photos = read["results"]
    assert clips["mean"] == {"psnr_db": "inf", "cvvdp_jod": 9.5, "flicker": None}
    assert photos["samples"] == [{"name": "second", "psnr_db": 30.0}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.json"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.98765, "0.9877"), (-0.5, "-0.5000"), (3.14159, "3.142"), (31.4159, "31.42"), (314.159, "314.2"), (math.inf, "∞")],
)
def test_numbers_for_people(value, text):
    assert shown(value) == text


def test_bad_files_and_numbers(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        check_file("--csv", tmp_path / "nowhere" / "r.csv")
    with pytest.raises(InputError, match="is a folder"):
        check_file("--json", tmp_path)
    check_file("--csv", None)
    check_numbers([("--limit", None, 1), ("--seed", 0, 0)])
    with pytest.raises(InputError, match="evaluate: --limit is 0; give 1 or more"):
        check_numbers([("--limit", 0, 1)])
