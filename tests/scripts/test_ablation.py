"""scripts/ablation.py on a few small pictures, two steps of one small view a variant."""

import csv
import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import pytest

import vs_hdrtv
from vs_hdrtv.errors import InputError

SCRIPT = Path(vs_hdrtv.__file__).parents[1] / "scripts" / "ablation.py"

pytestmark = [
    pytest.mark.skipif(not SCRIPT.exists(), reason="no scripts"),
    # DataLoader forks its worker; torch's own threads are idle at that moment.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def ablation():
    specification = importlib.util.spec_from_file_location("ablation", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules["ablation"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    yield module
    del sys.modules["ablation"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One small scene of each split."""
    import cv2
    import numpy as np

    from vs_hdrtv.training import scenes

    folder = tmp_path_factory.mktemp("stills")
    rng = np.random.default_rng(0)
    for name, split in (("dancing_hall_1k", "train"), ("circus_arena_1k", "validation"), ("autoshop_01_1k", "test")):
        assert scenes.split(scenes.location(name)) == split
        small = np.exp(rng.normal(0, 2, (6, 6, 3))).astype(np.float32)
        cv2.imwrite(str(folder / f"{name}.hdr"), cv2.resize(small, (64, 64)))
    return folder


def test_one_command_trains_and_measures_the_five_variants(ablation, data, tmp_path, capsys, monkeypatch):
    import torch

    threads = torch.get_num_threads()
    recipe, phase = ablation.recipes.load("ablation"), ablation.recipes.Phase(size=32, batch=1, steps=9)
    monkeypatch.setattr(ablation.recipes, "load", lambda name: dataclasses.replace(recipe, phases=(phase,)))
    output = tmp_path / "runs" / "ablation"
    small = ["--size", "32", "--views", "1", "--threads", "1", "--device", "cpu", "--eager"]

    def run(steps=2):
        ablation.main(["--data", str(data), "--output", str(output), "--steps", str(steps), *small])

    run()
    text = capsys.readouterr().out
    assert (output / "table.md").read_text(encoding="utf-8") == text
    assert "Budget of each variant: 2 steps of 1 views of 32 px" in text and "on 1 CPU threads." in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| M")]
    # Two sets of five rows: parameters as in tests/networks/test_hdcfm.py, the paper's own row at the end.
    assert [row[1] for row in rows] == ["35,251", "79,516", "98,116", "98,116", "100,682"] * 2
    assert rows[4][-3:] == ["38.42 (+1.54)", "0.9732 (+0.0077)", "7.83 (-1.95) |"]
    assert rows[0][-3:] == ["36.88 (+0.00)", "0.9655 (+0.0000)", "9.78 (+0.00) |"]
    assert "### validation scenes" in text and "### held-out scenes" in text

    with (output / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 10 and len({row["psnr_db"] for row in table}) == 10  # five networks, each its own
    everything = json.loads((output / "results.json").read_text(encoding="utf-8"))
    assert everything["settings"]["variants"]["M0"]["parameters"] == 35_251

    # Again: nothing is trained, and the same is measured.
    monkeypatch.setattr(ablation.trainer, "train", lambda *arguments, **options: pytest.fail("trained again"))
    run()
    assert capsys.readouterr().out == text
    # One variant is gone: that one alone would be trained.
    (output / "local" / "trained.json").unlink()
    seen = []
    monkeypatch.setattr(
        ablation.trainer, "train", lambda network, recipe, data, folder, **options: seen.append(folder.name) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        run()
    assert seen == ["local"]
    # Another budget into the same folder.
    with pytest.raises(InputError, match=r"was begun with 2 steps, seed .* and the pairs of .*; give the same recipe"):
        run(steps=3)
    torch.set_num_threads(threads)


def test_numbers_of_the_paper(ablation):
    # Section 4.2, and Table 1 for the last row: each step is better than the one before.
    gains = [list(variant.gains.values()) for variant in ablation.VARIANTS]
    assert gains[1:] == [[0.86, 0.005, -0.93], [1.32, 0.007, -1.72], [1.38, 0.0074, -1.88], [1.54, 0.0077, -1.95]]


def test_what_cannot_be_measured_is_said_before_training(ablation, tmp_path):
    with pytest.raises(InputError, match="evaluate: --steps is 0; give 1 or more"):
        ablation.main(["--data", str(tmp_path), "--output", str(tmp_path / "out"), "--steps", "0"])
    with pytest.raises(InputError):
        ablation.main(["--data", str(tmp_path), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
