"""scripts/benchmark.py: the table of memory, on small frames."""

import subprocess
import sys

import pytest


def asked(**changed):
    given = {"model": "hdcfm", "engine": "onnx-cpu", "size": "64x48", "frames": 2, "steady": 0, "tile": 0, "cache": 64}
    return {**given, "device": None, "precision": "fp32", "threads": 1, **changed}


def test_a_row_is_a_process_of_its_own(script):
    pytest.importorskip("onnxruntime")
    hog = bytearray(700 << 20)  # of this process: it must not be in the row of another
    hog[::4096] = bytes(len(hog[::4096]))
    found = script.measure_memory(asked())
    assert found["cache"] == 64
    assert found["gpu"] == 0
    assert 50 < found["host"] < 600
    assert found["seconds"] > 0


def test_what_is_not_there_is_a_row(script):
    words = ["--memory", "--models", "nope", "--backends", "torch", "--sizes", "64x48"]
    done = subprocess.run([sys.executable, script.__file__, *words], capture_output=True, text=True, check=True)
    assert "nope" in done.stdout.splitlines()[-1]
    assert "missing: " in done.stdout.splitlines()[-1]
    assert "unknown model" in done.stdout


def test_noise_as_a_decoder_gives_it(script):
    clip = script.video("64x48", 2)
    with clip.get_frame(0) as first, clip.get_frame(1) as second:
        assert bytes(first[0]) != bytes(second[0])
        assert (clip.format.name, clip.width, clip.height) == ("YUV420P8", 64, 48)
        assert first.props["_Transfer"] == 1
