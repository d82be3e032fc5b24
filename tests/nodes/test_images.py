"""IMAGE in and out: colour spaces, alpha, bad input, cancelling."""

import importlib

import numpy as np
import pytest
import torch


def message(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def test_colour_spaces_come_back(comfy, batch):
    pq = comfy("VsHdrtvInverseToneMap", images=batch(2))[0]
    for space in ("HDR", "linear"):
        there = comfy("VsHdrtvConvert", images=pq, source="HDR PQ", target=space)[0]
        back = comfy("VsHdrtvConvert", images=there, source=space, target="HDR PQ")[0]
        assert not torch.allclose(there, pq, atol=1e-2)
        assert torch.allclose(back, pq, atol=2e-3)


def test_white_is_where_the_recommendations_have_it(comfy):
    white = torch.ones(1, 4, 4, 3)
    for source in ("sRGB", "BT.1886"):
        assert comfy("VsHdrtvConvert", images=white, source=source, target="linear")[0].numpy() == pytest.approx(1, abs=2e-3)
    # BT.2408, table 1: 203 cd/m2 is 58 % PQ and 75 % HLG.
    assert comfy("VsHdrtvConvert", images=white, source="linear", target="HDR PQ")[0].numpy() == pytest.approx(0.58, abs=2e-3)
    assert comfy("VsHdrtvConvert", images=white, source="linear", target="HDR")[0].numpy() == pytest.approx(0.75, abs=2e-3)


@pytest.mark.parametrize("node", ["VsHdrtvInverseToneMap", "VsHdrtvConvert", "VsHdrtvPreview", "VsHdrtvFeatureMap"])
def test_alpha_is_kept(comfy, batch, node):
    images = batch(2, channels=4)
    found = comfy(node, images=images)[0]
    assert found.shape == images.shape and torch.equal(found[..., 3], images[..., 3])
    assert torch.equal(found[..., :3], comfy(node, images=images[..., :3])[0])


def test_sizes_are_free(comfy, batch):
    assert comfy("VsHdrtvFeatureMap", images=batch(1, 17, 33))[0].shape == (1, 17, 33, 3)


BAD = {
    "None": (None, "images is a NoneType; connect an IMAGE"),
    "a mask": (torch.zeros(2, 8, 8), "images is 2x8x8 of torch.float32"),
    "bytes": (torch.zeros(1, 8, 8, 3, dtype=torch.uint8), "of torch.uint8; connect an IMAGE"),
    "empty": (torch.zeros(0, 8, 8, 3), "has no frame or no pixel"),
    "features": (torch.zeros(1, 8, 8, 64), "images is 1x8x8x64"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("node", ["VsHdrtvFeatureMap", "VsHdrtvPreview", "VsHdrtvScope", "VsHdrtvSaveHdrImage"])
def test_bad_input_is_one_line(comfy, module, node, name):
    images, expected = BAD[name]
    with pytest.raises(module("core").InputError) as error:
        comfy(node, images=images)
    assert expected in message(error)


def test_hdr_is_not_converted_twice(comfy, module, batch):
    with pytest.raises(module("core").InputError) as error:
        comfy("VsHdrtvFeatureMap", images=batch(1), color_space="HDR PQ")
    assert "which is HDR already" in message(error)


def test_pictures_that_differ_are_refused(comfy, module, batch):
    with pytest.raises(module("core").InputError, match="hdr 64x48, 2 frames and sdr 64x48, 3 frames"):
        comfy("VsHdrtvGenerateOverexposed", hdr=batch(2), images=batch(3))
    with pytest.raises(module("core").InputError, match="a and b differ"):
        comfy("VsHdrtvCompare", a=batch(1), b=batch(1, 40))
    with pytest.raises(module("core").InputError, match="connect Align"):
        comfy("VsHdrtvModulate", aligned=batch(1))


def test_every_frame_ticks_and_can_be_the_last(comfy, batch, monkeypatch):
    utils = importlib.import_module("comfy.utils")
    comfy("VsHdrtvInverseToneMap", images=batch(4))
    assert (utils.last.current, utils.last.total) == (4, 4)
    monkeypatch.setattr(utils, "cancel_at", 2)
    with pytest.raises(utils.Cancelled):
        comfy("VsHdrtvInverseToneMap", images=batch(4))
    assert utils.last.current == 2


def test_a_full_device_is_tried_once_more(module):
    memory = importlib.import_module("comfy.model_management")
    tries = []

    def compute():
        tries.append(True)
        if len(tries) == 1:
            raise memory.OOM_EXCEPTION
        return "done"

    assert module("host").retry_out_of_memory(compute) == "done" and len(tries) == 2 and memory.unloaded


def test_the_light_is_that_of_the_pixels(comfy, module):
    transfer = module("core").transfer
    grey = torch.full((2, 32, 32, 3), float(transfer.pq_inverse_eotf(np.array([100.0]))[0]))
    grey[1, :16] = float(transfer.pq_inverse_eotf(np.array([700.0]))[0])
    most, average, text = comfy("VsHdrtvLightLevel", images=grey).args
    assert most == pytest.approx(700, abs=8) and average == pytest.approx(400, abs=5)
    assert len(text.splitlines()) == 3


def test_scopes_and_comparison_draw(comfy, module, batch):
    hdr = comfy("VsHdrtvInverseToneMap", images=batch(3))[0]
    other = comfy("VsHdrtvInverseToneMap", images=batch(3), method="bt2408")[0]
    sheet = comfy("VsHdrtvScope", images=hdr)[0]
    assert sheet.shape[-2:] == (1920, 3) and sheet.min() >= 0 and sheet.max() <= 1
    assert not torch.equal(sheet, comfy("VsHdrtvScope", images=other)[0])
    with pytest.raises(module("core").InputError, match="frame is 3"):
        comfy("VsHdrtvScope", images=hdr, frame=3)
    page, errors, text = comfy("VsHdrtvCompare", a=hdr, b=other).args
    assert page.shape[-2:] == (1920, 3) and errors.shape == hdr.shape and "dE_ITP" in text
    same = comfy("VsHdrtvCompare", a=hdr, b=hdr)[1]
    assert len(torch.unique(same.reshape(-1, 3), dim=0)) == 1  # all of it the colour of no difference


def test_the_preview_follows_its_peak(comfy, batch):
    hdr = comfy("VsHdrtvInverseToneMap", images=batch(1))[0]
    dark, bright = (comfy("VsHdrtvPreview", images=hdr, peak=peak)[0] for peak in (4000.0, 203.0))
    assert dark.mean() < bright.mean() and bright.max() == 1
