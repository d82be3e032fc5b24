"""`scripts/train.py` as a person calls it; the loop itself is tested in tests/training."""

from __future__ import annotations

import signal

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from vs_hdrtv.errors import InputError  # noqa: E402
from vs_hdrtv.networks import registry  # noqa: E402
from vs_hdrtv.training import recipes, trainer  # noqa: E402


@pytest.fixture
def told(monkeypatch):
    """What the trainer was told, in place of training."""
    found = {}

    def train(network, recipe, data, output, **others):
        found.update(others, network=network, recipe=recipe, data=data, output=output)

    monkeypatch.setattr(trainer, "train", train)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: found.update(threads=number))
    return found


def test_what_the_trainer_is_told(script, told, tmp_path):
    line = ["hdcfm_bars", "--data", tmp_path, "--output", tmp_path / "run", "--device", "cpu", "--precision", "bfloat16"]
    line += ["--threads", 1, "--small-checkpoint", "--checkpoint-minutes", 2, "--eager", "--validate-every", 50, "--workers", 2]
    assert script.main([str(each) for each in line]) == 0
    options = told["options"]
    assert (options.name, options.device.type, options.precision) == ("hdcfm_bars", "cpu", "bfloat16")
    assert (options.small, options.checkpoint_minutes, options.workers, told["compiled"]) == (True, 2.0, 2, False)
    assert (options.validation.every, options.validation.required) == (50, True)
    assert set(options.validation.measures) == {"psnr_db", "delta_e_itp"}
    assert told["recipe"] == recipes.load("hdcfm_bars")
    assert told["threads"] == 1


def test_defaults_of_a_machine_without_a_gpu(script, told, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert script.main(["hdcfm", "--data", str(tmp_path), "--output", str(tmp_path / "run")]) == 0
    options = told["options"]
    assert (options.device.type, options.precision, options.workers, told["compiled"]) == ("cpu", "float32", 1, True)
    assert (options.validation.required, options.small) == (False, False)
    script.main(["hdcfm", "--data", str(tmp_path), "--output", str(tmp_path / "run"), "--validate-every", "0"])
    assert told["options"].validation is None


def test_ctrl_c_is_the_exit_code(script, told, tmp_path, monkeypatch):
    def train(*arguments, stop, **others):
        signal.raise_signal(signal.SIGINT)
        assert stop.wanted()

    monkeypatch.setattr(trainer, "train", train)
    assert script.main(["hdcfm", "--data", str(tmp_path), "--output", str(tmp_path / "run")]) == 130


def test_the_recipes_are_listed(script, capsys):
    with pytest.raises(SystemExit) as stopped:
        script.main(["--list"])
    assert stopped.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(path.stem for path in recipes.FOLDER.glob("*.toml"))
    assert any(line.startswith("hdcfm ") and "views of" in line for line in lines)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "/nowhere"], "--data /nowhere is not a folder; give one of .hdr and .exr pictures"),
        (["--threads", "0"], "--threads is 0; give 1 or more"),
        (["--minutes", "-1"], "--minutes is -1; give a number above 0"),
        (["--checkpoint-minutes", "0"], "--checkpoint-minutes is 0; give a number above 0"),
        (["--validate-every", "-1"], "--validate-every is -1; give steps, 1 or more, or 0 for never"),
        (["--workers", "0"], "--workers is 0; give 1 or more"),
        (["--device", "cuda:7"], "device 'cuda:7' is not there; choose one of auto, cpu"),
        (["--start", "/nowhere.safetensors"], "--start /nowhere.safetensors does not hold this network's weights: No such file"),
        (["--start", __file__], "test_train.py does not hold this network's weights"),
    ],
)
def test_bad_input_is_one_line(script, told, tmp_path, more, message):
    with pytest.raises(InputError, match=message) as found:
        script.main(["hdcfm", "--data", str(tmp_path), "--output", str(tmp_path / "run"), *more])
    assert str(found.value).startswith("train: ")
    assert not told.get("network")
    assert not (tmp_path / "run").exists()


def test_an_unknown_recipe(script, told, tmp_path):
    with pytest.raises(InputError, match="train: unknown recipe 'nothing'; choose one of "):
        script.main(["nothing", "--data", str(tmp_path), "--output", str(tmp_path / "run")])


class TestStart:
    def test_hdcfm_with_interaction_starts_from_hdcfm(self, script, told, tmp_path):
        torch.manual_seed(0)
        start = tmp_path / "hdcfm.safetensors"
        save_file(registry.create("hdcfm", dropout=0.0).state_dict(), start)
        line = ["hdcfm_mfi", "--data", str(tmp_path), "--output", str(tmp_path / "run"), "--start", str(start)]
        assert script.main(line) == 0
        sdr = torch.rand(1, 3, 64, 64)
        plain = registry.create("hdcfm", dropout=0.0)
        plain.load_state_dict(load_file(start))
        with torch.no_grad():
            expected, found = plain.eval()(sdr), told["network"].eval()(torch.rand(1, 3, 64, 64), sdr, torch.rand(1, 3, 64, 64))
        torch.testing.assert_close(found, expected)

    def test_modules_that_begin_anew(self, script, told, tmp_path):
        start = tmp_path / "start.safetensors"
        save_file(registry.create("hdcfm").state_dict(), start)
        recipe = recipes.load("hdcfm_light")
        line = ["hdcfm_light", "--data", str(tmp_path), "--output", str(tmp_path / "run"), "--start", str(start)]
        assert script.main(line) == 0
        state, given = told["network"].state_dict(), load_file(start)
        fresh = {name for name in state if name.startswith(tuple(f"{module}." for module in recipe.fresh))}
        assert {name.rpartition(".")[0] for name in fresh} >= {"last.conv", "last_global.scale"}
        assert not any(torch.equal(state[name], given[name]) for name in fresh)
        assert all(torch.equal(state[name], given[name]) for name in state.keys() - fresh)
        assert told["network"].output == "light"

    def test_weights_that_mean_something_else_are_refused(self, script, told, tmp_path, monkeypatch):
        from vs_hdrtv import export, weights

        monkeypatch.setattr(export, "graph_to_onnx", lambda network, path, **signals: path.write_bytes(b"graph"))
        other = registry.create("hdcfm", output="light")
        card = weights.write(other, "light", tmp_path, model="hdcfm", licence="MIT", arguments={"output": "light"}, steady=False)
        line = ["hdcfm_bars", "--data", str(tmp_path), "--output", str(tmp_path / "run"), "--start", str(card.safetensors)]
        with pytest.raises(InputError, match=r"made with \{'output': 'light'\}, the recipe's is made with its defaults; start"):
            script.main(line)

    @pytest.mark.parametrize("lacks", ["interaction.", "condition."])
    def test_nothing_else_may_lack(self, script, told, tmp_path, lacks):
        state = registry.create("hdcfm_mfi", dropout=0.0).state_dict()
        name = next(name for name in state if name.startswith(lacks))
        save_file({key: value for key, value in state.items() if key != name}, tmp_path / "start.safetensors")
        line = ["hdcfm_mfi", "--data", str(tmp_path), "--output", str(tmp_path / "run")]
        with pytest.raises(InputError, match="does not hold this network's weights"):
            script.main([*line, "--start", str(tmp_path / "start.safetensors")])
