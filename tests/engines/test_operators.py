"""DeformConv: in OpenVINO the same as in torch; engines too old for it say so."""

from __future__ import annotations

import importlib.metadata
import threading

import numpy as np
import pytest

from vs_hdrtv import engines
from vs_hdrtv.engines import operators
from vs_hdrtv.errors import InputError


@pytest.fixture(scope="module")
def align():
    """DSLNet's alignment, whose offsets point up to some pixels everywhere, also out of the picture."""
    import torch

    from vs_hdrtv.networks.dslnet import DMFA

    torch.manual_seed(0)
    network = DMFA(3, 16).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.05 * torch.randn(parameter.shape))
    network.offsets.up.bias.uniform_(-3, 3)
    return network


@pytest.fixture(scope="module")
def path(align, tmp_path_factory):
    from vs_hdrtv.export import to_onnx

    path = tmp_path_factory.mktemp("align") / "align.onnx"
    to_onnx(align, path, reads=["sdr_m1", "sdr_0", "sdr_p1"], writes="features")
    return path


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(33, 39), (46, 71)])
def test_the_cpu_engine_aligns_as_torch_does(align, path, size, threads):
    import torch

    from vs_hdrtv.engines.cpu import _Compiled

    core = engines.create("cpu", threads=threads)._core
    network = _Compiled(core, core.read_model(str(path)), threads, threading.Lock(), True)
    window = [torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    found = network(*(each.numpy() for each in window))
    np.testing.assert_allclose(found, align(*window).numpy(), rtol=1e-4, atol=1e-5)
    assert network(*(each.numpy() for each in window)).tobytes() == found.tobytes()


@pytest.mark.parametrize("engine", ["onnx-cpu", "onnx-cuda", "onnx-tensorrt"])
def test_an_old_onnx_runtime_is_refused(monkeypatch, path, engine):
    def version(package):
        if package == "onnxruntime":
            raise importlib.metadata.PackageNotFoundError
        return "1.24.4"

    monkeypatch.setattr(operators.importlib.metadata, "version", version)
    message = (
        f"engine '{engine}': align.onnx needs DeformConv, which onnxruntime-gpu 1.24.4 does not have; "
        "pip install 'onnxruntime-gpu>=1.25', or use engine='torch' or 'cpu'"
    )
    with pytest.raises(InputError) as error:
        operators.check(engine, path)
    assert str(error.value) == message
    for other in ("cpu", "torch"):
        operators.check(other, path)


@pytest.mark.parametrize("version", ["1.25.0", "1.31.1", "2.0"])
def test_a_new_one_is_not(monkeypatch, path, version):
    monkeypatch.setattr(operators.importlib.metadata, "version", lambda package: version)
    operators.check("onnx-cuda", path)


def test_a_graph_without_the_operator_runs_on_any(monkeypatch, tmp_path):
    import onnx

    monkeypatch.setattr(operators.importlib.metadata, "version", lambda package: "1.20.0")
    # As a name alone it is no operator.
    node = onnx.helper.make_node("Relu", ["x"], ["y"], name="DeformConv")
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:])), tmp_path / "relu.onnx")
    operators.check("onnx-cpu", tmp_path / "relu.onnx")
