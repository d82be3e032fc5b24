import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import registry
from vs_hdrtv.training import pairs, recipes


def write(folder, monkeypatch, text):
    (folder / "own.toml").write_text(text)
    monkeypatch.setattr(recipes, "FOLDER", folder)


OWN = """
model = "hdcfm"
after = ""
phases = [{ size = 64, batch = 8, steps = 10 }, { size = 128, batch = 4, steps = 5 }]
dropout = 0.0
bars = 0.2
look = 1.0
ictcp = 0.0
warmup = 2
learning_rate = 1e-3
clip = 1.0
average = 0.9
seed = 7
report = 5
checkpoint = 5
"""


@pytest.mark.parametrize("name", sorted(path.stem for path in recipes.FOLDER.glob("*.toml")))
def test_shipped_recipes(name):
    recipe = recipes.load(name)
    assert recipe.model in registry.NETWORKS
    assert recipe.steps == sum(phase.steps for phase in recipe.phases) > recipe.warmup
    assert all(phase.size % 2 == 0 and phase.size >= 32 for phase in recipe.phases)
    assert 0 < recipe.average < 1


def test_phases_in_turn(tmp_path, monkeypatch):
    write(tmp_path, monkeypatch, OWN)
    recipe = recipes.load("own")
    assert recipe.steps == 15
    assert [recipe.phase(step).size for step in (0, 9, 10, 14, 15, 100)] == [64, 64, 128, 128, 128, 128]


def test_unknown_recipe():
    with pytest.raises(InputError, match=r"train: unknown recipe 'nothing'; choose one of .*hdcfm"):
        recipes.load("nothing")


@pytest.mark.parametrize(
    ("old", "new", "field"), [("seed = 7", "", "seed"), ("seed = 7", "sed = 7", "sed"), ("clip", "grip", "grip")]
)
def test_missing_and_misspelt_fields(tmp_path, monkeypatch, old, new, field):
    write(tmp_path, monkeypatch, OWN.replace(old, new))
    with pytest.raises(InputError, match=rf"must have the fields .*; it differs in .*{field}"):
        recipes.load("own")


def test_variety_may_be_left_out_and_is_checked(tmp_path, monkeypatch):
    write(tmp_path, monkeypatch, OWN)
    assert recipes.load("own").variety == pairs.PLAIN
    write(tmp_path, monkeypatch, OWN + "[variety]\npeaks = 0.25\ncompression = 0.5\n")
    assert recipes.load("own").variety == pairs.Variety(peaks=0.25, compression=0.5)
    write(tmp_path, monkeypatch, OWN + "[variety]\npeak = 0.25\n")
    with pytest.raises(InputError, match="it differs in peak"):
        recipes.load("own")


def test_losses_in_words():
    assert recipes.load("hdcfm").losses({}) == "L1 on PQ"
    assert recipes.load("hdcfm_broad").losses({}) == "L1 on PQ + 1.0 colour difference in ICtCp"
    pdcg = recipes.load("pdcg")
    rest = "adversarial (least squares, patch discriminator)"
    # The paper's weights, formula 4; the perceptual loss counts only where a feature network was given.
    assert pdcg.losses({"perceptual": "vgg19"}) == f"L1 on PQ over the pixels of the mask + 0.1 perceptual + 0.005 {rest}"
    assert "+ 0.0 perceptual +" in pdcg.losses({"perceptual": "none: no feature network was given, its weight was 0"})


def test_optional_fields_have_the_first_recipes_values(tmp_path, monkeypatch):
    short = "".join(line + "\n" for line in OWN.splitlines() if not line.startswith(("dropout", "look", "ictcp")))
    write(tmp_path, monkeypatch, short)
    recipe = recipes.load("own")
    assert (recipe.dropout, recipe.look, recipe.ictcp, recipe.first_stage, recipe.adversarial) == (None, 1.0, 0.0, "", 0.0)
