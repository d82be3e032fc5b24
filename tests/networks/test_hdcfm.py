"""HDCFM: size and what it must not do."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import registry
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


def test_registry():
    assert isinstance(registry.create("hdcfm"), HDCFM)
    with pytest.raises(InputError, match="networks: unknown network 'x'; choose one of"):
        registry.create("x")
