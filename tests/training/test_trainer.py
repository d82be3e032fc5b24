import csv
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from vs_hdrtv.training import recipes, trainer

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # DataLoader forks its worker; torch's own threads are idle at that moment.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

RECIPE = recipes.Recipe(
    model="tiny",
    after="",
    phases=(recipes.Phase(size=32, batch=2, steps=4), recipes.Phase(size=48, batch=1, steps=4)),
    dropout=0.3,
    bars=0.5,
    look=1.0,
    ictcp=0.0,
    warmup=2,
    learning_rate=1e-2,
    clip=1.0,
    average=0.9,
    seed=5,
    report=3,
    checkpoint=5,
)


class Tiny(nn.Module):
    """A network with dropout, so that the random state counts. `stop` ends it like a power cut."""

    def __init__(self, stop=None):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(8, 3, 1))
        self.calls, self.stop = 0, stop

    def forward(self, sdr):
        self.calls += 1
        if self.calls == self.stop:
            raise KeyboardInterrupt
        return self.layers(sdr)


def network(stop=None):
    torch.manual_seed(0)
    return Tiny(stop)


def curve(folder):
    with (folder / "curve.csv").open(newline="") as file:
        return [(int(row["step"]), float(row["l1"])) for row in csv.DictReader(file)]


def test_an_interrupted_run_ends_as_one_that_was_not(data, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    first = network()
    expected = trainer.train(first, RECIPE, data, whole, compiled=False)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(network(stop=8), RECIPE, data, parts, compiled=False)
    again = network()
    result = trainer.train(again, RECIPE, data, parts, compiled=False)

    assert again.calls == 3  # from the checkpoint of step 5
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
        assert torch.equal(expected[name], result[name]), name
    # Reports: 3 and 6 steps, and the end; the resumed run does not report a step twice.
    assert [step for step, _ in curve(whole)] == [step for step, _ in curve(parts)] == [3, 6, 8]
    assert not list(parts.glob("*.partial"))


def test_reports_are_means_of_the_steps_since_the_last_one(data, tmp_path):
    recipe = dataclasses.replace(RECIPE, checkpoint=4, report=1)
    trainer.train(network(), recipe, data, tmp_path / "each", compiled=False)
    each = [loss for _, loss in curve(tmp_path / "each")]
    # Interrupted between two reports and resumed: the second report after that is a mean over 3 steps again.
    recipe = dataclasses.replace(RECIPE, checkpoint=1, report=3)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(network(stop=3), recipe, data, tmp_path / "means", compiled=False)
    trainer.train(network(), recipe, data, tmp_path / "means", compiled=False)
    reported = dict(curve(tmp_path / "means"))
    assert reported[6] == pytest.approx(np.mean(each[3:6]), abs=2e-6)
    assert reported[8] == pytest.approx(np.mean(each[6:8]), abs=2e-6)


def test_a_finished_run_is_left_alone(data, tmp_path):
    expected = trainer.train(network(), RECIPE, data, tmp_path, compiled=False)
    again = network()
    result = trainer.train(again, RECIPE, data, tmp_path, compiled=False)
    assert again.calls == 0
    assert all(torch.equal(expected[name], result[name]) for name in expected)


def test_the_learning_rate_warms_up_and_ends():
    recipe = dataclasses.replace(RECIPE, phases=(recipes.Phase(size=32, batch=1, steps=100),), warmup=10)
    rates = [trainer.learning_rate(recipe, step) for step in range(101)]
    # By definition: a tenth, then tenths up to the peak; half a cosine down to 1 % of it.
    assert rates[0] == pytest.approx(1e-3)
    assert rates[9] == rates[10] == pytest.approx(1e-2)
    assert rates[55] == pytest.approx(1e-2 * (0.01 + 0.99 / 2))
    assert rates[100] == pytest.approx(1e-4)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert trainer.learning_rate(recipe, 1000) == pytest.approx(1e-4)


def test_a_few_steps_lower_the_loss(data, tmp_path):
    steps = (recipes.Phase(size=32, batch=4, steps=40),)
    recipe = dataclasses.replace(RECIPE, phases=steps, report=10, checkpoint=40)
    trainer.train(network(), recipe, data, tmp_path, compiled=False)
    losses = [loss for _, loss in curve(tmp_path)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_average_follows_the_weights(data, tmp_path):
    trained = network()
    start = {name: value.clone() for name, value in trained.state_dict().items()}
    average = trainer.train(trained, RECIPE, data, tmp_path, compiled=False)
    for name, value in trained.state_dict().items():
        distance = (average[name] - value).norm()
        assert 0 < distance < (start[name] - value).norm() + 1e-3


def test_batches_are_a_function_of_recipe_and_step(data):
    from vs_hdrtv.training import material

    pictures = material.find(data, "train").load()
    first, again = (trainer.make_batch(pictures, RECIPE, 1) for _ in range(2))
    assert all(np.array_equal(a.sdr, b.sdr) and np.array_equal(a.hdr, b.hdr) for a, b in zip(first, again, strict=True))
    assert first[0].sdr.shape == (3, 32, 32)
    later = trainer.make_batch(pictures, RECIPE, 4)
    assert len(first) == 2
    assert len(later) == 1
    assert later[0].sdr.shape == (3, 48, 48)
    sdr, hdr = next(iter(trainer.PairStream(data, "train", RECIPE, 1)))
    np.testing.assert_array_equal(sdr.numpy(), np.stack([pair.sdr for pair in first]))
    np.testing.assert_array_equal(hdr.numpy(), np.stack([pair.hdr for pair in first]))
