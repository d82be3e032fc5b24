"""HDR pictures on disk, read back by other readers."""

import struct
import zlib

import av
import numpy as np
import pytest
import torch


@pytest.fixture
def hdr(comfy, batch):
    return comfy("VsHdrtvInverseToneMap", images=batch(2, 66, 80, channels=4))[0]


@pytest.fixture
def written(comfy, classes, tmp_path):
    """A function that saves pictures and returns the paths."""

    def save(images, **widgets):
        result = comfy("VsHdrtvSaveHdrImage", images=images, **widgets)
        return [tmp_path / "output" / each["subfolder"] / each["filename"] for each in result.ui["images"]]

    return save


def chunks(data):
    place = 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        body = data[place + 4 : place + 8 + length]
        assert zlib.crc32(body) == struct.unpack(">I", data[place + 8 + length : place + 12 + length])[0]
        yield body[:4], body[4:]
        place += 12 + length


def test_png_has_16_bits_alpha_and_cicp(hdr, written, classes, monkeypatch):
    from types import SimpleNamespace

    node = classes["VsHdrtvSaveHdrImage"]
    monkeypatch.setattr(node, "hidden", SimpleNamespace(prompt={"1": "x"}, extra_pnginfo={"workflow": {"nodes": []}}))
    paths = written(hdr)
    assert len(paths) == 2 and paths[0].name == "HDR_00001_.png"
    found = list(chunks(paths[1].read_bytes()))
    kinds = [kind for kind, _ in found]
    assert dict(found)[b"cICP"] == bytes([9, 16, 0, 1]) and kinds.index(b"cICP") < kinds.index(b"IDAT")
    assert {b"prompt\0" + b'{"1": "x"}', b'workflow\0{"nodes": []}'} == {text for kind, text in found if kind == b"tEXt"}
    with av.open(str(paths[1])) as file:
        frame = next(file.decode(video=0))
        assert frame.format.name == "rgba64be"
        pixels = frame.to_ndarray().astype(np.float64) / 65535
    assert np.abs(pixels - hdr[1].numpy().clip(0, 1)).max() <= 0.51 / 65535


def test_a_png_of_three_channels(hdr, written):
    (path, _) = written(hdr[..., :3])
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
        assert (frame.format.name, frame.color_primaries, frame.color_trc) == ("rgb48be", 9, 16)


def test_exr_is_light_over_reference_white(hdr, written, module):
    exr = pytest.importorskip("OpenEXR")
    path, _ = written(hdr, format="EXR")
    with exr.File(str(path), separate_channels=True) as file:
        header, channels = dict(file.header()), {name: np.asarray(channel.pixels) for name, channel in file.channels().items()}
    light = module("core").transfer.pq_eotf(hdr[0, ..., :3].numpy()) / 203
    for index, name in enumerate("RGB"):
        assert channels[name] == pytest.approx(light[..., index], rel=2e-3, abs=1e-4)
    assert channels["A"] == pytest.approx(hdr[0, ..., 3].numpy(), abs=1e-3)
    assert tuple(header["chromaticities"])[:2] == pytest.approx((0.708, 0.292))
    assert header["whiteLuminance"] == 203


def test_avif_has_10_bits_and_says_pq(hdr, written, module):
    path, _ = written(hdr[..., :3], format="AVIF 10-bit")
    data = path.read_bytes()
    assert data[4:12] == b"ftypavif" and b"nclx" + struct.pack(">3H", 9, 16, 9) in data
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
        luma = np.frombuffer(frame.planes[0], np.uint16).reshape(frame.height, -1)[:, : frame.width]
    assert frame.format.name == "yuv420p10le" and luma.shape == (66, 80)
    wanted = (hdr[0, ..., :3].numpy() @ np.array([0.2627, 0.678, 0.0593])) * 876 + 64
    assert np.abs(luma - wanted).mean() < 12


@pytest.mark.parametrize(
    ("images", "expected"),
    [(torch.zeros(1, 70, 70, 4), "without alpha"), (torch.zeros(1, 40, 70, 3), "70x40 is too small")],
)
def test_what_avif_cannot_hold_is_one_line(written, module, images, expected, tmp_path):
    with pytest.raises(module("core").InputError, match=expected):
        written(images, format="AVIF 10-bit")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_exr_without_its_package_is_one_line(hdr, written, module, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    with pytest.raises(module("core").InputError, match="pip install OpenEXR"):
        written(hdr, format="EXR")
