"""Exported graphs: the functions of the modules, and nothing that they do not need."""

from __future__ import annotations

import collections

import pytest

torch = pytest.importorskip("torch")
onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")

from vs_hdrtv.export import graph_to_onnx  # noqa: E402
from vs_hdrtv.networks import parts, registry  # noqa: E402
from vs_hdrtv.networks.graphs import graph  # noqa: E402

# Exports take their time by the number of operators. The graphs of all networks are compared in `engines/test_shipped.py`.
ARGUMENTS = {"hdcfm": {"channels": 20, "transformation": False}, "dslnet": {}}
GRAPHS = [("hdcfm", "network.statistics"), ("hdcfm", "network.steady"), ("dslnet", "align"), ("dslnet", "align.statistics")]

# What averages a frame; norms over channels are LayerNormalization.
AVERAGES = ("ReduceMean", "GlobalAveragePool", "InstanceNormalization")
OFF = {("dslnet", "align"): "DeformConv"}
"""What a part does after its statistics."""


@pytest.fixture
def made():
    def make(model):
        torch.manual_seed(1)
        network = registry.create(model, **ARGUMENTS[model]).eval().requires_grad_(False)
        for parameter in network.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape))
        return network

    return make


def operators(path):
    return collections.Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize(("model", "name"), GRAPHS)
def test_every_graph_is_its_module(made, tmp_path, model, name):
    network, path = made(model), tmp_path / "graph.onnx"
    graph_to_onnx(network, path, model=model, name=name)
    reads, module = parts.graphs(parts.of(model))[name], graph(network, model, name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == parts.input_names(reads)
    for size in ((33, 39), (64, 72)):
        generator = torch.Generator().manual_seed(2)
        inputs = [
            torch.rand(1, module.size, 1, 1, generator=generator)
            if signal == parts.STATISTICS
            else torch.rand(1, parts.CHANNELS[signal], *size, generator=generator)
            for signal, offsets in reads.items()
            for _ in offsets
        ]
        names = parts.input_names(reads)
        found = torch.from_numpy(session.run(None, {key: each.numpy() for key, each in zip(names, inputs, strict=True)})[0])
        torch.testing.assert_close(found, module(*inputs), rtol=1e-3, atol=1e-4)
    nodes, part = operators(path), name.partition(".")[0]
    if name.endswith(parts.STEADY):
        assert not any(nodes[each] for each in AVERAGES)
    if name.endswith(parts.STATISTICS):
        assert nodes[OFF.get((model, part), "none")] == 0
        assert [each.shape for each in session.get_outputs()] == [[1, module.size, 1, 1]]
    elif (model, part) in OFF:
        assert nodes[OFF[model, part]] > 0


def test_same_weights_same_bytes(made, tmp_path):
    paths = [tmp_path / "one.onnx", tmp_path / "another.onnx"]
    for path in paths:
        graph_to_onnx(made("dslnet"), path, model="dslnet", name="align.steady")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    text = paths[0].read_bytes()
    assert b"site-packages" not in text and b"/work" not in text
