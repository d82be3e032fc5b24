"""The ablations as data: networks and recipes that are there, and the papers' numbers."""

from __future__ import annotations

import dataclasses

import pytest

from vs_hdrtv.metrics import registry as metrics
from vs_hdrtv.networks import registry
from vs_hdrtv.training import ablation, objectives, recipes


@pytest.mark.parametrize("name", ablation.TABLES)
def test_tables_fit_networks_recipes_and_metrics(name):
    table = ablation.TABLES[name]
    recipe = recipes.load(table.recipe)
    assert recipe.model == name
    assert set(table.metrics) <= set(metrics.METRICS)
    assert (
        len({variant.folder for variant in table.variants}) == len({each.label for each in table.variants}) == len(table.variants)
    )
    made = []
    for variant in table.variants:
        assert set(variant.paper) <= set(metrics.METRICS)
        assert set(variant.paper) == set(table.variants[0].paper)
        if variant.network:
            assert getattr(recipe, variant.network)  # it has the model that is measured in place of a trained one
            continue
        objective = objectives.create(dataclasses.replace(recipe, **variant.recipe))
        made.append((str(registry.create(recipe.model, **variant.arguments)), objective.terms, str(variant.arguments)))
    assert len(set(made)) == len(made)


def test_numbers_of_the_hdcfm_paper():
    # Section 4.2, and Table 1 for the last row: each step is better than the one before.
    first, *others = (variant.paper for variant in ablation.TABLES["hdcfm"].variants)
    gains = [[round(each[name] - first[name], 4) for name in first] for each in others]
    assert gains == [[0.86, 0.005, -0.93], [1.32, 0.007, -1.72], [1.38, 0.0074, -1.88], [1.54, 0.0077, -1.95]]
    assert others[-1] == pytest.approx({"psnr": 38.42, "ssim": 0.9732, "delta_e_itp": 7.83})


def test_only_the_whole_kpn_mfi_has_the_consistency_loss():
    table = ablation.TABLES["kpn_mfi"]
    recipe = recipes.load(table.recipe)
    assert recipe.consistency == 0.05
    weights = [dataclasses.replace(recipe, **variant.recipe).consistency for variant in table.variants]
    assert weights == [0.0, 0.0, 0.05]


def test_steps():
    recipe = ablation.with_steps(recipes.load("ablation_dslnet"), 50)
    assert (recipe.steps, recipe.warmup) == (50, 5)


def test_vitm_tc_has_two_tables_and_each_row_more_than_the_one_before():
    assert ablation.PAPERS["vitm_tc"] == ("icam", "fcpm")
    for name in ablation.PAPERS["vitm_tc"]:
        scores = [variant.paper["hdr_vqm"] for variant in ablation.TABLES[name].variants]
        assert scores == sorted(scores, reverse=True)
        assert scores[-1] == 0.356
