"""HDCFM: size and what it must not do."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import registry
from vs_hdrtv.networks.blocks import thumbnail
from vs_hdrtv.networks.hdcfm import HDCFM


class Largest(TorchDispatchMode):
    """Remembers the shape of every tensor that an operator gives."""

    def __init__(self):
        super().__init__()
        self.shapes = set()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, torch.Tensor):
                self.shapes.add(tuple(each.shape))
        return result


def test_parameters_are_those_of_the_published_network():
    # state_dict.csv of the reference: 168 tensors.
    network = HDCFM()
    assert sum(parameter.numel() for parameter in network.parameters()) == 100_682
    assert len(network.state_dict()) == 168


@pytest.mark.parametrize("size", [(32, 32), (45, 70)])
def test_full_size_map_of_128_channels_is_never_built(size):
    with torch.no_grad(), Largest() as seen:
        result = HDCFM().eval()(torch.rand(1, 3, *size))
    assert result.shape == (1, 3, *size)
    assert (1, 64, *size) in seen.shapes  # the recorder sees full-size maps
    height, width = size
    assert not [s for s in seen.shapes if len(s) == 4 and s[1] >= 128 and s[2] * s[3] > (height * width) // 16]


# Rows of the paper's ablation, and their parameters by hand. M0: three 1x1 convolutions, five of the condition with norms, one
# head, and global modulation of 64, 64 and 3 channels. Then five DDFs, five context blocks; local modulation for global (the same
# number); the other head and local modulation of 64 and 64 channels beside the global one.
M0 = (3 * 64 + 64 + 64 * 64 + 64 + 64 * 3 + 3) + 28_032 + (128 * 6 + 6) + 2 * 7 * (64 + 64 + 3)
M1 = M0 + 5 * 8853
M2 = M1 + 5 * 3720
M4 = M2 + (128 * 6 + 6) + 2 * 7 * (64 + 64)


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({"transformation": False, "context": False, "modulation": "global"}, M0),
        ({"context": False, "modulation": "global"}, M1),
        ({"modulation": "global"}, M2),
        ({"modulation": "local"}, M2),
        ({"modulation": "hierarchical"}, M4),
    ],
)
def test_parts_that_are_left_out_leave_no_parameters(arguments, parameters):
    assert M4 == 100_682
    network = HDCFM(**arguments)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    network(torch.rand(1, 3, 33, 40)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())  # nothing is there that is not used


@pytest.mark.parametrize(
    ("arguments", "depends"),
    [
        ({"transformation": False, "context": False, "modulation": "global"}, False),
        ({"transformation": False, "context": True, "modulation": "global"}, False),
        ({"transformation": False, "context": False, "modulation": "local"}, True),
        ({"transformation": True, "context": False, "modulation": "global"}, True),
    ],
)
def test_what_a_pixel_becomes_depends_on_its_place(arguments, depends):
    # Two colours in random places: a map from colour to colour gives two again; neighbours and local conditions give more.
    torch.manual_seed(0)
    network = HDCFM(**arguments).double().eval()
    for parameter in network.parameters():
        parameter.data.mul_(1.5)
    place = torch.rand(64, 64) < torch.linspace(0, 1, 64)
    sdr = torch.where(place, 0.8, 0.2).expand(1, 3, 64, 64).double()
    result = network(sdr)[0].detach()
    spread = max(float(result[:, each].std(dim=1).max()) for each in (place, ~place))
    assert (spread > 1e-6) == depends


def test_unknown_modulation():
    with pytest.raises(InputError, match="hdcfm: unknown modulation 'both'; choose one of global, local, hierarchical"):
        HDCFM(modulation="both")


def test_unknown_output():
    with pytest.raises(InputError, match="hdcfm: unknown output 'pq'; choose one of signal, light"):
        HDCFM(output="pq")


def test_output_of_light_starts_at_bt2408_and_has_no_more_parameters():
    torch.manual_seed(0)
    network = HDCFM(output="light").eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 100_682
    assert network.state_dict().keys() == HDCFM().state_dict().keys()
    sdr = torch.rand(1, 3, 40, 48)
    with torch.no_grad():
        torch.testing.assert_close(network(sdr), bt2408(sdr), atol=0.05, rtol=0)
    network.train()(sdr).sum().backward()
    assert float(network.last.conv.weight.grad.abs().max()) > 0


def test_output_of_light_keeps_grey_and_black_whatever_the_weights_are(shaken):
    torch.manual_seed(0)
    network = shaken(HDCFM(output="light")).eval()
    grey = torch.rand(1, 1, 64, 64).expand(1, 3, 64, 64).clone()
    grey[..., :8, :] = 0
    with torch.no_grad():
        hdr = network(grey)
        colored = network(torch.rand(1, 3, 64, 64))
    assert float((hdr.amax(1) - hdr.amin(1)).max()) < 1e-4
    assert float(hdr[..., :8, :].max()) < 0.5 / 1023
    assert float((colored - bt2408(torch.rand(1, 3, 64, 64))).abs().max()) > 0.1  # it does change something


@pytest.mark.parametrize("modulation", ["hierarchical", "local", "global"])
def test_restraint_multiplies_what_the_last_layer_gives(shaken, modulation):
    torch.manual_seed(0)
    network = shaken(HDCFM(output="light", modulation=modulation)).eval()
    sdr = torch.rand(1, 3, 40, 48)
    factors = torch.tensor([0.75, 0.5, 0.0])
    with torch.no_grad():
        network.output = "signal"  # the last layer itself
        before = network(sdr)
        network.restrain(factors.tolist())
        torch.testing.assert_close(network(sdr), before * factors.reshape(3, 1, 1))
        assert float(before.abs().amax((0, 2, 3)).min()) > 0.01
        network.output = "light"
        network.restrain((0, 0, 0))
        torch.testing.assert_close(network(sdr), bt2408(sdr), atol=1e-3, rtol=0)  # the mapping that it changes


def test_restraint_of_two_numbers():
    with pytest.raises(InputError, match=r"hdcfm: restraint is \[0.5, 1.0\]; give three numbers"):
        HDCFM(output="light").restrain((0.5, 1.0))


THUMBNAIL = {"channels": 20, "thumbnail": 48}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # shares of pixels are float32


def test_thumbnail_is_the_mean_of_parts():
    frame = torch.rand(2, 3, 96, 144, dtype=torch.float64)
    torch.testing.assert_close(thumbnail(frame, 48), functional.avg_pool2d(frame, (2, 3)), **CLOSE)
    torch.testing.assert_close(thumbnail(frame[..., :48, :48], 48), frame[..., :48, :48], **CLOSE)
    odd = thumbnail(torch.rand(1, 1, 33, 50, dtype=torch.float64), 48)  # parts smaller than pixels, and of several
    assert odd.shape == (1, 1, 48, 48)
    torch.testing.assert_close(
        thumbnail(torch.full((1, 1, 37, 1080), 0.3, dtype=torch.float64), 48), torch.full_like(odd, 0.3), **CLOSE
    )


def test_conditions_of_a_thumbnail_are_the_same_at_every_size(shaken):
    torch.manual_seed(0)
    plain, network = (shaken(HDCFM(**arguments)).eval() for arguments in ({"channels": 20}, THUMBNAIL))
    small = torch.rand(1, 3, 48, 48)
    large = small.repeat_interleave(8, dim=2).repeat_interleave(5, dim=3)  # 384 x 240, the same picture
    with torch.no_grad():
        conditions = [network.condition(each) for each in (small, large)]
        torch.testing.assert_close(conditions[0][0], conditions[1][0], rtol=1e-4, atol=1e-5)
        cells = [functional.adaptive_avg_pool2d(local, 4) for _, local in conditions]
        torch.testing.assert_close(*cells, rtol=1e-3, atol=1e-3)
        first, other = (plain.condition(each)[0] for each in (small, large))
    assert (first - other).abs().max() > 0.01  # those of the frame itself are not


def test_a_thumbnail_that_cannot_be_shrunk():
    with pytest.raises(InputError, match="hdcfm: thumbnail is 16; give 32 pixels or more, or 0 for the frame itself"):
        HDCFM(thumbnail=16)


def test_registry():
    assert isinstance(registry.create("hdcfm"), HDCFM)
    with pytest.raises(InputError, match="networks: unknown network 'x'; choose one of"):
        registry.create("x")
