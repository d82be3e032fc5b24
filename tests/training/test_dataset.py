import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import dataset, scenes


def entry(key="film-0-0", place="film/0", frames=3, width=20, height=16):
    return dataset.Entry(key, "film", place, frames, 100, 102, 0, 0, width, height, 0.99)


def pictures(item, seed=0):
    rng = np.random.default_rng(seed)
    shape = (3, item.height, item.width)
    return [(rng.random(shape, dtype=np.float32), rng.random(shape, dtype=np.float32)) for _ in range(item.frames)]


def write(folder, *entries):
    writer = dataset.Writer(folder, "film", {"crop": 0})
    for number, item in enumerate(entries):
        writer.add(item, pictures(item, number))
    return writer


def test_what_is_written_is_read(tmp_path):
    item = entry()
    write(tmp_path / "out", item)
    (read,) = dataset.read(tmp_path / "out")
    assert read == item
    sdr, hdr = read.clip()
    # 16 bits: half a step.
    np.testing.assert_allclose(sdr, np.stack([low for low, _ in pictures(item)]), atol=0.51 / 65535)
    np.testing.assert_allclose(hdr, np.stack([high for _, high in pictures(item)]), atol=0.51 / 65535)
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_splits_are_those_of_the_place(tmp_path):
    entries = [entry(key=f"film-{number}-0", place=f"film/{number}", frames=1, width=4, height=4) for number in range(60)]
    write(tmp_path / "out", *entries)
    found = {split: dataset.read(tmp_path / "out", split) for split in ("train", "validation", "test")}
    assert sum(map(len, found.values())) == 60
    for split, group in found.items():
        assert all(scenes.split(item.place) == split for item in group)
    assert len(found["train"]) > len(found["test"]) > 0


def test_random_pairs_and_clips_are_cut_alike(tmp_path):
    item = entry()
    sdr = pictures(item)
    writer = dataset.Writer(tmp_path / "out", "film", {})
    writer.add(item, [(low, low / 2) for low, _ in sdr])  # so that one tells where the other was cut
    entries = dataset.read(tmp_path / "out")
    for seed in range(10):
        pair = dataset.random_pair(entries, 8, np.random.default_rng(seed))
        assert pair.sdr.shape == pair.hdr.shape == (3, 8, 8)
        np.testing.assert_allclose(pair.hdr, pair.sdr / 2, atol=2e-5)
        low, high = dataset.random_clip(entries, 2, 8, np.random.default_rng(seed))
        assert low.shape == (2, 3, 8, 8)
        np.testing.assert_allclose(high, low / 2, atol=2e-5)
        again = dataset.random_pair(entries, 8, np.random.default_rng(seed))
        np.testing.assert_array_equal(again.sdr, pair.sdr)


def test_what_is_too_small_or_too_short_is_refused(tmp_path):
    write(tmp_path / "out", entry())
    entries = dataset.read(tmp_path / "out")
    with pytest.raises(InputError, match="scene film-0-0 is 20x16, 32 is asked for"):
        dataset.random_pair(entries, 32, np.random.default_rng(0))
    with pytest.raises(InputError, match="scene film-0-0 has 3 frames, not 5; build with --frames 5"):
        dataset.random_clip(entries, 5, 8, np.random.default_rng(0))


def test_damage_is_one_line(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"dataset: .*out has no manifest.jsonl"):
        dataset.read(out)
    write(out, entry())
    (out / "scenes" / "film-0-0" / "001.hdr.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"dataset: .*001.hdr.png is missing or no colour picture"):
        dataset.read(out)[0].clip()
    (out / dataset.MANIFEST).write_text('{"key": 1}\n')
    with pytest.raises(InputError, match=r"dataset: .*manifest.jsonl, line 1 is damaged"):
        dataset.read(out)


def test_folders_that_are_something_else_are_left_alone(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("mine")
    with pytest.raises(InputError, match="photos exists and is no data set"):
        write(tmp_path / "photos", entry())
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.txt"]
    with pytest.raises(InputError, match=r"--name is '\.\./film'"):
        dataset.Writer(tmp_path / "out", "../film", {})
