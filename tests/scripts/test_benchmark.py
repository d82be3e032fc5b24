"""scripts/benchmark.py: the table of memory, on small frames."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import vs_hdrtv

SCRIPT = Path(vs_hdrtv.__file__).parents[1] / "scripts" / "benchmark.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="no scripts")


@pytest.fixture
def benchmark():
    specification = importlib.util.spec_from_file_location("benchmark", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def asked(**changed):
    given = {"model": "hdcfm", "engine": "onnx-cpu", "size": "64x48", "frames": 2, "steady": 0, "tile": 0, "cache": 64}
    return {**given, "device": None, "precision": "fp32", "threads": 1, **changed}


def test_a_row_is_a_process_of_its_own(benchmark):
    pytest.importorskip("onnxruntime")
    hog = bytearray(700 << 20)  # of this process: it must not be in the row of another
    hog[::4096] = bytes(len(hog[::4096]))
    found = benchmark.measure_memory(asked())
    assert found["cache"] == 64
    assert found["gpu"] == 0
    assert 50 < found["host"] < 600
    assert found["seconds"] > 0


def test_what_is_not_there_is_a_row():
    words = ["--memory", "--models", "nope", "--backends", "torch", "--sizes", "64x48"]
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=True)
    assert "nope" in done.stdout.splitlines()[-1]
    assert "missing: " in done.stdout.splitlines()[-1]
    assert "unknown model" in done.stdout


def test_noise_as_a_decoder_gives_it(benchmark):
    clip = benchmark.video("64x48", 2)
    with clip.get_frame(0) as first, clip.get_frame(1) as second:
        assert bytes(first[0]) != bytes(second[0])
        assert (clip.format.name, clip.width, clip.height) == ("YUV420P8", 64, 48)
        assert first.props["_Transfer"] == 1
