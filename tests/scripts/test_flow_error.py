"""scripts/flow_error.py on generated pictures, with what needs no weights."""

import numpy as np
import pytest

pytest.importorskip("cv2")


@pytest.fixture
def data(tmp_path):
    import cv2

    rng = np.random.default_rng(0)
    for name in ("autoshop_01_1k", "abandoned_garage_1k"):  # of the test split
        small = np.exp(rng.normal(0, 1.0, (16, 32, 3))).astype(np.float32)
        cv2.imwrite(str(tmp_path / f"{name}.hdr"), cv2.resize(small, (256, 128), interpolation=cv2.INTER_CUBIC).clip(1e-3))
    return tmp_path


def test_the_table(script, data, capsys):
    line = ["--data", str(data), "--flow", "none", "--pairs", "3", "--size", "64", "--far", "0.1", "--engine", "torch"]
    assert script.main(line) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("end-point error in pixels; 3 pairs of 64 px from ")
    rows = {tuple(each.strip() for each in line.split("|")[1:3]): line.split("|")[3:-1] for line in lines[3:]}
    kinds = [*script.PIXELS, "refused, share"]
    assert list(rows) == [(kind, pixels) for kind in script.EXPOSURES for pixels in kinds] + [("ms a pair", "")]
    still, found = (float(each) for each in rows["same exposure", "all"])
    assert 0 < found < 0.7 * still
    assert rows["same exposure", "all"][0] == rows["other exposure", "all"][0]  # one scene, one motion


def test_errors_are_counted_where_they_are_asked_for(script):
    from vs_hdrtv.keyframes import dis
    from vs_hdrtv.training.displacement import FlowPair

    flow = np.zeros((2, 2, 2), np.float32)
    flow[:, 0, 0], flow[0, 1, 1] = (3.0, 4.0), 100.0
    seen, clipped = np.ones((1, 2, 2), np.float32), np.zeros((1, 2, 2), np.float32)
    seen[0, 1, 1], clipped[0, 0, 0] = 0, 0.2
    frame = np.zeros((3, 2, 2), np.float32)
    times = {"none": [], "refused": []}
    known = {"none": lambda *_: 0 * flow, "refused": lambda *_: dis.nowhere(*flow.shape[-2:])}
    found = script.measure([FlowPair(frame, frame, flow, seen, clipped)], known, times)
    assert found["refused, share"] == {"none": 0, "refused": 1}
    assert np.isnan(found["all"]["refused"])
    assert found["all"]["none"] == pytest.approx(5 / 3)
    assert found["clipped"]["none"] == pytest.approx(5)
    assert len(times["none"]) == 1


@pytest.mark.parametrize(
    "more", [["--pairs", "0"], ["--size", "33"], ["--far", "2"], ["--flow", "nothing"], ["--icam", "nothing"]]
)
def test_bad_arguments_are_one_line(script, data, capsys, more):
    assert script.main(["--data", str(data), "--flow", "none", *more]) == 2
    assert capsys.readouterr().err.count("\n") == 1
