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


def test_random_view_sees_a_panorama_across_its_edges():
    turned = np.zeros((64, 128, 3), np.float32)
    turned[...] = np.cos(np.arange(128) * (2 * np.pi / 128))[:, None] + 1  # goes on smoothly at the edges
    seamless = True
    across = 0
    for seed in range(40):
        view = scenes.random_view(turned, 32, np.random.default_rng(seed))
        seamless &= bool(np.abs(np.diff(view[..., 0], axis=1)).max() < 2.5 * 2 * np.pi / 128)
        across += bool(view[0, 0, 0] < 1.9 and view[0, -1, 0] < 1.9 and view[..., 0].max() > 1.99)
    assert seamless
    assert across  # some of them have the seam, where the cosine is 2, in the middle


def test_clips_fall_under_the_rule_of_pictures(tmp_path):
    for name in (*FROZEN, "quarry_02", "notes"):
        (tmp_path / f"{name}.mp4").write_bytes(b"")
    (tmp_path / "dancing_hall.txt").write_text("not a clip")
    found = {split: scenes.find_videos(tmp_path, split) for split in ("train", "validation", "test")}
    for name, place in FROZEN.items():
        assert name in [scene.name for scene in found[place]]
    assert "quarry_02" in [scene.name for scene in found["test"]]
    assert sum(map(len, found.values())) == len(FROZEN) + 2
    assert scenes.find_videos(tmp_path / "nowhere", "train") == []


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_photo_pairs_are_only_ever_test(tmp_path, split):
    for name in ("dancing_hall", "leafy_knoll", "quarry"):  # two of them hash into train
        (tmp_path / name).mkdir()
        (tmp_path / name / "sdr.png").write_bytes(b"")
        (tmp_path / name / "hdr.exr").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    found = [path.name for path in scenes.find_photos(tmp_path, split)]
    assert found == (["dancing_hall", "leafy_knoll", "quarry"] if split == "test" else [])


def hdr_clip(path, transfer, value=600, size=(64, 48), frames=4):
    """A grey 10-bit clip: luma code `value`."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx265", rate=24, options={"x265-params": "log-level=none:lossless=1:pools=none"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, transfer, 9, 1
        for _ in range(frames):
            frame = av.VideoFrame(*size, "yuv420p10le")
            for plane, code in zip(frame.planes, (value, 512, 512), strict=True):
                np.frombuffer(plane, np.uint16)[:] = code
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return scenes.Scene(path.stem, path.stem, "train", path)


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_clips_become_light(tmp_path, transfer):
    from vs_hdrtv.color.transfer import hlg_inverse_oetf, hlg_ootf, pq_eotf

    pictures = scenes.read_video(hdr_clip(tmp_path / "clip.mkv", transfer), 2)
    assert len(pictures) == 2
    signal = np.full((3, 1, 1), (600 - 64) / 876)  # BT.2100-2, table 9: narrow range of 10 bits
    light = pq_eotf(signal) if transfer == 16 else hlg_ootf(hlg_inverse_oetf(signal))
    for picture in pictures:
        assert picture.shape == (48, 64, 3)
        np.testing.assert_allclose(picture, light[0, 0, 0] / 203, rtol=2e-3)


def test_clips_without_an_hdr_tag_are_left_out(tmp_path, caplog):
    assert scenes.read_video(hdr_clip(tmp_path / "clip.mkv", 1), 2) == []
    assert "not tagged PQ or HLG" in caplog.text


def test_tall_frames_are_averaged_down(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "VIDEO_LINES", 24)
    (picture,) = scenes.read_video(hdr_clip(tmp_path / "clip.mkv", 16), 1)
    assert picture.shape == (24, 32, 3)
