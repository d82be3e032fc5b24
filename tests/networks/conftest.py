"""Networks as they are after training, and as ONNX Runtime runs them."""

import pytest


@pytest.fixture
def shaken():
    """`shaken(network)`: the network in evaluation, all its parameters a little off where they start, always alike."""
    import torch

    def shake(network, amount=0.05):
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(amount * torch.randn(parameter.shape, generator=generator))
        return network.eval()

    return shake


@pytest.fixture
def exported(tmp_path):
    """`exported(network, inputs)`: the exported graph, and what ONNX Runtime gives for the inputs."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    import torch

    from vs_hdrtv.export import to_onnx

    def run(network, inputs):
        names = [f"input{index}" for index in range(len(inputs))]
        path = tmp_path / "network.onnx"
        to_onnx(network, path, reads=names, channels=[each.shape[1] for each in inputs])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        found = session.run(None, {name: each.numpy() for name, each in zip(names, inputs, strict=True)})
        return onnx.load(path), torch.from_numpy(found[0])

    return run
