import json
import math

import pytest

from vs_hdrtv import cli, weights
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import cards, evaluate, methods
from vs_hdrtv.metrics.registry import METRICS
from vs_hdrtv.metrics.results import Results

SET = "held-out scenes, seen operators"


def results(card, own=38.5):
    found = Results([METRICS["psnr"], METRICS["delta_e_itp"]])
    for method, value in {"bt2408": 36.0, str(card.path): own, f"{card.path}+gone": 39.0}.items():
        found.add(method, SET, "one", {"psnr": value, "delta_e_itp": math.inf if method == "bt2408" else 10.0})
    return found


@pytest.fixture
def written(card, tmp_path):
    goal = {"method": str(card.path), "goal": "be good", "set": SET, "better_by": 2.5, "least": 3.0, "reached": False}
    settings = {"split": "test", "size": 64, "views": 1, "seed": 0, "limit": None, "data": "/secret"}
    results(card).write_json(tmp_path / "r.json", settings, [goal])
    return weights.add_metrics(card, cards.from_results(tmp_path / "r.json", card))


def test_taken_from_an_evaluation(written):
    assert written.metrics["settings"] == {"split": "test", "size": 64, "views": 1, "seed": 0}
    assert written.metrics["sets"][SET] == {
        "bt2408": {"psnr_db": 36.0},  # what is no number is left out
        "own": {"psnr_db": 38.5, "delta_e_itp": 10.0},
        "own+gone": {"psnr_db": 39.0, "delta_e_itp": 10.0},
    }
    assert written.metrics["goals"] == {f"be good ({SET})": "no: +2.5, asked 3.0"}
    assert "own = { psnr_db = 38.5, delta_e_itp = 10.0 }\n" in written.path.read_text()


def test_files_that_are_no_evaluation_of_it(card, tmp_path):
    path = tmp_path / "r.json"
    for content in ("no json", "[]", '{"results": [], "settings": {}}', '{"results": [1], "goals": [], "settings": {}}'):
        path.write_text(content)
        with pytest.raises(InputError, match="is not what vs-hdrtv evaluate --json wrote") as error:
            cards.from_results(path, card)
        assert "\n" not in str(error.value)
    path.write_text(json.dumps({"results": [], "goals": [], "settings": {}}))
    with pytest.raises(InputError, match="has no row of own; evaluate with --models own"):
        cards.from_results(path, card)


def test_measured_again(written, tmp_path, monkeypatch):
    asked = []

    def measured(arguments, metrics):
        asked.append((arguments, [metric.name for metric in metrics]))
        return results(written, own=38.5 + 0.05 * len(asked))

    monkeypatch.setattr(evaluate, "measured", measured)
    lines, count = cards.differences(written, tmp_path, "cpu")
    assert (lines, count) == (["own+gone is not here: not measured"], 3)  # 0.05 dB are within what engines differ by
    arguments, metrics = asked[0]
    assert (arguments.data, arguments.engine, arguments.size, arguments.views) == (tmp_path, "cpu", 64, 1)
    assert (arguments.models, arguments.baselines, metrics) == ([str(written.path)], ["bt2408"], ["psnr", "delta_e_itp"])
    for _ in range(4):
        lines, _ = cards.differences(written, tmp_path)
    assert lines[1:] == [f"{SET}, own: psnr_db is 38.7500, 38.5000 in the card"]


def test_a_set_that_is_not_there_differs(written, tmp_path, monkeypatch):
    empty = Results([METRICS["psnr"]])
    monkeypatch.setattr(evaluate, "measured", lambda *arguments: empty)
    lines, count = cards.differences(written, tmp_path)
    assert f"{SET}, bt2408: psnr_db is nothing, 36.0000 in the card" in lines
    assert len(lines) == 1 + count


def test_on_the_command_line(written, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(weights, "verify", lambda card: None)
    monkeypatch.setattr(evaluate, "measured", lambda *arguments: results(written, own=30.0))
    assert cli.main(["weights", "verify", str(written.path), "--data", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert f"own: {SET}, own: psnr_db is 30.0000, 38.5000 in the card" in captured.out
    assert captured.err.count("\n") == 1
    assert "own is not what its card says: 2 of 3 numbers differ" in captured.err


def test_a_card_that_says_nothing(card, tmp_path):
    with pytest.raises(InputError, match="has no table of metrics; vs-hdrtv weights measure writes it"):
        cards.differences(card, tmp_path)


def test_chains_name_the_model_by_its_path(card):
    assert cards._typed("first+own", card) == f"first+{card.path}"
    assert methods.stages(cards._name(f"/a/first.safetensors+{card.path}", card)) == ["first", "own"]
    # What is said of a model stays beside its name.
    assert cards._typed("own:steady=4+own", card) == f"{card.path}:steady=4+{card.path}"
    assert cards._name(f"{card.path}:steady=4", card) == "own:steady=4"


def test_clips_are_a_setting_of_those_that_had_some(card, tmp_path):
    for clips, expected in ((None, {}), (3, {"clips": 3, "frames": 8})):
        results(card).write_json(tmp_path / "r.json", {"size": 64, "clips": clips, "frames": 8}, [])
        assert cards.from_results(tmp_path / "r.json", card)["settings"] == {"size": 64, **expected}
