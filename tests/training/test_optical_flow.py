"""Training of the flow network: batches, the objective, a few steps."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import batches, material, objectives, recipes, temporal_losses, trainer, validation

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

SMALL = dataclasses.replace(
    recipes.load("flow"), phases=(recipes.Phase(size=64, batch=2, steps=2),), warmup=1, report=1, checkpoint=2
)


class Known(nn.Module):
    """Gives the flow of every level as it is, `error` pixels off to the right where `wrong` is."""

    def __init__(self, flow, error=0.0, wrong=None):
        super().__init__()
        self.flow = flow + torch.tensor([error, 0.0]).reshape(1, 2, 1, 1) * (1.0 if wrong is None else wrong)

    def all_levels(self, sdr, reference):
        return [functional.avg_pool2d(self.flow, part) for part in (64, 32, 16, 8, 4)]


@pytest.fixture
def batch(data):
    sources = material.find(data, "train", SMALL.variety)
    return next(batches.from_workers(sources, SMALL, 0, 0))


def test_end_point_error_by_hand():
    flow = torch.zeros(1, 2, 1, 2)
    other = torch.tensor([3.0, 0.0, 4.0, 0.0]).reshape(1, 2, 1, 2)  # (3, 4) off, and right
    torch.testing.assert_close(temporal_losses.end_point_error(flow, other), torch.tensor(2.5), atol=1e-3, rtol=0)
    first = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    torch.testing.assert_close(temporal_losses.end_point_error(flow, other, first), torch.tensor(5.0))
    assert temporal_losses.end_point_error(flow, other, 0 * first) == 0


def test_a_batch(batch):
    sdr, reference, flow, seen = batch
    assert sdr.shape == reference.shape == (2, 3, 64, 64)
    assert flow.shape == (2, 2, 64, 64)
    assert seen.shape == (2, 1, 64, 64)


def test_the_error_at_every_size(batch):
    goal, flow = objectives.create(SMALL), batch[2]
    assert isinstance(goal, objectives.OpticalFlow)
    total, terms = goal.loss(Known(flow), *batch)
    assert total < 0.01
    total, terms = goal.loss(Known(flow, 2.0), *batch)
    assert tuple(terms) == goal.terms
    assert terms["finest"].item() == pytest.approx(2.0, abs=1e-3)
    assert total.item() == pytest.approx(sum(2.0 * objectives.LEVEL_WEIGHT**level for level in range(5)), abs=1e-2)


def test_what_is_not_seen_counts_little(batch):
    goal, (sdr, reference, flow, _) = objectives.create(SMALL), batch
    left = torch.zeros(2, 1, 64, 64)
    left[..., :32] = 1
    hidden = goal.loss(Known(flow, 2.0, left), sdr, reference, flow, 1 - left)[1]["finest"]
    shown = goal.loss(Known(flow, 2.0, left), sdr, reference, flow, left)[1]["finest"]
    weight = objectives.UNSEEN
    assert hidden.item() == pytest.approx(2 * weight / (1 + weight), abs=0.02)
    assert shown.item() == pytest.approx(2 / (1 + weight), abs=0.02)


def test_other_models_have_no_flow():
    with pytest.raises(InputError, match=r"train: 'hdcfm' estimates no flow; leave out displacement"):
        objectives.create(dataclasses.replace(SMALL, model="hdcfm"))


def test_refusals():
    with pytest.raises(InputError, match="displacement"):
        dataclasses.replace(SMALL, bars=0.1)
    with pytest.raises(InputError, match="leave out --pairs device"):
        batches.on_device(material.Sources([], [], []), SMALL, 0, torch.device("cpu"))


def test_validation_is_of_flow(data):
    sources = material.find(data, "train", SMALL.variety)
    found = batches.of_validation(sources, SMALL)
    assert sum(len(flow) for _, flow in found) == validation.PAIRS
    both, flow = found[0]
    assert both.shape == (2, 2, 3, 64, 64)
    assert flow.shape == (2, 2, 64, 64)


def test_it_trains(data, tmp_path):
    from vs_hdrtv.networks import registry

    torch.manual_seed(1)
    network = registry.create("flow")
    before = network.state_dict()["estimator.last.bias"].clone()
    options = trainer.Options(name="flow", workers=1)
    found = trainer.train(network, SMALL, data, tmp_path, objective=objectives.create(SMALL), compiled=False, options=options)
    assert (found["estimator.last.bias"] != before).any()
    assert (tmp_path / "curve.csv").read_text().startswith("step,end_point,finest")


def test_the_recipe_in_words():
    recipe = recipes.load("flow")
    assert recipe.kind == "flow"
    assert "end-point error" in recipe.losses({})
    assert "pairs of frames of 128 px" in recipe.views()
