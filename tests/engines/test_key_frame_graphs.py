"""Every graph of ICAM and FCPM is its module on the CPU's engines: flow far out of the frame, sides that differ."""

from __future__ import annotations

import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from vs_hdrtv import engines  # noqa: E402
from vs_hdrtv.engines.cpu import _Compiled  # noqa: E402
from vs_hdrtv.export import graph_to_onnx  # noqa: E402
from vs_hdrtv.networks import icam, parts, registry  # noqa: E402
from vs_hdrtv.networks.graphs import graph, parts_of  # noqa: E402

ARGUMENTS = {"icam": {"channels": 16, "levels": [8, 8, 8, 16]}, "fcpm": {"channels": 8}}
GRAPHS = [(model, name) for model in ARGUMENTS for name in parts.of(model)]


def inputs(part, size):
    generator = torch.Generator().manual_seed(3)
    channels = {**parts.CHANNELS, **part.channels}

    def made(signal):
        sides = (side // parts.SHRUNK.get(signal, 1) for side in size)
        values = torch.rand(1, channels[signal], *sides, generator=generator)
        return 1.5 * size[1] * (values - 0.5) if signal.startswith("flow") else values

    return {signal: made(signal) for signal in part.reads}


@pytest.mark.parametrize(("model", "name"), GRAPHS)
def test_every_graph_is_its_module(monkeypatch, tmp_path, model, name):
    # An export takes its time by the number of operators.
    monkeypatch.setattr(icam, "SWIN_BLOCKS", 2)
    monkeypatch.setattr(icam, "DENSE_BLOCKS", 1)
    torch.manual_seed(1)
    network = registry.create(model, **ARGUMENTS[model]).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.05 * torch.randn(parameter.shape))
    path, part, module = tmp_path / "graph.onnx", parts_of(network, model)[name], graph(network, model, name)
    graph_to_onnx(network, path, model=model, name=name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    core = engines.create("cpu", threads=1)._core
    compiled = _Compiled(core, core.read_model(str(path)), 1, threading.Lock(), one_of_several=True)
    assert [each.name for each in session.get_inputs()] == parts.input_names(part.reads)
    for size in ((64, 80), (112, 64)):
        given = inputs(part, size)
        expected = module(*given.values()).numpy()
        arrays = {signal: each.numpy() for signal, each in given.items()}
        for found in (session.run(None, arrays)[0], compiled(*arrays.values())):
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-4 * max(1, np.abs(expected).max()))
