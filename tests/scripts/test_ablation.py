"""scripts/ablation.py on a few small pictures, two steps of one small view or clip a variant."""

import csv
import dataclasses
import json

import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import ablation as tables
from vs_hdrtv.training import batches, trainer

# DataLoader forks its worker; torch's own threads are idle at that moment.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(scope="module")
def ablation(script):
    return script


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


@pytest.fixture(autouse=True)
def one_thread():
    """As the script sets it; what was set before comes back.

    OpenCV too: a worker that is forked after measuring, which the script never does, would wait for threads that it has not.
    """
    import cv2

    threads, of_cv2 = torch.get_num_threads(), cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(threads)
    cv2.setNumThreads(of_cv2)


@pytest.fixture
def run(ablation, data, tmp_path, monkeypatch):
    """A call of the script with views of 40 px, one a step."""
    load = ablation.recipes.load

    def smaller(name):
        recipe = load(name)
        size = 40 if recipe.kind in ("pictures", "clips") else 64
        return dataclasses.replace(recipe, phases=(ablation.recipes.Phase(size=size, batch=1, steps=9),))

    monkeypatch.setattr(ablation.recipes, "load", smaller)
    output = tmp_path / "runs" / "ablation"

    def call(table, *more, steps=2):
        small = ["--size", "40", "--views", "1", "--clips", "1", "--frames", "3", "--threads", "1", "--device", "cpu", "--eager"]
        ablation.main(["--table", table, "--data", str(data), "--output", str(output), "--steps", str(steps), *small, *more])
        return output

    return call


def rows_of(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ") and "variant" not in line]


def test_one_command_trains_and_measures_the_five_variants(run, capsys, monkeypatch):
    output = run("hdcfm")
    text = capsys.readouterr().out
    assert (output / "table.md").read_text(encoding="utf-8") == text
    assert "Steps of each variant: 2 of 1 views of 40 px. L1 on PQ;" in text and "on 1 CPU threads." in text
    rows = rows_of(text)
    # Two sets of five rows: parameters as in tests/networks/test_hdcfm.py, the paper's own row at the end.
    assert [row[1] for row in rows] == ["35,251", "79,516", "98,116", "98,116", "100,682"] * 2
    assert rows[4][-3:] == ["38.42 (+1.54)", "0.9732 (+0.0077)", "7.83 (-1.95)"]
    assert rows[0][-3:] == ["36.88 (+0.00)", "0.9655 (+0.0000)", "9.78 (+0.00)"]
    assert "### validation scenes" in text and "### held-out scenes" in text

    with (output / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 10 and len({row["psnr_db"] for row in table}) == 10  # five networks, each its own
    everything = json.loads((output / "results.json").read_text(encoding="utf-8"))
    assert everything["settings"]["variants"]["M0"]["parameters"] == 35_251

    # Again: nothing is trained, and the same is measured.
    monkeypatch.setattr(trainer, "train", lambda *arguments, **options: pytest.fail("trained again"))
    run("hdcfm")
    assert capsys.readouterr().out == text
    # One variant is gone: that one alone would be trained.
    (output / "local" / "trained.json").unlink()
    seen = []
    monkeypatch.setattr(trainer, "train", lambda network, recipe, data, folder, **options: seen.append(folder.name) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("hdcfm")
    assert seen == ["local"]
    # Another budget, or another table, into the same folder.
    with pytest.raises(InputError, match=r"was begun with hdcfm, 2 steps, seed .* and the data of .*; give the same recipe"):
        run("hdcfm", steps=3)
    with pytest.raises(InputError, match="was begun with hdcfm"):
        run("dslnet")


@pytest.mark.parametrize(
    ("table", "arguments", "columns"),
    [
        ("dslnet", {"channels": 4}, ["PSNR of PQ, dB", "SR-SIM of PQ", "dE_ITP", "MABD"]),
        ("kpn_mfi", {"channels": 8, "blocks": (1,) * 5}, ["PSNR of PQ, dB", "SSIM of PQ", "dE_ITP", "MABD"]),
    ],
)
def test_networks_of_several_frames_are_measured_on_clips(run, capsys, monkeypatch, table, arguments, columns):
    known = tables.TABLES[table]
    small = [dataclasses.replace(each, arguments={**each.arguments, **arguments}) for each in known.variants]
    monkeypatch.setitem(tables.TABLES, table, dataclasses.replace(known, variants=tuple(small)))
    output = run(table)
    text = capsys.readouterr().out
    assert "2 of 1 clips of 3 frames of 40 px" in text
    header = next(line for line in text.splitlines() if line.startswith("| variant"))
    assert all(f"| {column}" in header for column in columns)
    rows = rows_of(text)
    assert [row[0] for row in rows] == [variant.label for variant in known.variants] * 3
    assert text.count("### clips, ") == 3
    everything = json.loads((output / "results.json").read_text(encoding="utf-8"))
    values = [row["mean"] for row in everything["results"]]
    assert all(isinstance(value["mabd"], float) for value in values)
    assert len({value["psnr_db"] for value in values}) == 9  # three sets, three networks: each its own


@pytest.mark.parametrize(
    ("table", "arguments", "kind"),
    [("icam", {"channels": 16, "levels": (8, 8, 8, 16)}, "key frames"), ("fcpm", {"channels": 8}, "segments")],
)
def test_key_frames_and_segments_are_measured_where_over_exposed(run, capsys, monkeypatch, table, arguments, kind):
    pytest.importorskip("cv2")
    monkeypatch.setattr(batches, "AHEAD", 2)  # far flow takes its time
    known = dataclasses.replace(tables.TABLES[table], variants=tables.TABLES[table].variants[::2])
    small = [
        variant if variant.network else dataclasses.replace(variant, arguments={**variant.arguments, **arguments})
        for variant in known.variants
    ]
    monkeypatch.setitem(tables.TABLES, table, dataclasses.replace(known, variants=tuple(small)))
    output = run(table, "--size", "64")
    text = capsys.readouterr().out
    assert f"### held-out {kind} (1)" in text
    rows = rows_of(text)
    assert [row[0] for row in rows] == [variant.label for variant in known.variants]
    assert rows[-1][-1].startswith("0.356 (-0.0")
    everything = json.loads((output / "results.json").read_text(encoding="utf-8"))
    assert len({row["mean"]["pu21_psnr_overexposed_db"] for row in everything["results"]}) > 1
    trained = [variant.folder for variant in known.variants if not variant.network]
    assert sorted(path.parent.name for path in output.glob("*/trained.json")) == sorted(trained)


def test_a_paper_of_two_tables_gets_both(ablation, monkeypatch, capsys, tmp_path):
    asked = []
    monkeypatch.setattr(ablation, "tabulate", lambda name, _, output, *others: asked.append((name, output)) or f"{name}!")
    ablation.main(["--table", "vitm_tc", "--data", str(tmp_path), "--output", str(tmp_path), "--threads", "1"])
    assert asked == [("icam", tmp_path / "icam"), ("fcpm", tmp_path / "fcpm")]
    assert capsys.readouterr().out == "## icam\n\nicam!\n## fcpm\n\nfcpm!\n"


def test_each_frame_is_converted_with_its_neighbours(ablation):
    import numpy as np

    class Sum(torch.nn.Module):
        def forward(self, *frames):
            return sum(10**place * frame for place, frame in enumerate(frames))

    clip = np.arange(4, dtype=np.float32)[:, None, None, None] * np.ones((1, 3, 2, 2), np.float32)
    found = ablation.convert(Sum(), clip, 1, torch.device("cpu"))
    assert found[:, 0, 0, 0].tolist() == [100, 210, 321, 332]  # the ends stand for what lies past them
    assert ablation.convert(Sum(), clip[1], 0, torch.device("cpu")).shape == (3, 2, 2)


def test_what_cannot_be_measured_is_said_before_training(ablation, tmp_path):
    with pytest.raises(InputError, match="evaluate: --steps is 0; give 1 or more"):
        ablation.main(["--data", str(tmp_path), "--output", str(tmp_path / "out"), "--steps", "0"])
    for table in tables.TABLES:
        with pytest.raises(InputError):
            ablation.main(["--table", table, "--data", str(tmp_path), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="ablation: --size is 40; of key frames give a multiple of 16, 64 or more"):
        ablation.main(["--table", "vitm_tc", "--data", str(tmp_path), "--output", str(tmp_path / "out"), "--size", "40"])
