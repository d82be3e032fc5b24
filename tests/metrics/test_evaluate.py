import argparse
import csv

import cv2
import numpy as np
import OpenEXR
import pytest
import torch

from vs_hdrtv.color.transfer import bt1886_eotf, pq_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import evaluate
from vs_hdrtv.training import operators, scenes

TEST_SCENES = ("pmndrs_park", "quarry_02_1k")
"""Names that hash into the test split (tests/training/test_scenes.py)."""


def write_scene(path, seed):
    rng = np.random.default_rng(seed)
    small = np.exp(rng.normal(0, 1.5, (8, 12, 3))).astype(np.float32)
    cv2.imwrite(str(path), cv2.resize(small, (96, 64), interpolation=cv2.INTER_CUBIC).clip(0.001))


def write_pair(folder, size=(48, 64)):
    folder.mkdir(parents=True)
    ramp = np.linspace(0, 1, size[1], dtype=np.float32) * np.ones((size[0], 1), np.float32)
    light = np.stack([ramp, ramp, ramp], axis=-1)  # (H, W, 3), 1.0 = SDR white
    coded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    cv2.imwrite(str(folder / "sdr.png"), np.rint(coded * 255).astype(np.uint8)[..., ::-1])
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": (2 * light).astype(np.float16)}).write(str(folder / "hdr.exr"))


@pytest.fixture
def data(tmp_path):
    stills = tmp_path / "data" / "hdr_stills"
    stills.mkdir(parents=True)
    for seed, name in enumerate(TEST_SCENES):
        write_scene(stills / f"{name}.hdr", seed)
    write_pair(tmp_path / "data" / "pairs" / "ramp")
    manifest = "file,primaries\npairs/ramp/(sdr.png hdr.exr),sRGB/BT.709\n"
    (tmp_path / "data" / "MANIFEST.csv").write_text(manifest)
    return tmp_path / "data"


def arguments(data, *more):
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_args(["--data", str(data), "--size", "32", "--views", "1", *more])


def evaluated(*args):
    text = []
    assert evaluate.run(arguments(*args), text.append) == 0
    return "".join(text)


def test_table_and_csv(data, tmp_path):
    text = evaluated(data, "--output", str(tmp_path / "results.csv"))
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [row[0].strip("| ") for row in rows] == ["method", "bt2446a", "bt2446c", "bt2408"]
    sets = [cell.strip(" |") for cell in rows[0][1:]]
    held_out = [f"held-out operator {name} (2)" for name in operators.UNSEEN]
    analytic = [f"SDR made by {name} (2)" for name in operators.ANALYTIC]
    assert sets == ["held-out scenes, seen operators (2)", *held_out, *analytic, "real photo pairs (1)"]

    with (tmp_path / "results.csv").open(newline="") as file:
        results = list(csv.DictReader(file))
    assert len(results) == 3 * len(sets)
    first = results[0]
    cell = f"{float(first['psnr_db']):.1f} / {float(first['delta_e_itp']):.1f} ("
    assert rows[1][1].startswith(cell)
    assert not (tmp_path / "results.csv.partial").exists()
    for row in results:
        assert float(row["psnr_matched_db"]) >= float(row["psnr_db"]) - 0.01


def test_same_seed_same_table_other_seed_another(data):
    first = evaluated(data, "--baselines", "bt2408")
    assert evaluated(data, "--baselines", "bt2408") == first
    assert evaluated(data, "--baselines", "bt2408", "--seed", "1") != first


def test_a_pair_does_not_depend_on_the_other_scenes(data):
    # More data must not move the numbers of what was there: the key is the scene's name, not its place.
    parsed = arguments(data)
    scene = next(s for s in scenes.find(data / "hdr_stills", "test") if s.name == TEST_SCENES[1])
    alone = evaluate._scene_pair(scene, scene.read(), "hable", 0, parsed)
    among = [pair for name, pair in evaluate._all_pairs(scenes.find(data / "hdr_stills", "test"), [], parsed)]
    assert any(pair.operator == "hable" and np.array_equal(pair.sdr, alone.sdr) for pair in among)


def test_a_folder_of_stills_alone(data):
    text = evaluated(data / "hdr_stills", "--baselines", "bt2408")
    assert "real photo pairs" not in text
    assert "held-out scenes, seen operators (2)" in text


def test_photo_pair_signals(data):
    pair = evaluate.photo_pair(data / "pairs" / "ramp", "sRGB/BT.709", 48)
    assert pair.sdr.shape == pair.hdr.shape == (3, 48, 64)
    assert pair.sdr.dtype == pair.hdr.dtype == np.float32
    # The ramp of light is still there after sRGB -> BT.1886 (8-bit steps), and twice it in 203 cd/m2 on the HDR side.
    ramp = np.linspace(0, 1, 64)
    np.testing.assert_allclose(bt1886_eotf(pair.sdr)[:, 0], np.broadcast_to(ramp, (3, 64)), atol=0.005)
    np.testing.assert_allclose(pq_eotf(pair.hdr)[:, 0], np.broadcast_to(406 * ramp, (3, 64)), rtol=2e-3, atol=0.01)


def test_photo_pair_in_p3_is_converted_and_scaled(data):
    # Grey stays grey whatever the primaries; the shorter side becomes `size`.
    pair = evaluate.photo_pair(data / "pairs" / "ramp", "Display P3", 32)
    assert pair.sdr.shape == (3, 32, 42)
    np.testing.assert_allclose(pair.sdr[0], pair.sdr[1], atol=1e-5)
    np.testing.assert_allclose(pair.hdr[0], pair.hdr[2], atol=1e-5)


@pytest.mark.parametrize("engine", ["torch"])
def test_checkpoint_of_a_run(data, tmp_path, engine):
    from vs_hdrtv.networks import registry

    torch.manual_seed(0)
    path = tmp_path / "checkpoint.pt"
    torch.save({"average": registry.create("hdcfm").state_dict(), "step": 1}, path)
    text = evaluated(data, "--baselines", "--checkpoint", str(path))
    assert str(path) in text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--size", "31"], "evaluate: --size is 31; give an even number"),
        (["--size", "16"], "evaluate: --size is 16"),
        (["--views", "0"], "evaluate: --views is 0"),
        (["--seed", "-1"], "evaluate: --seed is -1"),
        (["--baselines", "magic"], "evaluate: unknown baseline 'magic'; choose from bt2446a"),
        (["--baselines"], "evaluate: there is no method"),
        (["--output", "/nowhere/results.csv"], "evaluate: --output /nowhere/results.csv"),
        (["--checkpoint", "/nowhere.pt"], "evaluate: --checkpoint /nowhere.pt cannot be read"),
    ],
)
def test_bad_arguments_are_refused(data, more, message):
    with pytest.raises(InputError, match=message):
        evaluate.run(arguments(data, *more), lambda text: None)


def test_bad_data_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        evaluate.run(arguments(tmp_path / "nowhere"), lambda text: None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no test scene"):
        evaluate.run(arguments(tmp_path / "empty"), lambda text: None)
    (tmp_path / "broken.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="cannot be read"):
        evaluate.run(arguments(data, "--checkpoint", str(tmp_path / "broken.pt")), lambda text: None)
    torch.save({"average": {}}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="does not hold HDCFM"):
        evaluate.run(arguments(data, "--checkpoint", str(tmp_path / "other.pt")), lambda text: None)


def test_bad_photo_pairs_are_refused(data):
    folder = data / "pairs" / "ramp"
    with pytest.raises(InputError, match="MANIFEST"):
        evaluate.photo_pair(folder, "", 32)
    cv2.imwrite(str(folder / "sdr.png"), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(InputError, match="align"):
        evaluate.photo_pair(folder, "sRGB", 32)
    (folder / "sdr.png").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        evaluate.photo_pair(folder, "sRGB", 32)


def test_models_run_through_their_engine(data, monkeypatch):
    from vs_hdrtv import engines, weights
    from vs_hdrtv.color.tone_curves import bt2408

    class Engine:
        def load(self, card):
            assert card == "card of own.toml"
            return bt2408

        def upload(self, array):
            assert array.shape[:2] == (1, 3)
            assert array.dtype == np.float32
            return array

        def download(self, array):
            return array

    asked = []
    monkeypatch.setattr(engines, "create", lambda name: asked.append(name) or Engine())
    monkeypatch.setattr(weights, "find", lambda model: f"card of {model}")
    text = evaluated(data, "--baselines", "bt2408", "--models", "own.toml", "--engine", "torch")
    baseline, model = [line.split(" | ")[1:] for line in text.splitlines() if line.startswith(("| bt2408", "| own.toml"))]
    assert model == baseline
    assert asked == ["torch"]
