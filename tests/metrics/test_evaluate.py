import argparse
import csv
import json
import shutil

import cv2
import numpy as np
import OpenEXR
import pytest
import torch

from vs_hdrtv.color.overexposure import overexposure_mask
from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.color.transfer import bt1886_eotf, pq_eotf, pq_inverse_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import evaluate, generated, methods, registry, samples
from vs_hdrtv.metrics.registry import PAIRS
from vs_hdrtv.networks import registry as registry_of_networks
from vs_hdrtv.training import checkpoints, operators, scenes

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
    return parsed("--data", data, *more)


def parsed(*args):
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_args(["--size", "32", "--views", "1", *map(str, args)])


def evaluated(*args):
    text = []
    assert evaluate.run(parsed(*args), text.append) == 0
    return "".join(text)


def test_a_manifest_of_licences_alone_will_do_for_scenes(data):
    (data / "MANIFEST.csv").write_text("file,source,licence\nhdr_stills/a.hdr,somebody,CC0\n\n")
    shutil.rmtree(data / "pairs")
    assert "hable (2)" in evaluated("--data", data, "--metrics", "psnr")


def test_table_and_csv(data, tmp_path):
    text = evaluated("--data", data, "--output", str(tmp_path / "results.csv"))
    pairs, charts = text.split("\n\n")[1:]
    assert charts.startswith("| test charts (1) | hue shift of memory colours, degrees ↓ | banding relative to BT.2408 ↓ |")
    rows = [line.split(" | ") for line in pairs.splitlines() if line.startswith("| ")]
    assert [row[0].strip("| ") for row in rows] == ["method", "bt2446a", "bt2446c", "bt2408"]
    sets = [cell.strip(" |") for cell in rows[0][1:]]
    held_out = [f"held-out operator {name} (2)" for name in operators.UNSEEN]
    analytic = [f"SDR made by {name} (2)" for name in operators.ANALYTIC]
    assert sets == ["held-out scenes, seen operators (2)", *held_out, *analytic, "real photo pairs (1)"]

    with (tmp_path / "results.csv").open(newline="") as file:
        results = list(csv.DictReader(file))
    assert len(results) == 3 * (len(sets) + 1)
    first = results[0]
    cell = f"{float(first['psnr_db']):.1f} / {float(first['delta_e_itp']):.1f} ("
    assert rows[1][1].startswith(cell)
    assert not (tmp_path / "results.csv.partial").exists()
    charts = [row for row in results if row["set"] == "test charts"]
    assert [row["banding_ratio"] for row in charts if row["method"] == "bt2408"] == ["1.0000"]
    for row in (row for row in results if row not in charts):
        assert float(row["psnr_matched_db"]) >= float(row["psnr_db"]) - 0.01


def test_same_seed_same_table_other_seed_another(data):
    first = evaluated("--data", data, "--baselines", "bt2408")
    assert evaluated("--data", data, "--baselines", "bt2408") == first
    assert evaluated("--data", data, "--baselines", "bt2408", "--seed", "1") != first


def test_a_pair_does_not_depend_on_the_other_scenes(data):
    # More data must not move the numbers of what was there: the key is the scene's name, not its place.
    views = samples.Views(32, 1, 0)
    scene = next(s for s in scenes.find(data / "hdr_stills", "test") if s.name == TEST_SCENES[1])
    alone = samples.scene_pair(scene, scenes.Scene.read, "hable", 0, views)
    among = {(item.group, item.name): item for item in samples.of_data(data, "test", views)}
    item = among["held-out operator hable", f"{TEST_SCENES[1]} 0 hable"]
    np.testing.assert_array_equal(item.load().sdr, alone.sdr)


def test_validation_has_nothing_that_is_only_ever_test(data):
    # "circus_arena" hashes into the validation split (tests/training/test_scenes.py).
    write_scene(data / "hdr_stills" / "circus_arena.hdr", 5)
    text = evaluated("--data", data, "--split", "validation", "--baselines", "bt2408")
    sets = [cell.strip(" |") for cell in text.splitlines()[2].split(" | ")[1:]]
    assert sets == ["validation scenes, seen operators (1)", *(f"SDR made by {name} (1)" for name in operators.ANALYTIC)]


def test_pairs_limits_json_and_pictures(data, tmp_path):
    own = tmp_path / "own"
    for kind, dtype in (("sdr", np.uint8), ("hdr", np.uint16)):
        (own / kind).mkdir(parents=True)
        for name in ("one", "two"):
            cv2.imwrite(str(own / kind / f"{name}.png"), np.full((48, 64, 3), np.iinfo(dtype).max // 3, dtype))
    files = ["--json", str(tmp_path / "r.json"), "--pictures", str(tmp_path / "pictures"), "--worst", "1"]
    wanted = ["--metrics", "psnr", "ssim", "hue_shift", "banding", "--baselines", "bt2408", "bt2446a"]
    text = evaluated("--data", data, "--pairs", str(own), "--limit", "1", *files, *wanted)
    assert "| pairs of own (1) | PSNR of PQ, dB ↑ | SSIM of PQ ↑ |" in text
    assert "| test charts (1) | hue shift of memory colours, degrees ↓ | banding on a ramp, 10-bit codes ↓ |" in text
    read = json.loads((tmp_path / "r.json").read_text())
    assert read["settings"]["pairs"] == [str(own)]
    by_set = {(row["method"], row["set"]): row for row in read["results"]}
    assert [sample["name"] for sample in by_set["bt2408", "pairs of own"]["samples"]] == ["one"]
    # By hand: BT.2408 of a grey is its light, PQ of 203 (1/3)^2.4 cd/m2.
    signal = float(pq_inverse_eotf(np.array(203 * (85 / 255) ** 2.4)))
    expected = -20 * np.log10(abs(signal - 1 / 3))
    assert by_set["bt2408", "pairs of own"]["mean"]["psnr_db"] == pytest.approx(expected, abs=1e-3)
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert len(pictures) == 2 * (len(by_set) // 2 - 1)
    assert {"pairs_of_own.bt2408.png", "real_photo_pairs.bt2446a.png"} <= set(pictures)
    sheet = cv2.imread(str(tmp_path / "pictures" / "pairs_of_own.bt2408.png"))
    assert sheet.shape[1] > 4 * 400


def test_clips_have_metrics_of_their_own(grey_file):
    sdr = grey_file("sdr.mkv", [0.4, 0.5, 0.4, 0.5], transfer=1)
    hdr = grey_file("hdr.mkv", [0.4, 0.4, 0.4, 0.4])
    text = evaluated("--clip", str(sdr), str(hdr), "--metrics", "flicker", "mabd", "psnr", "--baselines", "bt2408")
    tables = text.split("\n\n")
    assert tables[0].startswith("Clips: MABD / flicker") and "| method | clips (1) |" in tables[1]
    row = tables[1].splitlines()[2]
    steps = np.diff(pq_inverse_eotf(203 * np.array([0.4, 0.5]) ** 2.4))[0]
    mabd, flicker = (float(cell) for cell in row.strip("| ").split(" | ")[1].split(" / "))
    # The reference stands still everywhere: all that luma does is flicker. 10-bit rounding of the files: 1/876 of 0.1.
    assert flicker == pytest.approx(1023 * steps, rel=0.02)
    assert mabd == pytest.approx((255 * steps) ** 2, rel=0.04)
    # They are what is measured of clips by default.
    assert tables[1] in evaluated("--clip", str(sdr), str(hdr), "--baselines", "bt2408")


NOW = {"sdr": (0,)}
BOTH = {"hdr": (0,), "sdr": (0,)}


def test_models_in_a_chain_read_what_was_written(data, model, fake_models):
    fake_models(
        {
            "first": model(NOW, network=bt2408),
            "second": model(BOTH, network=lambda hdr, sdr: hdr + 0 * sdr),
            "mask": model(NOW, writes="mask", network=lambda sdr: sdr),
        }
    )
    text = evaluated("--data", data, "--baselines", "bt2408", "--models", "first+second", "--metrics", *PAIRS)
    baseline, chain = [line.split(" | ")[1:] for line in text.splitlines() if line.startswith(("| bt2408", "| first+second"))]
    assert chain == baseline
    with pytest.raises(InputError, match=r"second reads hdr, which nothing before it writes; give it as MODEL\+second"):
        evaluated("--data", data, "--models", "second")
    with pytest.raises(InputError, match="mask writes mask; only what makes HDR"):
        evaluated("--data", data, "--models", "mask")


def test_a_chain_is_measured_where_it_is_over_exposed(data, model, fake_models, tmp_path):
    def brighter(hdr, sdr):
        return hdr + np.float32(0.05) * overexposure_mask(sdr)

    fake_models({"first": model(NOW, network=bt2408), "second": model(BOTH, network=brighter)})
    wanted = ["--metrics", "psnr", "psnr_overexposed", "overexposed_share"]
    files = ["--csv", str(tmp_path / "r.csv"), "--json", str(tmp_path / "r.json")]
    text = evaluated("--data", data, "--baselines", "bt2408", "--models", "first,first+second", *wanted, "--limit", "2", *files)
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = {(row["method"], row["set"]): row for row in csv.DictReader(file)}
    read = {(row["method"], row["set"]): row for row in json.loads((tmp_path / "r.json").read_text())["results"]}
    some = 0
    for (method, group), row in rows.items():
        assert row["pairs_overexposed"] == str(read[method, group]["measured"]["psnr_overexposed_db"])
        assert rows["first", group]["overexposed_share"] == row["overexposed_share"]
        if method == "first+second" and int(row["pairs_overexposed"]):
            some += 1
            assert row["psnr_overexposed_db"] != rows["first", group]["psnr_overexposed_db"]
        if method == "first":
            assert row["psnr_overexposed_db"] == rows["bt2408", group]["psnr_overexposed_db"]
    assert some
    assert "| first+second |" in text


def test_models_are_told_apart_by_spaces_or_commas(tmp_path):
    path = tmp_path / "a,b.toml"
    path.touch()
    assert methods.split(["a,b+c", "a", str(path)]) == ["a", "b+c", str(path)]


def test_goals_are_judged_and_written(data, tmp_path):
    text = evaluated("--data", data, "--limit", "1", "--goals", "--json", str(tmp_path / "r.json"))
    assert text.endswith("0 of 0 goals reached.\n")  # formulas are asked for nothing
    assert json.loads((tmp_path / "r.json").read_text())["goals"] == []


def test_a_folder_of_stills_alone(data):
    text = evaluated("--data", data / "hdr_stills", "--baselines", "bt2408")
    assert "real photo pairs" not in text
    assert "held-out scenes, seen operators (2)" in text


def test_photo_pair_signals(data):
    pair = samples.photo_pair(data / "pairs" / "ramp", "sRGB/BT.709", 48)
    assert pair.sdr.shape == pair.hdr.shape == (3, 48, 64)
    assert pair.sdr.dtype == pair.hdr.dtype == np.float32
    # The ramp of light is still there after sRGB -> BT.1886 (8-bit steps), and twice it in 203 cd/m2 on the HDR side.
    ramp = np.linspace(0, 1, 64)
    np.testing.assert_allclose(bt1886_eotf(pair.sdr)[:, 0], np.broadcast_to(ramp, (3, 64)), atol=0.005)
    np.testing.assert_allclose(pq_eotf(pair.hdr)[:, 0], np.broadcast_to(406 * ramp, (3, 64)), rtol=2e-3, atol=0.01)


def test_photo_pair_in_p3_is_converted_and_scaled(data):
    # Grey stays grey whatever the primaries; the shorter side becomes `size`.
    pair = samples.photo_pair(data / "pairs" / "ramp", "Display P3", 32)
    assert pair.sdr.shape == (3, 32, 42)
    np.testing.assert_allclose(pair.sdr[0], pair.sdr[1], atol=1e-5)
    np.testing.assert_allclose(pair.hdr[0], pair.hdr[2], atol=1e-5)


def write_checkpoint(path, name, recipe=None, small=False, **arguments):
    torch.manual_seed(0)
    state = registry_of_networks.create(name, **arguments).state_dict()
    whole = {"network": state, "average": {key: value + 0.01 for key, value in state.items()}, "optimizer": {}, "step": 1}
    if recipe is not None:
        whole["recipe"] = {"name": "own", "fields": recipe}
    checkpoints.write(path, whole, small=small)


def test_checkpoint_of_a_run(data, tmp_path):
    write_checkpoint(tmp_path / "checkpoint.pt", "hdcfm")
    text = evaluated("--data", data, "--baselines", "--checkpoint", str(tmp_path / "checkpoint.pt"), "--limit", "1")
    assert str(tmp_path / "checkpoint.pt") in text


def test_small_checkpoint_in_parts_of_a_network_of_several_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "LIMIT", 1 << 17)
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, "hdcfm_mfi", {"model": "hdcfm_mfi"}, small=True)
    assert len(list(tmp_path.glob("*.part"))) > 1
    method = methods.collect([], [], path, "auto")[str(path)]
    network = registry_of_networks.create("hdcfm_mfi").eval()
    network.load_state_dict(checkpoints.read(path)["average"])
    clip = np.random.default_rng(0).random((4, 3, 32, 34)).astype(np.float32)
    found = method(clip, (2,))
    for n, window in enumerate([(0, 0, 1), (0, 1, 1), (2, 2, 3), (2, 3, 3)]):  # a scene begins with frame 2
        with torch.inference_mode():
            expected = network(*(torch.from_numpy(clip[at : at + 1]) for at in window))[0].numpy()
        np.testing.assert_array_equal(found[n], expected)


def test_checkpoint_of_a_second_stage_runs_after_the_first(tmp_path):
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, "pdcg", {"model": "pdcg", "first_stage": "hdcfm"})
    sdr = np.random.default_rng(0).random((1, 3, 32, 32)).astype(np.float32)
    found = methods.collect([], [], path, "auto")[str(path)](sdr, ())
    first = methods.collect([], ["hdcfm"], None, "torch")["hdcfm"](sdr, ())
    network = registry_of_networks.create("pdcg").eval()
    network.load_state_dict(checkpoints.read(path)["average"])
    with torch.inference_mode():
        expected = network(torch.from_numpy(first), torch.from_numpy(sdr)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--size", "31"], "evaluate: --size is 31; give an even number"),
        (["--size", "16"], "evaluate: --size is 16"),
        (["--views", "0"], "evaluate: --views is 0"),
        (["--seed", "-1"], "evaluate: --seed is -1"),
        (["--baselines", "magic"], "evaluate: unknown baseline 'magic'; choose from bt2446a"),
        (["--baselines"], "evaluate: there is no method"),
        (["--output", "/nowhere/results.csv"], "evaluate: --csv /nowhere/results.csv"),
        (["--json", "/nowhere/results.json"], "evaluate: --json /nowhere/results.json"),
        (["--pictures", __file__], "evaluate: --pictures .* is a file"),
        (["--limit", "0"], "evaluate: --limit is 0"),
        (["--frames", "0"], "evaluate: --frames is 0"),
        (["--worst", "0"], "evaluate: --worst is 0"),
        (["--metrics", "vmaf"], "metrics: unknown metric 'vmaf'"),
        (["--metrics", "mabd"], "evaluate: mabd is measured on clips of two frames or more; give --clip SDR HDR or --clips N"),
        (["--metrics", "mabd", "--clips", "1", "--frames", "1"], "evaluate: mabd is measured on clips of two frames"),
        (["--clips", "0"], "evaluate: --clips is 0"),
        (["--engine", "nope", "--models"], "engine: unknown engine 'nope'"),
        (["--pairs", "/nowhere"], "evaluate: --pairs /nowhere has no folder sdr"),
        (["--clip", "/nowhere.mkv", "/nowhere2.mkv"], "evaluate.*/nowhere2.mkv"),
        (["--checkpoint", "/nowhere.pt"], "evaluate: --checkpoint /nowhere.pt: cannot read /nowhere.pt"),
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
    with pytest.raises(InputError, match="does not hold averaged weights of hdcfm"):
        evaluate.run(arguments(data, "--checkpoint", str(tmp_path / "other.pt")), lambda text: None)


def test_bad_photo_pairs_are_refused(data):
    folder = data / "pairs" / "ramp"
    with pytest.raises(InputError, match="MANIFEST"):
        samples.photo_pair(folder, "", 32)
    cv2.imwrite(str(folder / "sdr.png"), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(InputError, match="align"):
        samples.photo_pair(folder, "sRGB", 32)
    (folder / "sdr.png").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        samples.photo_pair(folder, "sRGB", 32)


def test_models_run_through_their_engine(data, model, fake_models):
    asked = fake_models({"own.toml": model(NOW, network=bt2408)})
    text = evaluated("--data", data, "--baselines", "bt2408", "--models", "own.toml", "--engine", "torch", "--metrics", *PAIRS)
    baseline, row = [line.split(" | ")[1:] for line in text.splitlines() if line.startswith(("| bt2408", "| own.toml"))]
    assert row == baseline
    assert asked == ["torch"]


def test_clips_are_made_of_the_data(data, tmp_path):
    more = ["--clips", "1", "--frames", "3", "--limit", "1", "--json", str(tmp_path / "r.json")]
    text = evaluated("--data", data, "--baselines", "bt2408", *more)
    names = [f"clips, {kind}, {made_by}" for kind in generated.KINDS for made_by in generated.SETS]
    cells = text.split("\n\n")
    assert all(f"| {name} (1) |" in cells[1].replace(" | ", " | | ") for name in names)
    assert cells[2].startswith("Clips: MABD / flicker where the reference stands still")
    read = json.loads((tmp_path / "r.json").read_text())
    assert read["settings"]["clips"] == 1
    means = {row["set"]: row["mean"] for row in read["results"]}
    assert set(names) < set(means)
    assert all({"mabd", "flicker", "psnr_db", "delta_e_itp_matched"} <= means[name].keys() for name in names)
    assert "mabd" not in means["held-out scenes, seen operators"]
    # A formula looks at a pixel alone: what an encoder left in SDR flickers in HDR.
    still, coded = (means[f"clips, {kind}, seen operators"]["flicker"] for kind in ("static camera", "static camera, coded"))
    assert coded > still


def test_means_of_a_clip_are_those_of_its_frames(data):
    item = generated.of_data(data, "test", generated.Clips(1, 3, 32))[0]
    sample = item.load()
    hdr = bt2408(sample.sdr)
    chosen = registry.choose(["delta_e_itp", "psnr"])
    whole = registry.measure(chosen, hdr, sample.hdr, sample.rate)
    frames = [registry.measure(chosen, *pair) for pair in zip(hdr, sample.hdr, strict=True)]
    for name, value in whole.items():
        assert value == pytest.approx(np.mean([frame[name] for frame in frames]), rel=1e-6)


def test_nothing_to_convert():
    with pytest.raises(InputError, match="nothing to convert; give --data, --pairs or --clip"):
        evaluated()
    # Charts need no pairs.
    assert evaluated("--metrics", "banding_ratio", "--baselines", "bt2408").splitlines()[2] == "| bt2408 | 1.000 |"
