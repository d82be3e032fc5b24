"""The second stage's training: what is learnt, what is checkpointed, exact resume."""

import dataclasses
import json
import math

import pytest
import torch
from torch import nn

from vs_hdrtv import weights
from vs_hdrtv.color.overexposure import overexposure_mask
from vs_hdrtv.errors import InputError
from vs_hdrtv.networks.kpn_mfi import KPNMFI
from vs_hdrtv.networks.pdcg import PDCG
from vs_hdrtv.training import batches, losses, objectives, recipes, trainer

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # DataLoader forks its worker; torch's own threads are idle at that moment.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

RECIPE = recipes.Recipe(
    model="pdcg",
    after="",
    phases=(recipes.Phase(size=32, batch=2, steps=6),),
    bars=0.0,
    warmup=1,
    learning_rate=2e-3,
    clip=1.0,
    average=0.9,
    seed=5,
    report=2,
    checkpoint=3,
    first_stage="hdcfm",
    overexposed=0.05,
    perceptual=0.5,
    adversarial=0.005,
)


class FirstStage(nn.Module):
    def forward(self, sdr):
        return 0.58 * sdr**0.5  # white at 203 cd/m2


class Stopping(PDCG):
    """`stop` ends it like a power cut."""

    def __init__(self, stop=None):
        torch.manual_seed(0)
        super().__init__(32, blocks=1)
        self.calls, self.stop = 0, stop

    def forward(self, hdr, sdr):
        self.calls += 1
        if self.calls == self.stop:
            raise KeyboardInterrupt
        return super().forward(hdr, sdr)


def objective(recipe=RECIPE, setup=None):
    torch.manual_seed(9)
    perceptual = losses.Perceptual(nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU()))
    return objectives.Overexposure(recipe, FirstStage(), perceptual, setup or {"first_stage": "one"})


def batch():
    """A bright blob with a clipped top, and its master."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    light = 1.5 * torch.exp(-2 * (x**2 + y**2)).repeat(2, 3, 1, 1) * torch.tensor([1.0, 0.9, 0.8]).reshape(1, 3, 1, 1)
    return light.clamp(max=1), 0.58 * light**0.5


def test_overfitting_one_batch_lowers_the_loss():
    sdr, hdr = batch()
    network, goal = Stopping(), objective()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    found = []
    for _ in range(25):
        loss, terms = goal.loss(network, sdr, hdr)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        terms |= goal.learn(2e-3)
        assert tuple(terms) == goal.terms == ("l1", "perceptual", "adversarial", "discriminator")
        found.append({name: float(value) for name, value in terms.items()})
    assert found[-1]["l1"] < 0.4 * found[0]["l1"]
    assert found[-1]["discriminator"] < found[0]["discriminator"]


def test_the_sum_is_the_papers():
    sdr, hdr = batch()
    total, terms = objective().loss(Stopping(), sdr, hdr)
    # Formula 4: 1.0, 0.5 and 0.005.
    torch.testing.assert_close(total.detach(), terms["l1"] + 0.5 * terms["perceptual"] + 0.005 * terms["adversarial"])


def test_a_perfect_generator_costs_nothing_but_the_discriminators_opinion():
    sdr, hdr = batch()
    mask = overexposure_mask(sdr)
    first = FirstStage()(sdr)

    class Perfect(nn.Module):
        def forward(self, hdr_in, sdr_in):
            assert torch.equal(hdr_in, first)
            return hdr * mask + first * (1 - mask)

    _, terms = objective().loss(Perfect(), sdr, torch.where(mask > 0, hdr, torch.ones_like(hdr)))
    assert terms["perceptual"] == pytest.approx(0, abs=1e-6)
    assert terms["l1"] < 0.02  # the soft edge keeps some of the first stage


def test_the_first_stage_and_the_discriminator_are_left_alone_by_the_networks_step():
    sdr, hdr = batch()
    goal = objective()
    goal.loss(Stopping(), sdr, hdr)[0].backward()
    assert all(parameter.grad is None for parameter in goal.adversary.discriminator.parameters())
    before = {name: value.clone() for name, value in goal.adversary.discriminator.state_dict().items()}
    goal.learn(1e-3)
    assert any(not torch.equal(before[name], value) for name, value in goal.adversary.discriminator.state_dict().items())
    assert goal.learn(1e-3) == {}  # once a step


def test_an_interrupted_run_ends_as_one_that_was_not(data, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    first, goal = Stopping(), objective()
    expected = trainer.train(first, RECIPE, data, whole, objective=goal, compiled=False)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(Stopping(stop=5), RECIPE, data, parts, objective=objective(), compiled=False)
    again, resumed = Stopping(), objective()
    result = trainer.train(again, RECIPE, data, parts, objective=resumed, compiled=False)
    assert again.calls == 3  # from the checkpoint of step 3
    assert all(torch.equal(expected[name], result[name]) for name in expected)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())
    ours, theirs = (each.adversary.discriminator.state_dict() for each in (goal, resumed))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    curves = [(folder / "curve.csv").read_text().splitlines() for folder in (whole, parts)]
    assert curves[0][0] == "step,l1,perceptual,adversarial,discriminator"
    # The report of step 4 is a mean over the steps since the resume; all others are the same.
    assert [curve[:2] + curve[3:] for curve in curves[:1]] == [curve[:2] + curve[3:] for curve in curves[1:]]
    assert json.loads((whole / "setup.json").read_text()) == {"first_stage": "one"}


def test_a_run_goes_on_only_with_the_same_setup(data, tmp_path):
    recipe = dataclasses.replace(RECIPE, phases=(recipes.Phase(size=32, batch=1, steps=1),), checkpoint=1)
    trainer.train(Stopping(), recipe, data, tmp_path, objective=objective(recipe), compiled=False)
    with pytest.raises(InputError, match="was made with first_stage: one, not with first_stage: other; go on with the same"):
        trainer.train(Stopping(), recipe, data, tmp_path, objective=objective(recipe, {"first_stage": "other"}), compiled=False)


def test_pairs_have_enough_that_is_overexposed(data):
    from vs_hdrtv.training import material

    loaded = material.find(data, "train", RECIPE.variety).load()
    recipe = dataclasses.replace(RECIPE, overexposed=0.1)
    shares = [
        (overexposure_mask(pair.sdr[None]) > 0).mean() for step in range(6) for pair in batches.make_batch(loaded, recipe, step)
    ]
    assert min(shares) >= 0.1
    anyway = dataclasses.replace(RECIPE, overexposed=0.0)
    assert len(batches.make_batch(loaded, anyway, 0)) == 2


class TestCreate:
    def test_behind_the_shipped_model(self, caplog):
        goal = objectives.create(RECIPE)
        assert goal.terms == ("l1", "adversarial", "discriminator")
        assert goal.setup["first_stage"] == f"hdcfm (safetensors sha256 {weights.find('hdcfm').safetensors_sha256})"
        assert goal.setup["perceptual"] == "none: no feature network was given, its weight was 0"
        assert "the perceptual loss is left out" in caplog.text
        assert not any(parameter.requires_grad for parameter in goal.frozen[0].parameters())

    def test_the_first_stage_is_as_it_was(self):
        assert isinstance(objectives.create(recipes.load("hdcfm")), objectives.FeatureMapping)

    def test_refusals(self, pdcg_card):
        with pytest.raises(InputError, match="are for networks of the second stage; leave them out"):
            objectives.create(recipes.load("hdcfm"), perceptual="vgg19=x.pth")
        with pytest.raises(InputError, match="unknown model 'nothing'"):
            objectives.create(RECIPE, "nothing")
        with pytest.raises(InputError, match="first stage 'random' reads hdr and sdr; give one from sdr to hdr"):
            objectives.create(RECIPE, str(pdcg_card.path))


class Window(nn.Module):
    """Three frames to one that is `gain` times their weighted sum, or to all three; or one to one."""

    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, *frames):
        weights = {1: (1.0,), 3: (0.25, 0.5, 0.25)}[len(frames)]
        return self.gain * sum(weight * frame for weight, frame in zip(weights, frames, strict=True))

    def all_frames(self, *frames):
        return torch.stack([self.gain * frame for frame in frames], dim=1)


def levels(*values, size=48):
    """(1, T, 3, size, size): frames of one value each."""
    return torch.tensor(values).reshape(1, -1, 1, 1, 1).expand(1, len(values), 3, size, size)


class TestClipMapping:
    SDR, HDR = (levels(0.2, 0.4, 0.8), levels(0.1, 0.2, 0.3))

    def goal(self, name, **changes):
        return objectives.create(dataclasses.replace(recipes.load(name), **changes))

    def test_every_frame_is_a_picture_for_hdcfm(self):
        goal = self.goal("hdcfm_clips")
        loss, terms = goal.loss(Window(), self.SDR, self.HDR)
        assert loss.item() == pytest.approx((0.1 + 0.2 + 0.5) / 3)
        assert tuple(terms) == goal.terms == ("l1",)
        assert torch.equal(goal.apply(Window(), self.SDR), self.SDR[:, 1])

    def test_the_frame_in_the_middle_counts_for_dslnet(self):
        goal = self.goal("dslnet")
        loss, terms = goal.loss(Window(), self.SDR, self.HDR)
        assert loss.item() == terms["l1"].item() == pytest.approx(0.25 * 0.2 + 0.5 * 0.4 + 0.25 * 0.8 - 0.2)
        assert goal.apply(Window(), self.SDR).shape == (1, 3, 48, 48)
        with pytest.raises(InputError, match="train: 'dslnet' gives one frame of a clip; leave out consistency"):
            self.goal("dslnet", consistency=0.05)

    def test_all_frames_count_for_hdcfm_mfi(self):
        goal = self.goal("hdcfm_mfi", consistency=0.0, content="l1")
        loss, _ = goal.loss(Window(), self.SDR, self.HDR)
        assert loss.item() == pytest.approx((0.1 + 0.2 + 0.5) / 3)
        assert torch.equal(goal.apply(Window(), self.SDR), self.SDR[:, 1])
        assert self.goal("hdcfm_mfi", consistency=0.1).terms == ("l1", "consistency")

    def test_all_frames_and_their_consistency_count_for_kpn_mfi(self):
        goal = self.goal("kpn_mfi")
        loss, terms = goal.loss(Window(), self.SDR, self.HDR, torch.zeros(1, 2, 1, 2, 48, 48))
        tanh = sum(abs(math.tanh(one) - math.tanh(other)) for one, other in ((0.2, 0.1), (0.4, 0.2), (0.8, 0.3)))
        # Frames without texture are their own illumination: 0.2 and 0.4 from the middle one, at every level of the pyramid.
        consistency = (0.2 + 0.4) * (1 / 16 + 1 / 8 + 1 / 4 + 1 / 2 + 1)
        assert terms["tanh_l1"].item() == pytest.approx(tanh, rel=1e-5)
        assert terms["consistency"].item() == pytest.approx(consistency, rel=1e-4)
        assert loss.item() == pytest.approx(tanh + 0.05 * consistency, rel=1e-4)
        assert tuple(terms) == goal.terms == ("tanh_l1", "consistency")
        assert torch.equal(goal.apply(Window(), self.SDR), self.SDR[:, 1])

    def test_flow_to_the_previous_frame_comes_first(self):
        x = torch.arange(48.0).expand(1, 3, 48, 48) / 100
        clip = torch.stack([x + 0.02, x, x - 0.03], dim=1)  # content moves two to the left from frame 0 to 1, then three
        flow = torch.zeros(1, 2, 1, 2, 48, 48)
        flow[:, 0, :, 0], flow[:, 1, :, 0] = -2.0, 3.0
        goal = self.goal("kpn_mfi")
        aligned, swapped = (goal.loss(Window(), clip, clip, each)[1]["consistency"] for each in (flow, flow.flip(1)))
        assert aligned < 0.3 * swapped

    def test_colour_difference_beside_it(self):
        plain, more = (self.goal("dslnet", ictcp=weight).loss(Window(), self.SDR, self.HDR)[0] for weight in (0.0, 2.0))
        expected = losses.ictcp_difference(Window()(*self.SDR.unbind(1)), self.HDR[:, 1])
        assert (more - plain).item() == pytest.approx(2 * expected.item(), rel=1e-4)

    def test_a_network_that_is_not_trained_on_clips(self):
        with pytest.raises(InputError, match="train: 'tiny' is not trained on clips; choose one of hdcfm, "):
            self.goal("dslnet", model="tiny")

    def test_an_interrupted_run_ends_as_one_that_was_not(self, data, tmp_path):
        recipe = dataclasses.replace(
            recipes.load("kpn_mfi"), phases=(recipes.Phase(size=48, batch=1, steps=5),), warmup=1, report=1, checkpoint=3
        )
        steps = []

        class Counting(KPNMFI):
            def all_frames(self, *frames):
                steps.append(1)
                if len(steps) == self.stop:
                    raise KeyboardInterrupt
                return super().all_frames(*frames)

        def network(stop=None):
            torch.manual_seed(0)
            made = Counting(8, (1, 1, 1, 1, 1))
            made.stop = stop
            steps.clear()
            return made

        def train(made, folder):
            return trainer.train(made, recipe, data, folder, objective=objectives.create(recipe))

        expected = train(network(), tmp_path / "whole")
        with pytest.raises(KeyboardInterrupt):
            train(network(stop=5), tmp_path / "parts")
        result = train(network(), tmp_path / "parts")
        assert len(steps) == 2  # from the checkpoint of step 3
        assert all(torch.equal(expected[name], result[name]) for name in expected)
        curves = [(tmp_path / folder / "curve.csv").read_text() for folder in ("whole", "parts")]
        assert curves[0].splitlines()[0] == "step,tanh_l1,consistency"
        assert curves[0] == curves[1]
