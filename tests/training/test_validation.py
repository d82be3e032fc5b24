import pytest
import torch
from torch import nn

from vs_hdrtv.errors import InputError
from vs_hdrtv.training.validation import Validation, Validator


class Gain(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(0.5)

    def forward(self, sdr):
        return self.dropout(sdr * self.gain)


class Twice:
    """An objective whose result is twice the network's."""

    def apply(self, network, sdr):
        return 2 * network(sdr)


def test_means_over_the_pairs_with_the_weights_that_are_given():
    loaded = []

    def load():
        loaded.append(1)
        sdr = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1).expand(3, 3, 4, 4)
        return [(sdr[:2], torch.zeros(2, 3, 4, 4)), (sdr[2:], torch.zeros(1, 3, 4, 4))]

    network = Gain().train()
    validator = Validator(network, Twice(), {"sum": lambda one, other: float((one - other).mean())}, load)
    state = torch.get_rng_state()
    assert validator.measure({"gain": torch.tensor([5.0])}) == {"sum": pytest.approx(2 * 5 * 2)}
    assert validator.measure({"gain": torch.tensor([0.5])}) == {"sum": pytest.approx(2 * 0.5 * 2)}
    assert len(loaded) == 1
    # The one in training was left alone, and so was the random state.
    assert network.training
    assert network.gain.item() == 1
    assert torch.equal(torch.get_rng_state(), state)


def test_every_is_checked():
    with pytest.raises(InputError, match="--validate-every is 0; give steps"):
        Validation(measures={}, every=0)
