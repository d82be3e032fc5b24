import math

import pytest
import torch
from torch import nn

from vs_hdrtv.training import gradients


def layer(*values):
    weight = nn.Parameter(torch.zeros(len(values)))
    weight.grad = torch.tensor(values)
    return weight


def test_finite_gradients_are_torchs_own():
    one, other = layer(3.0, 0.0), layer(0.0, 4.0)
    assert gradients.clip(iter([one, other]), 1.0)
    torch.testing.assert_close(torch.cat([one.grad, other.grad]), torch.tensor([0.6, 0.0, 0.0, 0.8]))
    small = layer(0.25, 0.0)
    gradients.clip([small], 1.0)
    assert small.grad.tolist() == [0.25, 0.0]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_one_that_is_no_number_takes_all_out(odd):
    one, other, none = layer(1.0, odd), layer(2.0), nn.Parameter(torch.zeros(1))
    assert not gradients.clip([one, other, none], 1.0)
    assert (one.grad.tolist(), other.grad.tolist(), none.grad) == ([0.0, 0.0], [0.0], None)
