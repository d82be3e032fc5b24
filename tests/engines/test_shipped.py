"""The shipped models: every graph of every one of them is the function of its torch module, on the engines of a CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vs_hdrtv import engines, weights
from vs_hdrtv.networks import parts
from vs_hdrtv.networks.graphs import graph

GRAPHS = [(name, each) for name in weights.names() for each in parts.graphs(weights.find(name).parts)]


@pytest.mark.parametrize("engine", ["cpu", "onnx-cpu"])
@pytest.mark.parametrize(("name", "part"), GRAPHS)
def test_every_graph_is_its_module(name, part, engine):
    card = weights.find(name)
    module = graph(weights.load_network(card), card.network, part)
    generator = torch.Generator().manual_seed(7)
    what = card.parts[part.partition(".")[0]]
    channels = {**parts.CHANNELS, **what.channels}
    sides = (39, 50) if what.multiple == 1 else (64, 80)

    def picture(signal):
        return torch.rand(1, channels[signal], *(side // parts.SHRUNK.get(signal, 1) for side in sides), generator=generator)

    inputs = [
        0.2 + 0.1 * torch.rand(1, module.size, 1, 1, generator=generator) if signal == parts.STATISTICS else picture(signal)
        for signal, offsets in parts.graphs(card.parts)[part].items()
        for _ in offsets
    ]
    with torch.inference_mode():
        expected = module(*inputs).numpy()
    runs = engines.create(engine, threads=1)
    found = runs.load(card, part)(*(each.numpy() for each in inputs))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-4 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", weights.names())
def test_all_graphs_are_there(name):
    card = weights.find(name)
    weights.verify(card)
    assert set(card.files) == {"safetensors", *parts.graphs(card.parts)}
