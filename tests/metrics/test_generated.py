import cv2
import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import generated, temporal
from vs_hdrtv.training import operators, scenes

WANTED = generated.Clips(2, frames=6, size=64)


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("quarry_02_1k", "pmndrs_park", "circus_arena"):  # two of the test split, one of validation
        small = np.exp(rng.normal(0, 1.5, (16, 32, 3))).astype(np.float32)
        cv2.imwrite(str(tmp_path / f"{name}.hdr"), cv2.resize(small, (256, 128), interpolation=cv2.INTER_CUBIC).clip(1e-3))
    return tmp_path


def items(data, split="test", wanted=WANTED):
    found = {}
    for item in generated.of_data(data, split, wanted):
        found.setdefault(item.group, []).append(item)
    return found


def test_sets_and_operators(data):
    found = items(data)
    assert list(found) == [generated.name_of(kind, made_by) for kind in generated.KINDS for made_by in generated.SETS]
    for group, clips in found.items():
        used = {item.name.split()[-1] for item in clips}
        assert used <= set(operators.UNSEEN if "held-out" in group else operators.SEEN)
        assert {item.name.split()[0] for item in clips} == {"quarry_02_1k", "pmndrs_park"}


def test_validation_has_no_held_out_operator(data):
    found = items(data, "validation")
    assert list(found) == [generated.name_of(kind, "seen operators") for kind in generated.KINDS]


def test_a_clip_is_a_function_of_scene_and_operator(data):
    one = items(data)["clips, slow motion, seen operators"][1]
    (data / "quarry_02_1k.hdr").rename(data / "quarry_03_1k.hdr")
    other = next(i for i in items(data)["clips, slow motion, seen operators"] if i.name.split()[0] == "pmndrs_park")
    scene = scenes.Scene("pmndrs_park", "pmndrs_park", "test", data / "pmndrs_park.hdr")
    if one.name == other.name:
        np.testing.assert_array_equal(one.load().sdr, other.load().sdr)
    first, again = (generated.clip(scene, scenes.Scene.read, "slow motion", "hable", WANTED) for _ in range(2))
    np.testing.assert_array_equal(first.sdr, again.sdr)
    assert not np.array_equal(first.sdr, generated.clip(scene, scenes.Scene.read, "slow motion", "hable", WANTED, 1).sdr)


def test_what_stands_still(data):
    still, coded, moving = (items(data)[f"clips, {kind}, seen operators"][0].load() for kind in
                            ("static camera", "static camera, coded", "moving camera"))  # fmt: skip
    assert still.sdr.shape == still.hdr.shape == (6, 3, 64, 64)
    assert (still.rate, still.cuts) == (generated.RATE, ())
    background = (np.diff(still.hdr, axis=0) == 0).all(axis=(0, 1))
    assert 0.3 < background.mean() < 1  # something moves in front
    # 4:2:0 carries what moves into the pixel beside it.
    away = cv2.erode(background.astype(np.uint8), np.ones((3, 3))) > 0
    np.testing.assert_array_equal(still.sdr[1:, :, away], still.sdr[:-1, :, away])
    # The same light through an encoder: it stands as still, and SDR does not.
    np.testing.assert_array_equal((np.diff(coded.hdr, axis=0) == 0).all(axis=(0, 1)), background)
    assert temporal.flicker(coded.sdr, coded.hdr) > 0.05
    assert (np.diff(moving.hdr, axis=0) == 0).mean() < 0.1


def test_black_pictures_are_refused(data):
    cv2.imwrite(str(data / "quarry_02_1k.hdr"), np.zeros((64, 128, 3), np.float32))
    with pytest.raises(InputError, match=r"quarry_02_1k\.hdr is black nearly everywhere; remove it"):
        [item.load() for group in items(data).values() for item in group]
