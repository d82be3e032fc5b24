"""What ICAM and FCPM are trained for: the light that the mask covers, and nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import registry
from vs_hdrtv.training import batches, material, objectives, recipes, recovery, stopping, trainer, validation

KEYS = dataclasses.replace(recipes.load("icam"), perceptual=0.0, references=2)
SEGMENTS = dataclasses.replace(recipes.load("fcpm"), perceptual=0.0)


@pytest.fixture(scope="module")
def loaded():
    """Light with texture and a bright window."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:300, :400].astype(np.float32)
    texture = 0.2 + 0.1 * np.sin(x / 7) * np.cos(y / 9) + 0.02 * rng.random((300, 400))
    texture[80:200, 100:300] *= 60
    return material.Material([np.repeat(texture[..., None], 3, axis=2).astype(np.float32)], [], [])


@pytest.fixture(scope="module")
def icam():
    torch.manual_seed(0)
    return registry.create("icam")


def batch(loaded, recipe):
    return batches._stacked(batches.make_batch(loaded, recipe, 0), recipe)


def test_key_frames(loaded, icam):
    goal = objectives.create(KEYS)
    made = batch(loaded, KEYS)
    assert [tuple(each.shape) for each in made] == [(2, 3, 3, 64, 64), (2, 3, 64, 64), (2, 2, 2, 64, 64), (2, 2, 2, 64, 64)]
    total, terms = goal.loss(icam, *made)
    assert tuple(terms) == goal.terms == ("l1", "flow")
    assert total.item() == pytest.approx(terms["l1"].item() + 0.05 * terms["flow"].item(), rel=1e-5)
    total.backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in icam.parameters())


def test_the_truth_costs_nothing(loaded):
    _, linear, flow, _ = made = batch(loaded, KEYS)

    class Knowing(torch.nn.Module):
        def with_flows(self, frame, references, flows):
            return linear, list(flow.unbind(1))

    _, terms = objectives.create(KEYS).loss(Knowing(), *made)
    assert terms == {"l1": 0, "flow": 0}


def test_what_is_not_over_exposed_does_not_count(loaded):
    sdr, linear, flow, estimated = batch(loaded, KEYS)
    mask = sdr[:, 0].amax(1, keepdim=True) > 0.95

    class Wrong(torch.nn.Module):
        def with_flows(self, frame, references, flows):
            return torch.where(mask, linear, 7.0), list(flow.unbind(1))

    _, terms = objectives.create(KEYS).loss(Wrong(), sdr, linear, flow, estimated)
    assert terms["l1"] == 0


def test_measured_key_frames_are_those_of_a_batch(loaded, icam, monkeypatch):
    sdr, truth = batches._MEASURED["key_frames"](*batch(loaded, KEYS))
    assert sdr.shape == (2, 3, 5, 64, 64)
    goal = objectives.create(KEYS)
    with torch.no_grad():
        assert goal.apply(icam, sdr).shape == truth.shape == (2, 3, 64, 64)
        made = batch(loaded, KEYS)
        expected = icam(made[0][:, 0], list(made[0][:, 1:].unbind(1)), list(made[3].unbind(1)))
        torch.testing.assert_close(goal.apply(icam, sdr), recovery.blended(made[0][:, 0], recovery.seen(expected)))


def test_segments(loaded, icam):
    goal = recovery.Segments(SEGMENTS, icam.requires_grad_(False), None, {})
    made = batch(loaded, SEGMENTS)
    torch.manual_seed(1)
    fcpm = registry.create("fcpm")
    total, terms = goal.loss(fcpm, *made)
    assert total.item() == pytest.approx(terms["l1"].item() + 0.05 * terms["adversarial"].item(), rel=1e-5)
    total.backward()
    terms |= goal.learn(1e-3)
    assert tuple(terms) == goal.terms == ("l1", "adversarial", "discriminator")
    assert all(torch.isfinite(each) for each in terms.values())
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in fcpm.parameters())
    with pytest.raises(InputError, match="segments of frames are not measured while a run goes on"):
        batches.of_validation(material.Sources([], [], []), SEGMENTS)


@pytest.mark.parametrize("required", [False, True])
def test_a_run_on_segments_goes_on_without_metrics_unless_they_are_asked_for(tmp_path, caplog, required):
    wanted = validation.Validation(every=1, measures={}, required=required)
    network = registry.create("fcpm")
    goal = recovery.Segments(SEGMENTS, registry.create("icam"), None, {})
    run = trainer._Run(network, SEGMENTS, tmp_path, goal, trainer.Options(validation=wanted), stopping.Stop())
    if required:
        with pytest.raises(InputError, match="segments of frames are not measured while a run goes on"):
            run._validator(tmp_path)
    else:
        assert run._validator(tmp_path) is None
        assert "no metrics while it goes on" in caplog.text


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("icam", {"model": "fcpm"}, "train: 'fcpm' recovers no key frames; leave out references, or train model 'icam'"),
        ("icam", {"frames": 3}, "recipe: references and frames are of different kinds of data"),
        ("icam", {"first_stage": "hdcfm"}, "recipe: references needs no first_stage, bars or ictcp"),
        ("fcpm", {"first_stage": "hdcfm"}, "train: first stage 'hdcfm' is a hdcfm; give an icam"),
        ("fcpm", {"first_stage": ""}, "recipe: segments are of key frames; give the model that recovers them as first_stage"),
        ("fcpm", {"flow": 0.1}, "recipe: flow is a loss of key frames; give references, or leave it out"),
    ],
)
def test_refusals(name, changes, message):
    with pytest.raises(InputError, match=message):
        objectives.create(dataclasses.replace(recipes.load(name), **changes))


def test_pictures_alone_are_made_on_a_device():
    with pytest.raises(InputError, match="made by worker processes alone"):
        batches.on_device(material.Sources([], [], []), KEYS, 0, torch.device("cpu"))


def test_no_stills():
    empty = material.Material([], [], [])
    with pytest.raises(InputError, match="training: key frames are made of HDR pictures, and there are none"):
        batches.make_batch(empty, KEYS, 0)
