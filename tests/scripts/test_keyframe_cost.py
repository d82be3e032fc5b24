"""scripts/keyframe_cost.py: the table, by small networks on small frames."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

import vs_hdrtv  # noqa: E402

SCRIPT = Path(vs_hdrtv.__file__).parents[1] / "scripts" / "keyframe_cost.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="no scripts")

WORDS = (
    "--size 64x64 --engine torch --device cpu --threads 1 --references 1 --reference-stride 2 --stride 2 --segment 2 --overlap 1"
)


@pytest.fixture
def run(monkeypatch, capsys):
    """`run(words)`: what it prints, in lines."""
    from vs_hdrtv import export
    from vs_hdrtv.networks import parts, registry
    from vs_hdrtv.networks.fcpm import FCPM
    from vs_hdrtv.networks.icam import ICAM

    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    specification = importlib.util.spec_from_file_location("keyframe_cost", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    for name, value in (("ICAM_CHANNELS", 16), ("ICAM_LEVELS", (8, 8, 8, 16)), ("FCPM_CHANNELS", 8)):
        monkeypatch.setattr(parts, name, value)
    monkeypatch.setitem(registry.NETWORKS, "icam", lambda: ICAM(16, (8, 8, 8, 16)))
    monkeypatch.setitem(registry.NETWORKS, "fcpm", lambda: FCPM(8))
    monkeypatch.setattr(export, "graph_to_onnx", lambda network, path, **_: path.write_bytes(b"none"))  # torch reads none

    def lines(words):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *words.split()])
        module.main()
        return capsys.readouterr().out.splitlines()

    return lines


def test_the_table(run):
    found = run(f"{WORDS} --segments 3")
    rows = [line.split() for line in found[2:5]]
    assert [row[0] for row in rows] == ["2", "2", "2"]
    # Five key frames round each of four frames at first, then those that come in.
    assert [int(row[1]) for row in rows] == [7, 1, 1]
    assert all(float(row[4]) > 50 for row in rows)
    for lines in (found[5:8], found[8:]):
        alone, whole, ratio = (float(line.split(": ")[1].split()[0]) for line in lines)
        assert alone > 0 and abs(ratio - alone / whole) < 0.1 * ratio


def test_few_measured_key_frames(run):
    rows = [line.split() for line in run(f"{WORDS} --segments 2 --measured 1")[2:4]]
    assert [int(row[1]) for row in rows] == [1, 1]


def test_the_clip_moves_and_changes_its_exposure(run):
    import keyframe_cost

    one, other = keyframe_cost.frame(0, 32, 40), keyframe_cost.frame(60, 32, 40)
    assert one.shape == (1, 3, 32, 40)
    assert abs(one.mean() - other.mean()) > 0.05
    assert (keyframe_cost.frame(0, 32, 40) == one).all()
