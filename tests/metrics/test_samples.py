import cv2
import numpy as np
import OpenEXR
import pytest

from vs_hdrtv.color.gamut import convert
from vs_hdrtv.color.transfer import pq_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import samples

RNG = np.random.default_rng(0)
LIGHT = RNG.random((6, 8, 3)).astype(np.float32) * 3


def write_exr(path, light, **attributes):
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **attributes}
    OpenEXR.File(header, {"RGB": np.ascontiguousarray(light)}).write(str(path))


def write_png(path, codes):
    assert cv2.imwrite(str(path), codes[..., ::-1])


@pytest.fixture
def folder(tmp_path):
    for kind in ("sdr", "hdr"):
        (tmp_path / "own" / kind).mkdir(parents=True)
    write_png(tmp_path / "own/sdr/a.png", np.full((6, 8, 3), (255, 51, 0), np.uint8))
    write_png(tmp_path / "own/hdr/a.png", np.full((6, 8, 3), (65535, 13107, 0), np.uint16))
    write_png(tmp_path / "own/sdr/b.png", np.full((6, 8, 3), (65535, 13107, 0), np.uint16))
    write_exr(tmp_path / "own/hdr/b.exr", LIGHT)
    return tmp_path / "own"


def test_folder_of_pairs(folder):
    items = samples.of_folder(folder)
    assert [(item.group, item.name) for item in items] == [("pairs of own", "a"), ("pairs of own", "b")]
    first, second = (item.load() for item in items)
    for signal in (first.sdr, first.hdr, second.sdr):
        # 255, 51, 0 of 255 and 65535, 13107, 0 of 65535 are 1, 0.2, 0.
        assert signal.shape == (3, 6, 8)
        assert signal.dtype == np.float32
        np.testing.assert_allclose(signal[:, 2, 3], [1, 0.2, 0], atol=1e-7)
    assert first.rate is None
    expected = convert(np.moveaxis(LIGHT, -1, 0) * 203, "bt709", "bt2020")
    np.testing.assert_allclose(pq_eotf(second.hdr.astype(np.float64)), expected, rtol=1e-4, atol=1e-3)


def test_exr_says_what_its_numbers_are(tmp_path):
    bt2020 = (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329)
    write_exr(tmp_path / "x.exr", LIGHT, chromaticities=bt2020, whiteLuminance=1.0)
    np.testing.assert_allclose(
        pq_eotf(samples.read_exr(tmp_path / "x.exr").astype(np.float64)), np.moveaxis(LIGHT, -1, 0), rtol=1e-3, atol=1e-4
    )
    write_exr(tmp_path / "y.exr", LIGHT, chromaticities=(0.5, 0.3, 0.2, 0.5, 0.2, 0.1, 0.3127, 0.329))
    with pytest.raises(InputError, match=r"y\.exr has primaries \[0.5, 0.3"):
        samples.read_exr(tmp_path / "y.exr")


def test_bad_folders_are_refused(folder, tmp_path):
    (folder / "sdr/c.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="own: c in only one of"):
        samples.of_folder(folder)
    write_png(folder / "hdr/c.png", np.zeros((6, 8, 3), np.uint16))
    with pytest.raises(InputError, match=r"c\.png cannot be read; give a PNG"):
        samples.of_folder(folder)[2].load()
    write_png(folder / "sdr/c.png", np.zeros((6, 9, 3), np.uint8))
    with pytest.raises(InputError, match="are 9x6 and 8x6; they must show the same pixels"):
        samples.of_folder(folder)[2].load()
    with pytest.raises(InputError, match="has no folder sdr"):
        samples.of_folder(tmp_path / "nowhere")
    for kind in ("sdr", "hdr"):
        (tmp_path / "empty" / kind).mkdir(parents=True)
    with pytest.raises(InputError, match="holds no pictures"):
        samples.of_folder(tmp_path / "empty")


def test_clip_is_the_middle_of_two_files(grey_file):
    levels = np.arange(1, 8) / 10
    sdr, hdr = grey_file("sdr.mkv", levels, transfer=1), grey_file("hdr.mkv", levels * 0.5)
    sample = samples.of_clip(sdr, hdr, 3).load()
    assert sample.sdr.shape == sample.hdr.shape == (3, 3, 48, 64)
    # Frames 2, 3 and 4 of 0 to 6; 10-bit steps are 1/876.
    np.testing.assert_allclose(sample.sdr[:, 1, 5, 5], [0.3, 0.4, 0.5], atol=1e-3)
    np.testing.assert_allclose(sample.hdr[:, 1, 5, 5], [0.15, 0.2, 0.25], atol=1e-3)
    assert sample.rate == pytest.approx(25)
    assert samples.of_clip(sdr, hdr, 100).load().sdr.shape[0] == 7


def test_bad_clips_are_refused(grey_file, tmp_path):
    sdr, hdr = grey_file("sdr.mkv", [0.5] * 3, transfer=1), grey_file("hdr.mkv", [0.5] * 4)
    with pytest.raises(InputError, match="are 64x48, 3 frames and 64x48, 4 frames"):
        samples.of_clip(sdr, hdr, 2).load()
    with pytest.raises(InputError, match="is SDR; give the SDR file first"):
        samples.of_clip(hdr, sdr, 2).load()
    with pytest.raises(InputError, match="evaluate"):
        samples.of_clip(tmp_path / "nothing.mkv", hdr, 2).load()


def test_limit_is_of_each_set():
    items = [samples.Item(group, str(n), lambda: None) for n in range(3) for group in ("a", "b")]
    assert [(item.group, item.name) for item in samples.limited(items, 2)] == [("a", "0"), ("b", "0"), ("a", "1"), ("b", "1")]
    assert samples.limited(items, None) == items
