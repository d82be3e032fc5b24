import cv2
import numpy as np
import OpenEXR
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import scenes

FROZEN = {
    "adams_place_bridge": "test",
    "autoshop": "test",
    "blocky_photo_studio": "test",
    "kloppenheim": "test",
    "pmndrs_night": "test",
    "pmndrs_park": "test",
    "quarry": "test",
    "spaichingen_hill": "test",
    "circus_arena": "validation",
    "pmndrs_city": "validation",
    "brown_photostudio": "train",
    "dancing_hall": "train",
    "leafy_knoll": "train",
    "studio_small": "train",
    "venice_sunset": "train",
}
"""The split as it was when the first weights were trained. A change here makes every published number worthless."""


@pytest.mark.parametrize("place", FROZEN)
def test_split_is_frozen(place):
    assert scenes.split(place) == FROZEN[place]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("brown_photostudio_01_1k", "brown_photostudio"),
        ("brown_photostudio_02_1k", "brown_photostudio"),
        ("brown_photostudio_07_4k", "brown_photostudio"),
        ("modern_buildings_2_1k", "modern_buildings"),
        ("leafy_knoll_2k", "leafy_knoll"),
        ("venice_sunset_1k", "venice_sunset"),
        ("pmndrs_venice", "venice_sunset"),
        ("pmndrs_studio", "studio_small"),
        ("studio_small_05_1k", "studio_small"),
        ("ilm_Tree", "ilm_Tree"),
    ],
)
def test_location(name, place):
    assert scenes.location(name) == place


def test_shares_are_about_what_they_say():
    splits = [scenes.split(f"place {index}") for index in range(4000)]
    assert splits.count("test") / 4000 == pytest.approx(0.2, abs=0.02)
    assert splits.count("validation") / 4000 == pytest.approx(0.08, abs=0.02)


def write(path, picture):
    if path.suffix == ".hdr":
        cv2.imwrite(str(path), picture[..., ::-1])
    else:
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {"RGB": picture}).write(str(path))


PICTURE = np.random.default_rng(0).random((8, 10, 3)).astype(np.float32) + 0.1


def test_find_keeps_locations_together(tmp_path):
    names = [f"brown_photostudio_{number:02d}_1k" for number in range(1, 5)] + list(FROZEN)
    for name in names:
        write(tmp_path / f"{name}.hdr", PICTURE)
    (tmp_path / "notes.txt").write_text("not a scene")
    found = {split: scenes.find(tmp_path, split) for split in ("train", "validation", "test")}
    assert sum(map(len, found.values())) == len(names)
    places = [{scene.location for scene in group} for group in found.values()]
    assert not places[0] & places[1] | places[0] & places[2] | places[1] & places[2]
    assert [scene.name for scene in found["test"]] == sorted(scene.name for scene in found["test"])


@pytest.mark.parametrize("suffix", [".hdr", ".exr"])
def test_read(tmp_path, suffix):
    write(tmp_path / f"quarry{suffix}", PICTURE)
    read = scenes.find(tmp_path, "test")[0].read()
    assert read.dtype == np.float32
    # RGBE keeps 8 bits of the largest channel: steps of 2/256 from 1 to 2.
    np.testing.assert_allclose(read, PICTURE, atol=2 / 256 if suffix == ".hdr" else 1e-7)


def test_read_replaces_what_is_not_light(tmp_path):
    picture = PICTURE.copy()
    picture[0, 0], picture[0, 1], picture[0, 2] = np.nan, np.inf, -1.0
    write(tmp_path / "quarry.exr", picture)
    read = scenes.find(tmp_path, "test")[0].read()
    np.testing.assert_array_equal(read[0, :3, 0], [0, 65504, 0])


def test_broken_files_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="scenes: no test scene among 0"):
        scenes.find(tmp_path, "test")
    with pytest.raises(InputError, match="scenes: no train scene among 0"):
        scenes.find(tmp_path / "nowhere", "train")
    for name in ("quarry.hdr", "autoshop.exr"):
        (tmp_path / name).write_bytes(b"broken")
    for scene in scenes.find(tmp_path, "test"):
        with pytest.raises(InputError, match=f"scenes: .*{scene.name}"):
            scene.read()


@pytest.mark.parametrize("shape", [(64, 128), (100, 80), (40, 300), (16, 16)])
def test_random_view(shape):
    picture = np.random.default_rng(0).random((*shape, 3)).astype(np.float32)
    for seed in range(10):
        view = scenes.random_view(picture, 32, np.random.default_rng(seed))
        assert view.shape == (32, 32, 3)
        assert view.dtype == np.float32
        assert view.flags.c_contiguous
        assert picture.min() <= view.min() <= view.max() <= picture.max()
        np.testing.assert_array_equal(view, scenes.random_view(picture, 32, np.random.default_rng(seed)))


def test_random_view_keeps_out_of_the_poles_of_a_panorama():
    panorama = np.ones((100, 200, 3), np.float32)
    panorama[:17] = panorama[83:] = 1000
    for seed in range(30):
        assert scenes.random_view(panorama, 32, np.random.default_rng(seed)).max() < 1.001
