"""Model cards: found, read, checked; nothing half-written."""

from __future__ import annotations

import pytest
import torch

from vs_hdrtv import export, weights
from vs_hdrtv.errors import InputError
from vs_hdrtv.networks.hdcfm import HDCFM


@pytest.fixture
def quick_export(monkeypatch):
    """The ONNX export takes seconds and is tested with the engines: here a file in its place."""
    monkeypatch.setattr(export, "graph_to_onnx", lambda network, path, **signals: path.write_bytes(b"graph"))


@pytest.fixture
def card(tmp_path, quick_export):
    torch.manual_seed(1)
    tables = {"recipe": {"seed": 7, "rates": [0.5, 1.0], "deep": {"a b": 'x"\\\ny'}}, "metrics": {"psnr": 31.5}}
    return weights.write(HDCFM(), "model", tmp_path, model="hdcfm", licence="MIT", preview=True, **tables)


def test_what_is_written_is_read(card):
    found = weights.find(str(card.path))
    assert found == card == weights.find(card.safetensors)
    assert (found.name, found.network, found.reads, found.writes) == ("model", "hdcfm", ("sdr",), "hdr")
    assert found.preview
    assert found.parameters == 100_682
    assert found.recipe == {"seed": 7, "rates": [0.5, 1.0], "deep": {"a b": 'x"\\\ny'}}
    assert found.metrics == {"psnr": 31.5}
    assert hash(found) == hash(card)
    weights.verify(found)
    graphs = ["model.onnx", "model.statistics.onnx", "model.steady.onnx"]
    assert sorted(path.name for path in card.path.parent.iterdir()) == sorted([*graphs, "model.safetensors", "model.toml"])


def test_a_network_of_several_parts(tmp_path, quick_export):
    from vs_hdrtv.networks.dslnet import DSLNet

    arguments = {"radius": 2}
    network = DSLNet(**arguments)
    card = weights.write(network, "own", tmp_path, model="dslnet", licence="MIT", arguments=arguments, steady=False)
    assert sorted(path.name for path in tmp_path.glob("*.onnx")) == [
        f"own.{part}.onnx" for part in ("align", "enhance", "modulate")
    ]
    assert list(card.parts) == ["align", "modulate", "enhance"]
    assert card.parts["align"].reads == {"sdr": (-2, -1, 0, 1, 2)}
    assert (card.reads, card.writes) == (("sdr",), "hdr")
    weights.verify(card)
    assert weights.load_network(card).frames == 5
    with pytest.raises(InputError, match=r"model 'own' has no graph 'align.steady' \(it has align, enhance, modulate\)"):
        card.graph("align.steady")


def test_arguments_are_the_networks(tmp_path, quick_export):
    arguments = {"output": "light"}
    card = weights.write(HDCFM(**arguments), "own", tmp_path, model="hdcfm", licence="MIT", arguments=arguments, steady=False)
    assert card.arguments == arguments
    assert weights.load_network(card).output == "light"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("arguments = 3\n", "has 3 for 'arguments'; it must be of type dict"),
        ("[arguments]\nradius = 'x'\n", "radius of hdcfm is 'x'; it must be a whole number, 0 to 16"),
        ("[arguments]\nfoo = 1\n", "has arguments that hdcfm does not take"),
    ],
)
def test_arguments_that_make_no_sense(card, arguments, message):
    text = card.path.read_text()
    at = 0 if arguments.startswith("arguments") else len(text)
    card.path.write_text(text[:at] + arguments + text[at:])
    with pytest.raises(InputError, match=message):
        found = weights.find(card.path)
        assert found.parts
        weights.load_network(found)


def test_a_card_without_graphs(card):
    text = card.path.read_text()
    card.path.write_text(text[: text.index("[files.onnx]")] + text[text.index("[recipe]") :])
    with pytest.raises(InputError, match="names no graph beside the weights"):
        weights.find(card.path)


def test_a_network_of_several_inputs(tmp_path, quick_export):
    from vs_hdrtv.networks.pdcg import PDCG

    card = weights.write(PDCG(32), "two", tmp_path, model="pdcg", licence="MIT")
    assert (card.reads, card.writes) == (("hdr", "sdr"), "hdr")
    assert 'reads = ["hdr", "sdr"]\n' in card.path.read_text()


def test_one_input_may_be_a_plain_string_or_a_list(card):
    text = card.path.read_text()
    assert 'reads = "sdr"\n' in text  # as in cards that are out already
    card.path.write_text(text.replace('reads = "sdr"', 'reads = ["sdr"]'))
    assert weights.find(card.path).reads == ("sdr",)


def test_same_weights_same_files(card, tmp_path):
    again = weights.write(weights.load_network(card), "model", tmp_path / "b", model="hdcfm", licence="MIT")
    assert again.safetensors_sha256 == card.safetensors_sha256


def test_metrics_are_added_to_a_card_that_is_there(card):
    before = card.path.read_text()
    rows = {"a set": {"bt2408": {"psnr_db": 36.0, "pairs": 3}, "own": {"psnr_db": 38.5}}}
    added = weights.add_metrics(card, {"sets": rows})
    assert added.metrics == {"psnr": 31.5, "sets": rows}
    assert "bt2408 = { psnr_db = 36.0, pairs = 3 }\n" in card.path.read_text()
    assert card.path.read_text().startswith(before)  # the rest stays as it was
    assert weights.add_metrics(card, {"sets": {}}).metrics == {"psnr": 31.5}
    assert card.path.read_text() == before
    weights.verify(added)
    assert not list(card.path.parent.glob("*.partial"))


def test_a_card_in_a_folder_that_cannot_be_written(card, monkeypatch):
    from pathlib import Path

    def refuse(self, *arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(InputError, match=r"cannot write the card .*Permission denied; copy the model elsewhere first"):
        weights.add_metrics(card, {})


def test_loaded_network_is_frozen_and_equal(card):
    network = weights.load_network(card)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    state = weights.load_state(card)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_shipped_names_and_folder(card, monkeypatch):
    monkeypatch.setattr(weights, "PACKED", card.path.parent)
    assert weights.folder() == card.path.parent
    assert weights.names() == ("model",)
    assert weights.find("model") == card
    monkeypatch.setattr(weights, "PACKED", card.path.parent / "absent")
    assert weights.folder() == weights.CHECKOUT


@pytest.mark.parametrize("kind", ["safetensors", "onnx"])
def test_damaged_file(card, kind):
    path = getattr(card, kind)
    weights.verify(card)
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(InputError, match=f"model.{kind} is not the file that its card describes .*install it again"):
        weights.verify(card)


def test_missing_files(card):
    card.onnx.unlink()
    with pytest.raises(InputError, match=r"cannot read .*model.onnx"):
        weights.verify(card, "network")
    card.path.unlink()
    with pytest.raises(InputError, match=r"model.safetensors has no card model.toml beside it"):
        weights.find(card.safetensors)
    with pytest.raises(InputError, match="there is no file"):
        weights.find(card.path)
    with pytest.raises(InputError, match="weights: unknown model 'nonsense'; choose one of"):
        weights.find("nonsense")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("parameters = 100682", "", "has nothing for 'parameters'"),
        ("parameters = 100682", 'parameters = "many"', "has 'many' for 'parameters'"),
        ('name = "model.onnx"', 'name = "../model.onnx"', "must lie beside its card"),
        ("preview", "= preview", "cannot read the card"),
        ('reads = "sdr"', "reads = []", "has \\[\\] for 'reads'"),
        ('reads = "sdr"', "reads = [1]", "has \\[1\\] for 'reads'"),
    ],
)
def test_bad_card(card, old, new, message):
    text = card.path.read_text()
    assert old in text
    card.path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        weights.find(card.path)


def test_nothing_is_left_of_a_failed_export(tmp_path, monkeypatch):
    def fail(*arguments, **signals):
        raise RuntimeError("export")

    monkeypatch.setattr(export, "graph_to_onnx", fail)
    with pytest.raises(RuntimeError):
        weights.write(HDCFM(), "model", tmp_path, model="hdcfm", licence="MIT")
    assert list(tmp_path.iterdir()) == []


class TestConvertCheckpoint:
    """`weights import` of files that are not what they should be."""

    def convert(self, folder, content):
        torch.save(content, folder / "in.pth")
        return weights.convert_checkpoint(folder / "in.pth", "hdcfm", folder / "out" / "x.safetensors")

    def test_names_of_our_own_pass(self, tmp_path, quick_export):
        network = HDCFM()
        card = self.convert(tmp_path, {"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}})
        assert card.name == "x"
        assert "not for redistribution" in card.licence
        assert torch.equal(weights.load_state(card)["last.conv.weight"], network.last.conv.weight)

    def test_tensors_that_do_not_fit(self, tmp_path, quick_export):
        state = HDCFM().state_dict()
        del state["last.conv.bias"]
        state["more"] = torch.zeros(1)
        state["first.conv.weight"] = torch.zeros(2, 2)
        message = r"last.conv.bias is missing; more is not known; first.conv.weight is \(2, 2\), not \(64, 3, 1, 1\)"
        with pytest.raises(InputError, match=message):
            self.convert(tmp_path, state)
        assert not (tmp_path / "out").exists()

    def test_no_tensors(self, tmp_path):
        with pytest.raises(InputError, match="holds no table of tensors"):
            self.convert(tmp_path, [1, 2])

    def test_bad_arguments(self, tmp_path):
        (tmp_path / "a.pth").write_bytes(b"nothing")
        with pytest.raises(InputError, match="is not a checkpoint of torch") as error:
            weights.convert_checkpoint(tmp_path / "a.pth", "hdcfm", tmp_path / "x.safetensors")
        assert "\n" not in str(error.value)
        with pytest.raises(InputError, match=r"must end in .safetensors"):
            weights.convert_checkpoint(tmp_path / "a.pth", "hdcfm", tmp_path / "x.onnx")
        with pytest.raises(InputError, match="no published checkpoint of 'x'"):
            weights.convert_checkpoint(tmp_path / "a.pth", "x", tmp_path / "x.safetensors")
        with pytest.raises(InputError, match="there is no file"):
            weights.convert_checkpoint(tmp_path / "b.pth", "hdcfm", tmp_path / "x.safetensors")
