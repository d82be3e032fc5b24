"""Batches: functions of recipe and step, whoever makes them."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import batches, clips, material, pairs, recipes, trainer, validation

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # DataLoader forks its worker; torch's own threads are idle at that moment.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

PHASES = (recipes.Phase(size=32, batch=2, steps=4), recipes.Phase(size=48, batch=1, steps=4))
RECIPE = dataclasses.replace(recipes.load("hdcfm"), phases=PHASES, bars=0.5, seed=5)


def test_a_function_of_recipe_and_step(data):
    pictures = material.find(data, "train").load()
    first, again = (batches.make_batch(pictures, RECIPE, 1) for _ in range(2))
    assert all(np.array_equal(a.sdr, b.sdr) and np.array_equal(a.hdr, b.hdr) for a, b in zip(first, again, strict=True))
    assert first[0].sdr.shape == (3, 32, 32)
    later = batches.make_batch(pictures, RECIPE, 4)
    assert len(first) == 2
    assert len(later) == 1
    assert later[0].sdr.shape == (3, 48, 48)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_number_of_workers_gives_the_same(data, workers):
    sources = material.find(data, "train")
    loaded = sources.load()
    found = itertools.islice(batches.from_workers(sources, RECIPE, 2, workers), 4)
    for step, (sdr, hdr) in enumerate(found, start=2):
        expected = batches.make_batch(loaded, RECIPE, step)
        np.testing.assert_array_equal(sdr.numpy(), np.stack([pair.sdr for pair in expected]))
        np.testing.assert_array_equal(hdr.numpy(), np.stack([pair.hdr for pair in expected]))


def test_torch_on_a_device_draws_the_same_pairs(data):
    sources = material.find(data, "train")
    loaded = sources.load()
    found = itertools.islice(batches.on_device(sources, RECIPE, 2, torch.device("cpu")), 4)
    for step, (sdr, hdr) in enumerate(found, start=2):
        expected = batches.make_batch(loaded, RECIPE, step)
        assert sdr.dtype == hdr.dtype == torch.float32
        for one, other in ((sdr, [pair.sdr for pair in expected]), (hdr, [pair.hdr for pair in expected])):
            assert np.mean(np.abs(one.numpy() - np.stack(other)) > 1e-4) < 0.02


def test_dark_views_are_drawn_again_on_either_side(data):
    loaded = material.find(data, "train").load()
    recipe = dataclasses.replace(RECIPE, overexposed=0.05, bars=0.0)
    for device in (None, torch.device("cpu")):
        shares = [batches._overexposed(pair) for step in range(4) for pair in batches.make_batch(loaded, recipe, step, device)]
        assert min(shares) >= 0.05


def test_training_on_pairs_of_the_device(data, tmp_path):
    torch.manual_seed(0)
    short = dataclasses.replace(RECIPE, phases=(recipes.Phase(size=32, batch=1, steps=2),))
    options = trainer.Options(pairs_on_device=True)
    average = trainer.train(torch.nn.Conv2d(3, 3, 1), short, data, tmp_path, compiled=False, options=options)
    assert all(torch.isfinite(value).all() for value in average.values())


VARIETY = pairs.Variety(compression=0.5, blacks=0.5, graphics=0.3, gamut=0.3, local=0.1)
CLIPS = dataclasses.replace(
    recipes.load("kpn_mfi"), phases=(recipes.Phase(size=48, batch=2, steps=4),), bars=0.5, seed=5, variety=VARIETY
)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_clips_and_their_flow_are_the_same_for_any_number_of_workers(data, workers):
    sources = material.find(data, "train")
    loaded = sources.load()
    found = itertools.islice(batches.from_workers(sources, CLIPS, 1, workers), 3)
    for step, (sdr, hdr, flow) in enumerate(found, start=1):
        expected = batches.make_batch(loaded, CLIPS, step)
        assert sdr.shape == hdr.shape == (2, 3, 3, 48, 48)
        assert flow.shape == (2, 2, 1, 2, 48, 48)
        assert sdr.dtype == hdr.dtype == flow.dtype == torch.float32
        for one, other in ((sdr, [clip.sdr for clip in expected]), (hdr, [clip.hdr for clip in expected])):
            np.testing.assert_array_equal(one.numpy(), np.stack(other))
        np.testing.assert_array_equal(flow.numpy(), np.stack([clips.optical_flow(clip.hdr) for clip in expected]))


def test_without_the_loss_there_is_no_flow(data):
    plain = dataclasses.replace(CLIPS, consistency=0.0)
    assert len(next(batches.from_workers(material.find(data, "train"), plain, 0, 0))) == 2


def test_validation_clips_are_measured_in_the_middle(data):
    held = batches.of_validation(material.find(data, "train"), CLIPS)
    sdr, hdr = held[0]
    assert (sdr.shape, hdr.shape) == ((2, 3, 3, 48, 48), (2, 3, 48, 48))
    assert sum(len(hdr) for _, hdr in held) == validation.PAIRS
    rng = np.random.default_rng((CLIPS.seed, validation.SEED, 0))
    np.testing.assert_array_equal(hdr[0], batches._draw(material.find(data, "train").load(), 48, rng, CLIPS).hdr[1])


def test_clips_are_made_on_the_host(data):
    with pytest.raises(InputError, match="key frames are made by worker processes alone; leave out --pairs device"):
        batches.on_device(material.find(data, "train"), CLIPS, 0, torch.device("cpu"))
