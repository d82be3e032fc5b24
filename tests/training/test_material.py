"""What training draws from; above all that nothing of the other splits can reach it."""

import dataclasses

import cv2
import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import batches, clips, dataset, material, operators, pairs, scenes, trainer
from vs_hdrtv.training.recipes import Phase, Recipe

EVERYTHING = pairs.Variety(peaks=0.5, gamut=0.5, compression=0.3, perspective=0.5, video=0.3, films=0.3)

NAMES = ("dancing_hall_1k", "leafy_knoll_2k", "quarry_01_1k", "circus_arena_1k", "autoshop_01_1k")
"""Two of train, one of validation, two of test (tests/training/test_scenes.py has the split)."""

RECIPE = Recipe(
    model="tiny",
    after="",
    phases=(Phase(size=32, batch=4, steps=40),),
    dropout=0.0,
    bars=0.2,
    look=1.0,
    ictcp=0.0,
    warmup=0,
    learning_rate=1e-3,
    clip=1.0,
    average=0.9,
    seed=1,
    report=1,
    checkpoint=1,
    variety=EVERYTHING,
)


def add_films(folder, count=12):
    """A data set of scenes at as many places, some of every split."""
    writer = dataset.Writer(folder, "film", {})
    rng = np.random.default_rng(0)
    for number in range(count):
        entry = dataset.Entry(f"film-{number}-0", "film", f"film/{number}", 1, number, number, 0, 0, 40, 36, 1.0)
        writer.add(entry, [(rng.random((3, 36, 40), dtype=np.float32), rng.random((3, 36, 40), dtype=np.float32))])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder as shared/data is: panoramas, clips, photo pairs, and one's own films."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("hdr_stills", "hdr_video", "pairs"):
        (folder / name).mkdir()
    for number, name in enumerate(NAMES):
        small = np.exp(np.random.default_rng(number).normal(0, 1, (4, 8, 3))).astype(np.float32)
        cv2.imwrite(str(folder / "hdr_stills" / f"{name}.hdr"), cv2.resize(small, (128, 64)))
        (folder / "hdr_video" / f"{name}.mp4").write_bytes(b"")  # read by a stand-in
        (folder / "pairs" / name).mkdir()
        for file in ("sdr.png", "hdr.exr"):
            (folder / "pairs" / name / file).write_bytes(b"")
    add_films(folder / "films")
    return folder


@pytest.fixture
def opened(monkeypatch):
    """Records every scene, clip and film scene that is opened, and puts a picture in place of a clip's frames."""
    found = []
    read, frame = scenes.Scene.read, dataset.Entry.frame

    def read_scene(self):
        found.append((self.name, self.location))
        return read(self)

    def read_video(scene, count):
        found.append((scene.name, scene.location))
        return [np.full((40, 60, 3), 0.5, np.float32)]

    def read_frame(self, number):
        found.append((self.key, self.place))
        return frame(self, number)

    monkeypatch.setattr(scenes.Scene, "read", read_scene)
    monkeypatch.setattr(scenes, "read_video", read_video)
    monkeypatch.setattr(dataset.Entry, "frame", read_frame)
    return found


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_no_other_split_reaches_a_batch(data, opened, split):
    loaded = material.find(data, split, EVERYTHING).load()
    drawn_batches = [batches.make_batch(loaded, RECIPE, step) for step in range(25)]
    assert opened
    assert {scenes.split(place) for _, place in opened} == {split}
    drawn = {pair.operator for batch in drawn_batches for pair in batch}
    assert not drawn & set(operators.UNSEEN)
    assert "photo" not in drawn
    assert "film" in drawn
    # Everything of the split is there: stills, clips, films.
    stills = {name for name in NAMES if scenes.split(scenes.location(name)) == split}
    assert stills <= {name for name, _ in opened}


def test_training_asks_for_its_own_split(data, tmp_path, monkeypatch):
    asked = []
    find = material.find
    monkeypatch.setattr(material, "find", lambda folder, split, variety: asked.append(split) or find(folder, split, variety))

    def stop(*arguments, **others):
        raise InterruptedError

    monkeypatch.setattr(batches, "DataLoader", stop)
    import torch

    with pytest.raises(InterruptedError):
        trainer.train(torch.nn.Conv2d(3, 3, 1), RECIPE, data, tmp_path, compiled=False)
    assert asked == ["train"]


def test_without_variety_pairs_are_those_of_the_first_recipes(data):
    # The draws of the trainer as it was: picture, view, pair, bars.
    loaded = material.find(data / "hdr_stills", "train").load()
    plain = dataclasses.replace(RECIPE, variety=pairs.PLAIN)
    pictures = [scene.read() for scene in scenes.find(data / "hdr_stills", "train")]
    for item, pair in enumerate(batches.make_batch(loaded, plain, 3)):
        rng = np.random.default_rng((RECIPE.seed, 3, item))
        view = scenes.random_view(pictures[rng.integers(len(pictures))], 32, rng)
        expected = pairs.make_pair(view, rng, look=1.0)
        if rng.random() < 0.2:
            expected = pairs.with_bars(expected, rng)
        np.testing.assert_array_equal(pair.sdr, expected.sdr)
        np.testing.assert_array_equal(pair.hdr, expected.hdr)


def test_a_data_set_alone(data):
    loaded = material.find(data / "films", "train").load()
    pair = loaded.draw(32, np.random.default_rng(0))
    assert pair.operator == "film"
    assert pair.sdr.shape == (3, 32, 32)


def test_what_is_not_there_is_said(data, tmp_path, caplog):
    for path in (data / "hdr_stills").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    sources = material.find(tmp_path, "train", EVERYTHING)
    assert (len(sources.stills), sources.videos, sources.films) == (2, [], [])
    assert "hdr_video has no train scene" in caplog.text
    assert "films has no train scene" in caplog.text
    empty = tmp_path / "set"
    dataset.Writer(empty, "film", {})
    with pytest.raises(InputError, match=r"training: data set .*set has no train scene"):
        material.find(empty, "train")
    with pytest.raises(InputError, match="scenes: no train scene"):
        material.find(data / "pairs", "train")


class TestClips:
    def draw(self, loaded, seed, **others):
        return loaded.draw_clip(32, np.random.default_rng(seed), 3, clips.Motion(cut=0.0), **others)

    def test_of_stills_and_of_frames_of_hdr_clips(self, data, opened):
        loaded = material.find(data, "train", EVERYTHING).load()
        assert loaded.frames
        for seed, video in enumerate((0.0, 1.0)):
            clip = self.draw(loaded, seed, variety=pairs.Variety(video=video, compression=0.5))
            assert clip.sdr.shape == clip.hdr.shape == (3, 3, 32, 32)
            assert clip.cuts == ()
            assert clip.operator in operators.TRAINED

    def test_a_drawing_stands_still(self, data):
        clip = self.draw(material.find(data, "train").load(), 0, variety=pairs.Variety(graphics=1.0))
        assert clip.operator == "graphics"
        assert clip.sdr.dtype == clip.hdr.dtype == np.float32
        for side in (clip.sdr, clip.hdr):
            assert side.shape == (3, 3, 32, 32)
            assert side[0].std() > 0
            np.testing.assert_array_equal(side, np.broadcast_to(side[:1], side.shape))

    def test_bars_stand_still_and_are_black(self, data):
        loaded = material.find(data, "train").load()
        for seed in range(4):
            clip, without = self.draw(loaded, seed, bars=1.0), self.draw(loaded, seed)
            black = (clip.hdr == 0).all(axis=(0, 1)) & (clip.sdr == 0).all(axis=(0, 1))  # (H, W)
            assert 0.01 < black.mean() < 0.6
            np.testing.assert_array_equal(clip.hdr, without.hdr * ~black)
            assert clip.hdr.dtype == clip.sdr.dtype == np.float32

    def test_a_data_set_of_films_has_no_pictures_for_them(self, data):
        with pytest.raises(InputError, match="training: clips are made of HDR pictures, and there are none"):
            self.draw(material.find(data / "films", "train").load(), 0)
