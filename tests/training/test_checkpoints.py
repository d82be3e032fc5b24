import dataclasses

import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import registry
from vs_hdrtv.networks.discriminator import PatchDiscriminator
from vs_hdrtv.training import checkpoints, recipes
from vs_hdrtv.training.pairs import Variety

RECIPE = recipes.load("hdcfm")


def state(size=1000):
    """Of a network of one tensor after a step, its average a little behind."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(size))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.randn(size)
    optimizer.step()
    network = {"weight": weight.detach()}
    average = {"weight": weight.detach() + 1e-3 * torch.randn(size)}
    return {"network": network, "optimizer": optimizer.state_dict(), "average": average, "step": 3, "setup": {}, "objective": {}}


def test_whole_and_back(tmp_path):
    path = tmp_path / "checkpoint.pt"
    written = state()
    checkpoints.write(path, written, small=True)  # small enough as it is
    found = checkpoints.read(path)
    assert "note" not in found
    assert torch.equal(found["average"]["weight"], written["average"]["weight"])
    assert torch.equal(found["optimizer"]["state"][0]["exp_avg"], written["optimizer"]["state"][0]["exp_avg"])
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_what_must_shrink_is_rounded_and_says_so(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    written = state()
    monkeypatch.setattr(checkpoints, "LIMIT", 15_000)  # of 16 bytes a weight; rounded it is 10
    checkpoints.write(path, written, small=True)
    assert path.stat().st_size < 15_000
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
    found = checkpoints.read(path)
    assert "is not exact" in found["note"]
    assert torch.equal(found["network"]["weight"], written["network"]["weight"])
    moments, before = (each["optimizer"]["state"][0] for each in (found, written))
    for name in ("exp_avg", "exp_avg_sq"):
        assert moments[name].dtype == torch.bfloat16
        torch.testing.assert_close(moments[name].float(), before[name], rtol=2**-8, atol=0)
    assert moments["step"] == before["step"]
    # The average is off by 2^-9 of its distance from the weights, not of its size.
    off = (found["average"]["weight"] - written["average"]["weight"]).abs()
    assert 0 < off.max() < 2e-5
    # Adam takes them, as float32.
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1000))])
    optimizer.load_state_dict(found["optimizer"])
    assert next(iter(optimizer.state.values()))["exp_avg"].dtype == torch.float32


def test_what_is_still_too_large_goes_into_parts(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    monkeypatch.setattr(checkpoints, "LIMIT", 4_000)
    for step in (3, 4):
        checkpoints.write(path, state() | {"step": step}, small=True)
    files = sorted(tmp_path.iterdir())
    assert len(files) > 3
    assert all(file.stat().st_size < 4_000 for file in files)
    assert checkpoints.read(path)["step"] == 4
    files[1].write_bytes(files[1].read_bytes()[:-1])
    with pytest.raises(InputError, match=r"the parts of .*checkpoint.pt are not those that it was written with"):
        checkpoints.read(path)
    files[1].unlink()
    with pytest.raises(InputError, match=r"cannot read .*\.part: No such file"):
        checkpoints.read(path)
    monkeypatch.undo()
    checkpoints.write(path, state(), small=True)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_pdcg_is_below_16_mib(tmp_path):
    def trained(network):
        optimizer = torch.optim.Adam(network.parameters())
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
        return network.state_dict(), optimizer.state_dict()

    network, optimizer = trained(registry.create("pdcg"))
    discriminator, its_own = trained(PatchDiscriminator())
    average = {name: value * 1.001 for name, value in network.items()}
    objective = {"discriminator": discriminator, "optimizer": its_own}
    whole = {"network": network, "optimizer": optimizer, "average": average, "objective": objective, "step": 1}
    checkpoints.write(tmp_path / "whole.pt", whole)
    checkpoints.write(tmp_path / "small.pt", whole, small=True)
    assert (tmp_path / "whole.pt").stat().st_size > 16 * 2**20
    assert (tmp_path / "small.pt").stat().st_size < 16 * 2**20
    assert len(list(tmp_path.iterdir())) == 2
    found = checkpoints.read(tmp_path / "small.pt")
    assert all(torch.equal(value, found["network"][name]) for name, value in network.items())
    assert all(torch.equal(value, found["objective"]["discriminator"][name]) for name, value in discriminator.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"was made with seed \d+ \(now 1\); go on with the same recipe, or give another --output"),
        ({"ictcp": 0.25, "clip": 9.0}, r"made with clip .* \(now 9.0\); ictcp None \(now 0.25\)"),
        ({"variety": Variety(peaks=0.5)}, r"variety None \(now \{'peaks': 0.5\}\)"),
    ],
)
def test_another_recipe_is_refused(tmp_path, change, message):
    path = tmp_path / "checkpoint.pt"
    made = {"recipe": checkpoints.identity("hdcfm", RECIPE), "setup": {}}
    same = dataclasses.replace(RECIPE, report=1, checkpoint=1)  # may change
    checkpoints.check(path, made, checkpoints.identity("hdcfm", same), {})
    with pytest.raises(InputError, match=message):
        checkpoints.check(path, made, checkpoints.identity("hdcfm", dataclasses.replace(RECIPE, **change)), {})


def test_another_name_and_setup_are_refused_and_old_checkpoints_pass(tmp_path):
    path = tmp_path / "checkpoint.pt"
    now = checkpoints.identity("films", RECIPE)
    with pytest.raises(InputError, match=r"checkpoint.pt is of recipe 'hdcfm', not of 'films'; go on with it, or"):
        checkpoints.check(path, {"recipe": checkpoints.identity("hdcfm", RECIPE)}, now, {})
    with pytest.raises(InputError, match="was made with a: 1, not with no setup; go on with the same"):
        checkpoints.check(path, {"setup": {"a": "1"}}, now, {})
    checkpoints.check(path, {"step": 3}, now, {})


def test_what_is_no_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="the checkpoint cannot be read"):
        checkpoints.read(path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*checkpoint.pt: No such file or directory; make room"):
        checkpoints.write(tmp_path / "gone" / "checkpoint.pt", state())


def test_the_average_says_how_many_steps_it_saw(tmp_path):
    from safetensors import safe_open

    path = tmp_path / "average.safetensors"
    checkpoints.write_average(path, {"weight": torch.ones(2)}, 7, RECIPE, "hdcfm")
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"step": "7", "steps": str(RECIPE.steps), "recipe": "hdcfm"}
        assert torch.equal(file.get_tensor("weight"), torch.ones(2))
