"""Engines: the same function everywhere, from any thread, or one clear line."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vs_hdrtv import engines
from vs_hdrtv.errors import InputError

NAMES = ("torch", "cpu", "onnx-cpu")


def frame(height, width, seed=0):
    return np.random.default_rng(seed).random((1, 3, height, width), dtype=np.float32)


def run(name, card, array):
    engine = engines.create(name, device="cpu")
    return engine.download(engine.load(card)(engine.upload(array)))


@pytest.mark.parametrize("size", [(1, 1), (31, 45), (96, 128)])
def test_engines_agree(card, size):
    array = frame(*size)
    results = {name: run(name, card, array) for name in NAMES}
    for name in NAMES:
        assert results[name].shape == (1, 3, *size)
        assert results[name].dtype == np.float32
        # The design's bound is 1e-3 on PQ; sums in another order differ by far less.
        np.testing.assert_allclose(results[name], results["torch"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (20, 33), (45, 67), (96, 128)])
def test_engines_agree_on_a_network_of_two_inputs(pdcg_card, size):
    hdr, sdr = frame(*size, 1), frame(*size, 2)
    results = {}
    for name in NAMES:
        engine = engines.create(name, device="cpu")
        results[name] = engine.download(engine.load(pdcg_card)(engine.upload(hdr), engine.upload(sdr)))
    outside = np.broadcast_to(sdr.max(axis=1, keepdims=True) <= np.float32(0.95), hdr.shape)
    for result in results.values():
        np.testing.assert_allclose(result, results["torch"], atol=1e-5, rtol=0)
        assert result[outside].tobytes() == hdr[outside].tobytes()
    if size == (96, 128):
        assert np.abs(results["cpu"] - hdr)[~outside].max() > 1e-3


def test_a_graph_names_its_inputs(pdcg_card):
    import onnx

    graph = onnx.load(pdcg_card.onnx).graph
    assert [each.name for each in graph.input] == ["hdr", "sdr"]
    assert [each.name for each in graph.output] == ["hdr_out"]  # two values of one graph must not share a name


def test_output_depends_on_the_input(card):
    assert np.abs(run("cpu", card, frame(32, 40, 1)) - run("cpu", card, frame(32, 40, 2))).max() > 1e-3


def test_small_frames_are_extended_by_their_edges(card):
    small = frame(20, 50)
    extended = np.pad(small, ((0, 0), (0, 0), (0, 12), (0, 0)), mode="edge")
    for name in ("torch", "cpu"):
        np.testing.assert_array_equal(run(name, card, small), run(name, card, extended)[:, :, :20])


@pytest.mark.parametrize("name", NAMES)
def test_same_bytes_from_four_threads_and_in_any_order(card, name):
    engine = engines.create(name, device="cpu")
    network = engine.load(card)
    frames = [engine.upload(frame(40 + 8 * (i % 2), 48, i)) for i in range(6)]
    expected = [engine.download(network(each)).tobytes() for each in frames]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda each: engine.download(network(each)).tobytes(), frames[::-1] * 2))
    assert found == expected[::-1] * 2


def test_more_frame_sizes_than_are_kept(card):
    engine = engines.create("cpu")
    network = engine.load(card)
    first = network(frame(32, 32))
    for width in range(33, 39):
        network(frame(32, width))
    np.testing.assert_array_equal(network(frame(32, 32)), first)


def test_a_result_is_not_overwritten_by_the_next_call(card):
    network = engines.create("cpu").load(card)
    first = network(frame(32, 32, 1))
    kept = first.copy()
    network(frame(32, 32, 2))
    np.testing.assert_array_equal(first, kept)


def test_same_arguments_same_engine():
    assert engines.create("cpu") is engines.create("cpu")
    assert engines.create("cpu", threads=1) is not engines.create("cpu", threads=2)
    assert engines.create("cpu", threads=1).threads == 1


def test_auto_without_cuda_is_the_cpu(monkeypatch):
    monkeypatch.setattr(engines, "_has_cuda", lambda: False)
    assert engines.create("auto").name == "cpu"
    assert engines.create("auto", device="cpu").name == "cpu"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cuda"}, "engine: unknown engine 'cuda'; choose one of: auto, cpu, torch"),
        ({"precision": "bf16"}, "engine: unknown precision 'bf16'; choose one of: fp32, fp16"),
        ({"threads": 0}, "engine: threads is 0"),
        ({"name": "cpu", "device": "cuda"}, "engine 'cpu': device is 'cuda'"),
        ({"name": "cpu", "precision": "fp16"}, "engine 'cpu': precision is 'fp16'"),
        ({"name": "onnx-cpu", "device": "cuda"}, "engine 'onnx-cpu': device is 'cuda'"),
        ({"name": "onnx-cuda", "device": "cpu"}, "engine 'onnx-cuda': device is 'cpu'"),
        ({"name": "torch", "device": "cpu", "precision": "fp16"}, "engine 'torch': precision is 'fp16' on the CPU"),
        ({"name": "torch", "device": "nonsense"}, "engine 'torch': unknown device 'nonsense'"),
        ({"name": "torch", "device": "meta"}, "engine 'torch': device 'meta' is not supported"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError) as error:
        engines.create(**arguments)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_cuda_that_is_not_there():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    for name in ("torch", "auto"):
        with pytest.raises(InputError, match="no CUDA device is there"):
            engines.create(name, device="cuda")


@pytest.mark.parametrize(("name", "provider"), [("onnx-cuda", "CUDA"), ("onnx-tensorrt", "Tensorrt")])
def test_provider_that_is_not_there(name, provider):
    import onnxruntime

    if f"{provider}ExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has the {provider} provider")
    with pytest.raises(InputError, match=f"has no {provider}ExecutionProvider .*pip install onnxruntime-gpu"):
        engines.create(name)


@pytest.mark.parametrize(("name", "package"), [("cpu", "openvino"), ("torch", "torch"), ("onnx-cpu", "onnxruntime")])
def test_package_that_is_not_there(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    engines._create.cache_clear()
    with pytest.raises(InputError, match=f"engine '{name}': {package} is not installed; pip install"):
        engines.create(name)


def test_cpu_engine_needs_no_torch(monkeypatch, card):
    original = builtins.__import__

    def without_torch(name, *rest, **more):
        assert name.partition(".")[0] not in {"torch", "safetensors"}
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    engines.create("cpu", threads=1).load(card)(frame(32, 32))


def test_nothing_reaches_descriptor_1(card, capfd):
    from vs_hdrtv.engines.onnx import stdout_to_stderr

    with stdout_to_stderr():
        import os

        os.write(1, b"noise")
    run("onnx-cpu", card, frame(32, 32))
    assert capfd.readouterr().out == ""


def test_auto_takes_onnx_runtime_where_openvino_cannot_start(monkeypatch, caplog):
    # What importing openvino raises once the plug-in vapoursynth-mlrt-ov has loaded its own build.
    real = engines.importlib.import_module

    def clash(name, *arguments):
        if name == "openvino":
            raise ImportError("Check 'versions_compatible' failed")
        return real(name, *arguments)

    monkeypatch.setattr(engines.importlib, "import_module", clash)
    monkeypatch.setattr(engines, "_has_cuda", lambda: False)
    engines._best_on_cpu.cache_clear()
    try:
        assert engines.create("auto").name == "onnx-cpu"
    finally:
        engines._best_on_cpu.cache_clear()
    assert "engine auto: OpenVINO cannot start beside vapoursynth-mlrt-ov" in caplog.text


def test_openvino_reports_nothing_to_anybody():
    import subprocess
    import sys

    code = (
        "import os, sys, vs_hdrtv.engines as e\n"
        "os.fork = lambda *a: sys.exit('forked')\n"
        "e.import_openvino(); print(sys.modules['openvino_telemetry'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("None", 0), done.stderr


@pytest.mark.parametrize(("asked", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_leave_the_cores_to_others(asked, found):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": asked} if asked else {}
    code = "import vs_hdrtv, os, sys; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [found, "False"]
