import dataclasses

import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import registry
from vs_hdrtv.training import checkpoints, clips, pairs, recipes


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


def test_arguments_of_the_network(tmp_path, monkeypatch):
    write(tmp_path, monkeypatch, OWN)
    assert (recipes.load("own").network, recipes.load("own").fresh) == ({}, ())
    plain = checkpoints.identity("own", recipes.load("own"))
    assert "network" not in plain["fields"]  # checkpoints of before there was such a field go on
    write(tmp_path, monkeypatch, OWN.replace("seed", 'fresh = ["last.conv"]\nseed') + '[network]\noutput = "light"\n')
    recipe = recipes.load("own")
    assert (recipe.network, recipe.fresh) == ({"output": "light"}, ("last.conv",))
    assert registry.create(recipe.model, **recipe.network).output == "light"
    assert checkpoints.identity("own", recipe)["fields"]["network"] == {"output": "light"}


@pytest.mark.parametrize(("share", "after"), [("0.0", "hdcfm"), ("1.5", "hdcfm"), ("0.5", "")])
def test_interpolation_is_between_two(share, after):
    recipe = recipes.load("hdcfm_bright")
    assert 0 < recipe.interpolation < 1 and "interpolation" not in checkpoints.identity("hdcfm_bright", recipe)["fields"]
    with pytest.raises(InputError, match="recipe: interpolation is"):
        dataclasses.replace(recipe, interpolation=float(share), after=after)


def test_interpolation_leaves_nothing_fresh():
    with pytest.raises(InputError, match="recipe: interpolation mixes weights"):
        dataclasses.replace(recipes.load("hdcfm_bright"), fresh=("last",))


def test_restraint_is_of_light(tmp_path, monkeypatch):
    restrained = OWN.replace("seed", "restraint = [0.5, 0.5, 0.0]\nseed")
    write(tmp_path, monkeypatch, restrained + '[network]\noutput = "light"\n')
    recipe = recipes.load("own")
    assert recipe.restraint == (0.5, 0.5, 0.0)
    # What is done when a run is over does not make it another one.
    assert "restraint" not in checkpoints.identity("own", recipe)["fields"]
    write(tmp_path, monkeypatch, restrained)
    with pytest.raises(InputError, match="restraint is for a network whose output is light"):
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


class TestClips:
    def test_shipped_recipes_never_show_two_scenes(self):
        loaded = [recipes.load(path.stem) for path in recipes.FOLDER.glob("*.toml")]
        of_clips = [recipe for recipe in loaded if recipe.frames]
        assert {recipe.model for recipe in of_clips} == {"hdcfm", "hdcfm_mfi", "kpn_mfi", "dslnet"}
        assert all(recipe.motion.cut == 0 for recipe in of_clips)
        assert all((recipe.content, recipe.consistency) == ("tanh_l1", 0.05) for recipe in of_clips if recipe.model == "kpn_mfi")

    def test_what_moves(self, tmp_path, monkeypatch):
        write(tmp_path, monkeypatch, OWN.replace("seed", "frames = 3\nseed") + "[motion]\nspeed = 2.0\n")
        recipe = recipes.load("own")
        assert (recipe.frames, recipe.motion) == (3, clips.Motion(speed=2.0, cut=0.0))
        assert recipe.views() == "10 of 8 clips of 3 frames of 64 px; 5 of 4 clips of 3 frames of 128 px"
        write(tmp_path, monkeypatch, OWN.replace("seed", "frames = 3\nseed") + "[motion]\nspead = 2.0\n")
        with pytest.raises(InputError, match="it differs in spead"):
            recipes.load("own")

    def test_losses_in_words(self):
        expected = "L1 of tanh on PQ, summed over the frames + 0.05 inter-frame brightness consistency"
        assert recipes.load("kpn_mfi").losses({}) == expected
        assert recipes.load("dslnet").losses({}) == "L1 on PQ"

    @pytest.mark.parametrize(
        ("model", "changes", "message"),
        [
            ("hdcfm", {"consistency": 0.1}, "are for clips; give frames, or leave them out"),
            ("hdcfm", {"content": "tanh_l1"}, "are for clips; give frames, or leave them out"),
            ("dslnet", {"frames": 2}, "frames is 2; give an odd number, 3 or more"),
            ("dslnet", {"frames": 1}, "frames is 1; give an odd number, 3 or more"),
            ("dslnet", {"content": "l3"}, "unknown content 'l3'; choose one of l1, tanh_l1"),
            ("dslnet", {"motion": clips.Motion()}, "motion.cut is 0.15; give 0, networks never see frames of two scenes"),
            ("dslnet", {"variety": pairs.Variety(films=0.5)}, "are for pictures; leave them out with frames"),
            ("dslnet", {"first_stage": "hdcfm"}, "are for pictures; leave them out with frames"),
        ],
    )
    def test_refusals(self, model, changes, message):
        with pytest.raises(InputError, match=message):
            dataclasses.replace(recipes.load(model), **changes)
