"""scripts/export.py: which weights are written; the files themselves are those of tests/test_weights.py."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import registry
from vs_hdrtv.training import recipes


@pytest.fixture
def runs(tmp_path):
    """Runs of two recipes, the second after the first, and the recipe of the second."""
    recipe = dataclasses.replace(recipes.load("hdcfm_bright"), after="one", interpolation=0.25, restraint=(1.0, 1.0, 0.0))
    for number, name in enumerate(("one", "two")):
        torch.manual_seed(number)
        weights = registry.create("hdcfm", **recipe.network).state_dict()
        (tmp_path / name).mkdir()
        save_file({key: torch.randn_like(value) for key, value in weights.items()}, tmp_path / name / "average.safetensors")
    return tmp_path, recipe


def test_weights_lie_between_both_and_are_then_restrained(script, runs):
    folder, recipe = runs
    network = registry.create("hdcfm", **recipe.network)
    script.load(network, recipe, folder / "two")
    one, two = (script.trained(folder, name, registry.create("hdcfm", **recipe.network)) for name in ("one", "two"))
    for key, value in network.state_dict().items():
        expected = 0.75 * one[key] + 0.25 * two[key]
        if key.startswith("last.conv."):
            expected[2] = 0  # hue
        if not key.startswith("last_global."):
            torch.testing.assert_close(value, expected)


def test_without_interpolation_they_are_those_of_the_run(script, runs):
    folder, recipe = runs
    network = registry.create("hdcfm", **recipe.network)
    script.load(network, dataclasses.replace(recipe, interpolation=1.0, restraint=()), folder / "two")
    two = script.trained(folder, "two", registry.create("hdcfm", **recipe.network))
    assert all(torch.equal(value, two[key]) for key, value in network.state_dict().items())


def test_a_run_that_is_not_there_is_one_line(script, runs):
    folder, recipe = runs
    (folder / "one" / "average.safetensors").unlink()
    with pytest.raises(InputError, match=r"^export: .*one/average.safetensors does not hold weights .* give a finished run$"):
        script.load(registry.create("hdcfm", **recipe.network), recipe, folder / "two")
