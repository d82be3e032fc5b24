import csv
import dataclasses
import io
import math
import shutil
import signal
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import difference
from vs_hdrtv.networks import registry
from vs_hdrtv.training import batches, checkpoints, material, objectives, recipes, scenes, stopping, trainer, validation

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


class Clock:
    """Seconds that pass when a network is asked."""

    now = 0.0

    def __call__(self):
        return self.now


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


class Meanwhile(Tiny):
    """Something happens while a step is computed."""

    def __init__(self, at, what):
        super().__init__()
        self.at, self.what = at, what

    def forward(self, sdr):
        result = super().forward(sdr)
        if self.calls == self.at:
            self.what()
        return result


def meanwhile(at, what):
    torch.manual_seed(0)
    return Meanwhile(at, what)


def assert_alike(one, other):
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_stopped_by_a_signal_or_the_clock_it_ends_as_one_that_was_not(data, tmp_path, caplog):
    """Three pieces: SIGTERM in step 2, the minutes over in step 4 (both between two checkpoints of the recipe), the rest."""
    caplog.set_level("INFO")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    first = network()
    expected = trainer.train(first, RECIPE, data, whole, compiled=False)

    stop = stopping.Stop()
    with stop.listening():
        cut = meanwhile(2, lambda: signal.raise_signal(signal.SIGTERM))
        average = trainer.train(cut, RECIPE, data, parts, compiled=False, stop=stop)
    assert (stop.code, cut.calls) == (143, 2)
    assert f"stopped (SIGTERM) at step 2 of 8; the same command goes on from {parts / 'checkpoint.pt'}" in caplog.text
    assert_alike(average, load_file(parts / "average.safetensors"))

    clock = Clock()
    stop = stopping.Stop(10, clock)
    cut = meanwhile(2, lambda: setattr(clock, "now", 601.0))
    trainer.train(cut, RECIPE, data, parts, compiled=False, stop=stop)
    assert (stop.code, cut.calls) == (0, 2)
    assert "stopped (after 10 minutes) at step 4 of 8" in caplog.text

    again, stop = network(), stopping.Stop()
    result = trainer.train(again, RECIPE, data, parts, compiled=False, stop=stop)
    assert (stop.reason, again.calls) == (None, 4)
    assert_alike(first.state_dict(), again.state_dict())
    assert_alike(expected, result)
    assert_alike(expected, load_file(parts / "average.safetensors"))
    # Sums that a report is made of are in the checkpoint: the curve is the same, too.
    assert curve(whole) == curve(parts)


def test_stopped_before_the_first_step(data, tmp_path):
    stop = stopping.Stop(1, clock := Clock())
    clock.now = 60.0
    trainer.train(network(), RECIPE, data, tmp_path, compiled=False, stop=stop)
    again = network()
    expected = trainer.train(network(), RECIPE, data, tmp_path / "whole", compiled=False)
    assert_alike(expected, trainer.train(again, RECIPE, data, tmp_path, compiled=False))
    assert again.calls == 8


def test_a_checkpoint_every_few_minutes(data, tmp_path):
    clock = Clock()
    options = trainer.Options(checkpoint_minutes=5)

    def pass_time():
        clock.now += 301

    cut = meanwhile(2, pass_time)
    cut.stop = 4  # a power cut
    with pytest.raises(KeyboardInterrupt):
        trainer.train(cut, RECIPE, data, tmp_path, compiled=False, options=options, stop=stopping.Stop(None, clock))
    assert checkpoints.read(tmp_path / "checkpoint.pt")["step"] == 2


def test_checkpoints_of_before_go_on_and_those_of_other_recipes_do_not(data, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = trainer.train(network(), RECIPE, data, whole, compiled=False)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(network(stop=7), RECIPE, data, parts, compiled=False)
    other = dataclasses.replace(RECIPE, seed=6)
    with pytest.raises(InputError, match=r"seed 5 \(now 6\); go on with the same recipe"):
        trainer.train(network(), other, data, parts, compiled=False)
    # What checkpoints had before this module noted recipe, scaler, totals and precision.
    state = torch.load(parts / "checkpoint.pt", weights_only=True)
    torch.save({name: state[name] for name in ("network", "optimizer", "average", "step")}, parts / "checkpoint.pt")
    assert_alike(expected, trainer.train(network(), RECIPE, data, parts, compiled=False))


def test_a_shrunk_checkpoint_goes_on_and_says_that_it_is_not_exact(data, tmp_path, caplog, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = trainer.train(network(), RECIPE, data, whole, compiled=False)
    monkeypatch.setattr(checkpoints, "LIMIT", 4000)
    options = trainer.Options(small=True)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(network(stop=7), RECIPE, data, parts, compiled=False, options=options)
    again = network()
    result = trainer.train(again, RECIPE, data, parts, compiled=False, options=options)
    assert again.calls == 3
    assert "going on from here is not exact" in caplog.text
    assert all(path.stat().st_size < 4000 for path in parts.glob("checkpoint*"))
    assert any(not torch.equal(value, result[name]) for name, value in expected.items())
    for name, value in expected.items():
        torch.testing.assert_close(result[name], value, atol=2e-3, rtol=0.02)


def test_pdcg_goes_on_from_a_small_checkpoint(data, tmp_path, caplog):
    steps = dataclasses.replace(recipes.load("pdcg"), phases=(recipes.Phase(size=32, batch=1, steps=2),), checkpoint=1, report=1)
    options = trainer.Options(small=True)

    def run(minutes=None):
        torch.manual_seed(0)
        objective = objectives.Overexposure(steps, nn.Identity(), None, {})
        stop, clock = None, Clock()
        if minutes:
            stop = stopping.Stop(minutes, clock)
            learn = objective.learn
            objective.learn = lambda rate: setattr(clock, "now", 60 * minutes) or learn(rate)
        made = registry.create("pdcg")
        trainer.train(made, steps, data, tmp_path, objective=objective, compiled=False, options=options, stop=stop)

    for minutes, step in ((1, 1), (None, 2)):
        run(minutes)
        files = list(tmp_path.glob("checkpoint*"))
        assert [file.name for file in files] == ["checkpoint.pt"]
        assert files[0].stat().st_size < 16 * 2**20
        assert checkpoints.read(files[0])["step"] == step
    assert "not exact" in caplog.text
    assert [step for step, _ in curve(tmp_path)] == [1, 2]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_the_same_and_resumes(data, tmp_path, precision, caplog):
    whole, parts, single = tmp_path / "whole", tmp_path / "parts", tmp_path / "single"
    options = trainer.Options(precision=precision)
    expected = trainer.train(network(), RECIPE, data, whole, compiled=False, options=options)
    trainer.train(network(), RECIPE, data, single, compiled=False)
    for (step, loss), (other, reference) in zip(curve(whole), curve(single), strict=True):
        assert step == other
        assert loss == pytest.approx(reference, rel=0.05)
        assert loss != reference
    with pytest.raises(KeyboardInterrupt):
        trainer.train(network(stop=7), RECIPE, data, parts, compiled=False, options=options)
    state = checkpoints.read(parts / "checkpoint.pt")
    assert ("scale" in state["scaler"]) == (precision == "float16")
    assert_alike(expected, trainer.train(network(), RECIPE, data, parts, compiled=False, options=options))
    with pytest.raises(KeyboardInterrupt):
        trainer.train(network(stop=7), RECIPE, data, tmp_path / "mixed", compiled=False, options=options)
    trainer.train(network(), RECIPE, data, tmp_path / "mixed", compiled=False)
    assert f"the steps before were in {precision}, those from here on are in float32" in caplog.text


def test_metrics_while_it_goes_on_change_nothing(data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    name = next(name for name in ("placeja_1k", "placera_1k") if scenes.split(scenes.location(name)) == "validation")
    shutil.copy(folder / "dancing_hall_1k.hdr", folder / f"{name}.hdr")
    measures = {"psnr_db": difference.psnr, "delta_e_itp": difference.delta_e_itp}
    options = trainer.Options(validation=validation.Validation(every=2, measures=measures))
    first, second = network(), network()
    expected = trainer.train(first, RECIPE, folder, tmp_path / "without", compiled=False)
    average = trainer.train(second, RECIPE, folder, tmp_path / "with", compiled=False, options=options)
    assert_alike(expected, average)
    assert_alike(first.state_dict(), second.state_dict())
    assert curve(tmp_path / "without") == curve(tmp_path / "with")
    with (tmp_path / "with" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8]
    assert len({row["psnr_db"] for row in rows}) == 4
    # The last row by hand: the average's results on the same pairs, without dropout.
    held = batches.of_validation(material.find(folder, "validation"), RECIPE)
    assert sum(len(sdr) for sdr, _ in held) == validation.PAIRS
    plain = network().eval()
    plain.load_state_dict(average)
    with torch.no_grad():
        values = [difference.psnr(one, hdr) for sdrs, hdrs in held for one, hdr in zip(plain(sdrs), hdrs, strict=True)]
    assert float(rows[-1]["psnr_db"]) == pytest.approx(np.mean(values), abs=1e-4)
    assert not (tmp_path / "without" / "metrics.csv").exists()
    assert (tmp_path / "with" / "curve.png").stat().st_size > 1000


def test_a_folder_without_validation_scenes(data, tmp_path, caplog):
    one = dataclasses.replace(RECIPE, phases=(recipes.Phase(size=32, batch=1, steps=1),))
    wanted = validation.Validation(measures={"psnr_db": difference.psnr})
    trainer.train(network(), one, data, tmp_path / "a", compiled=False, options=trainer.Options(validation=wanted))
    assert "no metrics while it goes on: scenes: no validation scene" in caplog.text
    wanted = dataclasses.replace(wanted, required=True)
    with pytest.raises(InputError, match="no validation scene"):
        trainer.train(network(), one, data, tmp_path / "b", compiled=False, options=trainer.Options(validation=wanted))


def test_a_bar_at_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        there = True

        def isatty(self):
            return self.there

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with trainer._progress(8, 3) as advance:
        advance()
    assert "4/8" in screen.getvalue()
    screen = Terminal()
    screen.there = False
    monkeypatch.setattr(sys, "stderr", screen)
    with trainer._progress(8, 3) as advance:
        advance()
    assert screen.getvalue() == ""


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workers": 0}, "--workers is 0; give 1 or more"),
        ({"checkpoint_minutes": 0.0}, "--checkpoint-minutes is 0; give a number"),
    ],
)
def test_options_are_checked(wrong, message):
    with pytest.raises(InputError, match=message):
        trainer.Options(**wrong)


def test_an_output_that_cannot_be_made(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"train: cannot make .*: Not a directory; give another --output"):
        trainer.train(network(), RECIPE, data, tmp_path / "file" / "run", compiled=False)


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


class Odd(Tiny):
    """Its results are no numbers in the steps `at`."""

    def __init__(self, *at):
        super().__init__()
        self.at = at

    def forward(self, sdr):
        return super().forward(sdr) * (math.nan if self.calls in self.at else 1.0)


def test_steps_without_a_finite_loss_are_left_out(data, tmp_path, caplog):
    recipe = dataclasses.replace(RECIPE, report=4)
    torch.manual_seed(0)
    average = trainer.train(odd := Odd(2, 3), recipe, data, tmp_path, compiled=False)
    assert all(value.isfinite().all() for value in (*average.values(), *odd.state_dict().values()))
    assert all(math.isfinite(loss) for _, loss in curve(tmp_path))
    assert [r.message for r in caplog.records if "finite" in r.message] == [
        "train: 2 of the last 4 steps had no finite loss and were left out"
    ]


def test_a_loss_that_is_no_number_any_more_ends_the_run(data, tmp_path):
    recipe = dataclasses.replace(RECIPE, report=2, checkpoint=2)
    torch.manual_seed(0)
    with pytest.raises(InputError, match=r"last 2 steps up to 6 no loss was finite.*learning_rate.*checkpoint.pt has step 4$"):
        trainer.train(Odd(5, 6), recipe, data, tmp_path, compiled=False)
    assert checkpoints.read(tmp_path / "checkpoint.pt")["step"] == 4


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
