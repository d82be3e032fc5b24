"""scripts/scene_cuts.py on a few small clips, with the detector that needs nothing."""

import numpy as np
import pytest

pytest.importorskip("cv2")


@pytest.fixture
def script(script, monkeypatch):
    # Whatever else is installed here is measured where the script is run, not in a test.
    monkeypatch.setattr(script, "DETECTORS", {"plain": script.DETECTORS["plain"]})
    return script


@pytest.fixture
def data(tmp_path):
    import cv2

    rng = np.random.default_rng(0)
    for name in ("autoshop_01_1k", "abandoned_garage_1k"):
        small = np.exp(rng.normal(0, 1.5, (16, 32, 3))).astype(np.float32)
        cv2.imwrite(str(tmp_path / f"{name}.hdr"), cv2.resize(small, (256, 128), interpolation=cv2.INTER_CUBIC).clip(1e-3))
    return tmp_path


def test_the_table_has_every_kind_and_the_totals(script, data, capsys):
    assert script.main(["--data", str(data), "--clips", "1", "--frames", "12", "--size", "48"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "detectors: plain (core filters)"
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines[3:]}
    assert list(rows) == [*script.KINDS, "recall", "precision", "F1", "ms a frame"]
    found, missed, _ = (sum(int(rows[kind][1].split("/")[index]) for kind in script.KINDS) for index in range(3))
    assert found + missed == sum(int(rows[kind][0]) for kind in script.KINDS) > 3
    assert float(rows["recall"][1]) == pytest.approx(found / (found + missed), abs=1e-3)


def test_real_footage(script, film_pair, capsys):
    _, sdr = film_pair()
    assert script.main(["--video", str(sdr)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["film_sdr.mkv: 60 frames", "  plain        20 42"]


@pytest.mark.parametrize("arguments", [[], ["--data", "x", "--frames", "3"], ["--video", "not_there.mp4"]])
def test_bad_arguments_are_one_line(script, arguments, capsys):
    assert script.main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
