import json

import cv2
import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import dataset, films

SETTINGS = films.Settings(frames=10, crop=32, crops=1)


def build(pair, output, settings=SETTINGS, **arguments):
    hdr, sdr = pair
    lines = []
    return films.build(hdr, sdr, output, settings, report=lines.append, **arguments), lines


def test_aligned_films(film_pair, tmp_path):
    built, lines = build(film_pair(), tmp_path / "out")
    assert len(lines) == 1
    assert lines[0].startswith("frame-aligned")
    assert (built.written, built.there, dict(built.left_out)) == (3, 0, {})
    entries = dataset.read(tmp_path / "out")
    # The middle ten of shots of 20, 22 and 18 frames that begin at 0, 20 and 42.
    assert [(entry.hdr_frame, entry.sdr_frame) for entry in entries] == [(5, 5), (26, 26), (46, 46)]
    for entry in entries:
        assert (entry.frames, entry.width, entry.height) == (10, 32, 32)
        assert entry.left % 2 == entry.top % 2 == 0
        assert entry.correlation > 0.95
        sdr, hdr = entry.clip()
        assert sdr.shape == hdr.shape == (10, 3, 32, 32)
        # The fixture's curves: PQ code 0.1 + 0.5 x^0.6 of what is x^1.2 in SDR; grey throughout.
        expected = 0.1 + 0.5 * sdr.astype(np.float64) ** 0.5
        assert np.abs(hdr - expected).mean() < 0.02
        assert np.ptp(sdr, axis=1).max() < 0.03


def test_an_offset_and_a_missing_frame(film_pair, tmp_path):
    # The SDR film begins two frames earlier, and its frame 35 (frame 33 of the HDR film) is missing.
    pair = film_pair(frames=80, shots=(0, 24, 52), late=2, missing=(35,))
    built, lines = build(pair, tmp_path / "out")
    assert "SDR frame = HDR frame +2 from frame 0 on" in lines[0]
    assert "1 frame missing in the SDR film" in lines[1]
    assert abs(int(lines[1].split()[3].rstrip(":")) - 33) <= 2
    assert "SDR frame = HDR frame +1" in lines[1]
    assert len(lines) == 2
    entries = {entry.hdr_frame: entry for entry in dataset.read(tmp_path / "out")}
    # HDR shots: 0 to 21, 22 to 49 (its middle, 31 to 40, has the missing frame), 50 to 77.
    assert {first: entry.sdr_frame - first for first, entry in entries.items()} == {6: 2, 59: 1}
    assert dict(built.left_out) == {"at a missing frame, or in one film only": 1}
    for entry in entries.values():
        sdr, hdr = entry.clip()
        expected = 0.1 + 0.5 * sdr.astype(np.float64) ** 0.5
        assert np.abs(hdr - expected).mean() < 0.02


def test_an_interrupted_build_goes_on(film_pair, tmp_path):
    pair, whole, parts = film_pair(), tmp_path / "whole", tmp_path / "parts"
    build(pair, whole)
    for stop in (30, 121):  # while it looks at frames (120 of them), and after the first scene is written

        def interrupt(done, total, stop=stop):
            if (done if total == 120 else 120 + done / 10) >= stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            build(pair, parts, progress=interrupt)
    assert (parts / "films" / "film_sdr.hdr.luma").stat().st_size == 60 * 32 * 18
    with (parts / dataset.MANIFEST).open("a") as file:
        file.write('{"key": "film_sdr-00')  # half a line, as a power cut leaves it
    (parts / "scenes" / "film_sdr-0000026-0.partial").mkdir()
    seen = []
    built, _ = build(pair, parts, progress=lambda done, total: seen.append((done, total)))
    assert (built.written, built.there) == (2, 1)
    assert all(total == 30 for _, total in seen)  # no frame was looked at again
    files = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if path.is_file()]
    assert files == [path.relative_to(parts) for path in sorted(parts.rglob("*")) if path.is_file()]
    assert all((whole / path).read_bytes() == (parts / path).read_bytes() for path in files)


def test_another_size_is_brought_down(film_pair, tmp_path):
    build(film_pair(hdr_size=(192, 128)), tmp_path / "out", films.Settings(crop=0))
    for entry in dataset.read(tmp_path / "out"):
        assert (entry.width, entry.height) == (96, 64)
        sdr, hdr = entry.frame(0)
        assert np.abs(hdr - (0.1 + 0.5 * sdr.astype(np.float64) ** 0.5)).mean() < 0.02


def test_two_films_in_one_data_set(film_pair, tmp_path):
    pair, output = film_pair(), tmp_path / "out"
    build(pair, output, name="one", settings=films.Settings(crop=32, crops=2))
    build(pair, output, name="two")
    entries = dataset.read(output)
    assert sorted({entry.film for entry in entries}) == ["one", "two"]
    assert len(entries) == 6 + 3
    assert len({(entry.left, entry.top) for entry in entries}) > 3
    # Scenes of one part of a film share a place, so that they share a split.
    assert {entry.place for entry in entries} == {"one/0", "two/0"}
    with pytest.raises(InputError, match=r"holds film 'two' built with crop 32, now it is 48"):
        build(pair, output, name="two", settings=films.Settings(crop=48))


def test_short_and_black_scenes_are_left_out(film_pair, tmp_path):
    built, _ = build(film_pair(shots=(0, 8, 42)), tmp_path / "out")
    assert dict(built.left_out) == {"shorter than 12 frames": 1}
    assert built.written == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pair: (pair[1], pair[0]), r"--hdr .*film_sdr.mkv is not tagged PQ or HLG; give the HDR version"),
        (lambda pair: (pair[0], pair[0]), r"--hdr and --sdr are both .*film_hdr.mkv"),
        (lambda pair: (pair[0], pair[1].with_name("no.mkv")), r"--sdr .*no.mkv does not exist"),
        (lambda pair: (pair[0], pair[1].parent), r"is a folder, the other is not"),
    ],
)
def test_bad_films(film_pair, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        build(change(film_pair(frames=14)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_shapes_are_refused(film_pair, tmp_path):
    with pytest.raises(InputError, match=r"film_hdr.mkv is 128x64, .*film_sdr.mkv is 96x64; crop one"):
        build(film_pair(frames=14, hdr_size=(128, 64)), tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 0}, "--frames is 0"),
        ({"crop": 31}, "--crop is 31"),
        ({"crop": -2}, "--crop is -2"),
        ({"crops": 0}, "--crops is 0"),
        ({"split_by": "shot"}, "--split-by is 'shot'"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(InputError, match=message):
        films.Settings(**arguments)


def write_pictures(folder, count=4, size=(48, 40), wrong=()):
    """HDRTV1K's form: train_sdr/N.png of 8 bits, train_hdr/N.png of 16."""
    for side in ("sdr", "hdr"):
        (folder / f"train_{side}").mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        sdr = cv2.resize(rng.random((4, 5, 3)).astype(np.float32), size)
        hdr = cv2.resize(rng.random((4, 5, 3)).astype(np.float32), size) if number in wrong else 0.6 * sdr**0.7
        cv2.imwrite(str(folder / "train_sdr" / f"{number:03d}.png"), np.rint(sdr * 255).astype(np.uint8))
        cv2.imwrite(str(folder / "train_hdr" / f"{number:03d}.png"), np.rint(hdr * 65535).astype(np.uint16))
    return folder / "train_hdr", folder / "train_sdr"


def test_folders_of_pictures(tmp_path):
    pair = write_pictures(tmp_path, count=5, wrong=(3,))
    (pair[0] / "extra.png").write_bytes(b"")
    built, _ = build(pair, tmp_path / "out", name="hdrtv1k")
    assert (built.written, dict(built.left_out)) == (4, {"without a partner": 1, "the two do not show the same": 1})
    for entry in dataset.read(tmp_path / "out"):
        assert (entry.frames, entry.width, entry.height) == (1, 32, 32)
        sdr, hdr = entry.frame(0)
        np.testing.assert_allclose(hdr, 0.6 * sdr.astype(np.float64) ** 0.7, atol=0.02)
        whole = dataset.read_picture(pair[1] / f"{entry.sdr_frame:03d}.png")
        np.testing.assert_allclose(sdr, whole[:, entry.top : entry.top + 32, entry.left : entry.left + 32], atol=1e-5)
    again, _ = build(pair, tmp_path / "out", name="hdrtv1k")
    assert (again.written, again.there) == (0, 4)


def test_folders_that_do_not_fit(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match=r"no .png of the same name among 0 in .* and 0 in"):
        build((tmp_path / "a", tmp_path / "b"), tmp_path / "out")
    with pytest.raises(InputError, match=r"no pair of .* shows the same picture"):
        build(write_pictures(tmp_path / "other", count=2, wrong=(0, 1)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_films_leave_nothing(film_pair, tmp_path):
    hdr = film_pair(frames=30, shots=(0,))[0].rename(tmp_path / "other.mkv")
    sdr = film_pair(frames=30, shots=(-2, -1, 0, 15))[1]
    with pytest.raises(InputError, match="the films do not show the same pictures"):
        build((hdr, sdr), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_the_manifest_says(film_pair, tmp_path):
    build(film_pair(), tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / dataset.MANIFEST).read_text().splitlines()]
    assert [line["key"] for line in lines] == ["film_sdr-0000005-0", "film_sdr-0000026-0", "film_sdr-0000046-0"]
    assert all("root" not in line for line in lines)
