"""The graphs of every network: a part, its statistics, and the part with statistics given."""

from __future__ import annotations

import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import graphs, parts, registry
from vs_hdrtv.networks.graphs import graph, statistics_size

ARGUMENTS = {
    "hdcfm": {"channels": 20},
    "pdcg": {"channels": 20, "blocks": 2},
    "dslnet": {},
    "kpn_mfi": {"channels": 8, "blocks": (1, 1, 1, 1, 1)},
    "hdcfm_mfi": {"channels": 20},
}
"""Small networks, where the signals between the parts allow it."""

STEADY = [(model, name) for model in ARGUMENTS for name, part in parts.of(model).items() if part.statistics]

HME = 2 * (16 + 32 + 64 + 128)
SIZES = {
    # HME's norms and vector; mean of each context block and DDF: five of each.
    ("hdcfm", "network"): HME + 6 + 10 * 20,
    ("pdcg", "network"): 2 * 2 * 20,
    ("dslnet", "align"): 32,
    ("dslnet", "modulate"): 2 * 32,
    ("kpn_mfi", "network"): 8 * 8 + 8,
    # HME's norms of three frames; MFI.
    ("hdcfm_mfi", "network"): 3 * HME + 32 * 32 + 128 + 6 + 10 * 20,
}


@pytest.fixture
def made(shaken):
    def make(model):
        torch.manual_seed(1)
        return shaken(registry.create(model, **ARGUMENTS[model])).requires_grad_(False)

    return make


def inputs(reads, size=(33, 39), seed=0, n=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(n, parts.CHANNELS[signal], *size, generator=generator) for signal, at in reads.items() for _ in at]


def read_by(part, kind, arguments):
    """Those of a part's arguments that its graph of a kind reads."""
    names = parts.input_names(part.reads)
    return [each for name, each in zip(names, arguments, strict=True) if name in parts.input_names(part.graph(kind))]


@pytest.mark.parametrize(("model", "name"), STEADY)
def test_own_statistics_change_nothing_and_others_do(made, model, name):
    network, part = made(model), parts.of(model)[name]
    plain, of, steady = (graph(network, model, name + suffix) for suffix in ("", ".statistics", ".steady"))
    arguments = inputs(part.reads, n=2)
    before = plain(*arguments)
    own = of(*read_by(part, parts.STATISTICS, arguments))
    assert own.shape == (2, SIZES[model, name], 1, 1)
    assert statistics_size(network, model, name) == SIZES[model, name]
    assert torch.equal(of(*read_by(part, parts.STATISTICS, arguments)), own)
    replayed = steady(*arguments, own)
    torch.testing.assert_close(replayed, before, rtol=1e-4, atol=1e-5)
    other = of(*read_by(part, parts.STATISTICS, inputs(part.reads, seed=1, n=2)))
    for each in (other, own.flip(0), own + 0.5):
        assert (steady(*arguments, each) - before).abs().max() > 5 * (replayed - before).abs().max()
    assert torch.equal(plain(*arguments), before)


def test_first_mean_of_hdcfm_by_hand(made):
    network = made("hdcfm")
    (sdr,) = inputs({"sdr": (0,)})
    found = graph(network, "hdcfm", "network.statistics")(sdr)
    conv = network.first.conv
    expected = conv.weight[:, :, 0, 0] @ sdr.mean((2, 3))[0] + conv.bias  # the mean of a 1x1 convolution
    torch.testing.assert_close(found[0, HME + 6 : HME + 26].flatten(), expected)  # context1
    torch.testing.assert_close(found[0, HME + 26 : HME + 46].flatten(), expected)  # filter1
    pooled = network.condition.pool(network.condition.convs[0](sdr))
    expected = torch.where(pooled > 0, pooled, 0.2 * pooled).mean((2, 3))
    torch.testing.assert_close(found[0, :16].flatten(), expected.flatten())


def test_statistics_of_modulate_look_at_sdr_alone_and_run_nothing_else(made):
    network = made("dslnet")
    of, ran = graph(network, "dslnet", "modulate.statistics"), []
    for module in (network.modulate.residual, network.modulate.modulation.conv):
        module.register_forward_hook(lambda *_: ran.append(1))
    window = inputs({"sdr": (-1, 0, 1)})
    found = of(*window)
    assert not ran
    features = [network.modulate.modulation.condition.color(each) for each in window]
    condition = network.modulate.modulation.condition
    expected = [condition.tme.conv_in(torch.cat(features, 1)), condition.cme.conv_in(features[1])]
    torch.testing.assert_close(found.flatten(), torch.cat([each.mean((2, 3)) for each in expected], 1).flatten())


def test_a_part_shares_the_networks_weights(made):
    network = made("dslnet")
    assert graph(network, "dslnet", "enhance") is network.enhance
    assert graph(network, "dslnet", "align.steady").part is network.align


@pytest.mark.parametrize("radius", [0, 2])
def test_radius(radius):
    network = registry.create("dslnet", radius=radius)
    assert graphs.parts_of(network, "dslnet") == parts.of("dslnet", {"radius": radius})
    assert statistics_size(network, "dslnet", "modulate") == 64


def test_unknown_graph(made):
    for name in ("nothing", "enhance.steady", "network"):
        with pytest.raises(InputError, match=f"graphs: dslnet has no graph '{name}'; choose one of align, align.statistics, "):
            graph(made("dslnet"), "dslnet", name)


def test_a_network_made_without_statistics():
    network = registry.create("dslnet", alignment=False)
    with pytest.raises(InputError, match="computes nothing over the whole frame"):
        graph(network, "dslnet", "align.steady")
    assert graph(network, "dslnet", "align") is network.align
