"""The same pixels as the VapourSynth front, bit for bit on the CPU, of the same float R'G'B'."""

import numpy as np
import pytest
import torch
import vapoursynth as vs

import vs_hdrtv


def clip_of(images):
    """RGBS of an IMAGE, tagged as BT.709 video."""
    count, height, width, _ = images.shape
    blank = vs.core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=count)

    def fill(n, f):
        out = f.copy()
        for plane in range(3):
            np.asarray(out[plane])[...] = images[n, ..., plane].numpy()
        return out

    return blank.std.ModifyFrame(blank, fill).std.SetFrameProps(_Matrix=0, _Transfer=1, _Primaries=1, _Range=1)


def images_of(clip):
    """IMAGE of a float clip of any number of planes."""
    frames = []
    for frame in clip.frames(close=True):
        frames.append(np.stack([np.asarray(frame[plane]) for plane in range(frame.format.num_planes)], axis=-1))
    return torch.from_numpy(np.stack(frames))


SPACE = {"color_space": "BT.1886"}

CASES = {
    "feature map": ("VsHdrtvFeatureMap", SPACE, vs_hdrtv.feature_map),
    "steady": ("VsHdrtvFeatureMap", {**SPACE, "steady": 1}, lambda clip: vs_hdrtv.feature_map(clip, steady=1)),
    "kernels": ("VsHdrtvPredictKernels", SPACE, vs_hdrtv.predict_kernels),
    "formula": (
        "VsHdrtvInverseToneMap",
        {**SPACE, "method": "bt2446c"},
        lambda clip: vs_hdrtv.inverse_tone_map(clip, "bt2446c"),
    ),
    "look": (
        "VsHdrtvSdrToHdr",
        {**SPACE, "preset": "bt2446a", "strength": 0.5, "saturation": 1.2, "highlight_gain": 1.3},
        lambda clip: vs_hdrtv.grade(vs_hdrtv.blend(vs_hdrtv.inverse_tone_map(clip), clip, 0.5), 203.0, 1.3, 1.2),
    ),
    "letterbox": (
        "VsHdrtvSdrToHdr",
        {**SPACE, "letterbox": "6,2,4,0"},
        lambda clip: vs_hdrtv.feature_map(clip, letterbox=(6, 2, 4, 0)),
    ),
    "ceiling": (
        "VsHdrtvSdrToHdr",
        {**SPACE, "preset": "bt2446a", "ceiling": 150.0},
        lambda clip: vs_hdrtv.limit(vs_hdrtv.inverse_tone_map(clip), 150.0),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_node_gives_what_the_filter_gives(comfy, batch, name):
    node, widgets, convert = CASES[name]
    images = batch(5, cuts=(3,))
    found = comfy(node, images=images, **widgets)[0]
    assert torch.equal(found, images_of(convert(clip_of(images))))


def test_dslnet_stage_by_stage_is_the_filter(comfy, batch):
    images = batch(2, 32, 40)
    aligned = comfy("VsHdrtvAlign", images=images, **SPACE)[0]
    modulated = comfy("VsHdrtvModulate", aligned=aligned)[0]
    found = comfy("VsHdrtvEnhance", modulated=modulated)[0]
    assert torch.equal(found, images_of(vs_hdrtv.feature_map(clip_of(images), "dslnet")))


def test_overexposure(comfy, batch):
    images, clip = batch(2), clip_of(batch(2))
    mask = comfy("VsHdrtvOverexposureMask", images=images, **SPACE)[0]
    assert mask.shape == (2, 48, 64) and torch.equal(mask, images_of(vs_hdrtv.overexposure_mask(clip))[..., 0])
    hdr = vs_hdrtv.inverse_tone_map(clip)
    found = comfy("VsHdrtvGenerateOverexposed", hdr=images_of(hdr), images=images, **SPACE)[0]
    assert torch.equal(found, images_of(vs_hdrtv.generate_overexposed(hdr, clip)))


def test_a_ceiling_where_a_mask_is_white(comfy, batch):
    images, mask = batch(3), torch.rand(2, 48, 64)
    widgets = {"images": images, "preset": "bt2446a", "ceiling": 120.0, **SPACE}
    found = comfy("VsHdrtvSdrToHdr", ceiling_mask=mask, **widgets)[0]
    grey = clip_of(mask[[0, 1, 1]][..., None].expand(-1, -1, -1, 3)).std.ShufflePlanes(0, vs.GRAY)
    expected = vs_hdrtv.limit(vs_hdrtv.inverse_tone_map(clip_of(images)), 120.0, mask=grey)
    assert torch.equal(found, images_of(expected))
    assert not torch.equal(found, comfy("VsHdrtvSdrToHdr", **widgets)[0])


def test_bars_are_found(comfy, batch):
    images = batch(2)
    images[:, :7] = images[:, -5:] = 0.005
    found = comfy("VsHdrtvSdrToHdr", images=images, letterbox="auto", **SPACE)[0]
    assert torch.equal(found, images_of(vs_hdrtv.feature_map(clip_of(images), letterbox="auto")))
    assert torch.equal(found, comfy("VsHdrtvSdrToHdr", images=images, letterbox="7,5", **SPACE)[0])


WRONG = {
    "bars": ({"letterbox": "40,8"}, "SDR to HDR: letterbox 40,8,0,0 leaves nothing of 64x48"),
    "letterbox": ({"letterbox": "wide"}, "letterbox: 'wide'; give auto, none"),
    "ceiling": ({"ceiling": 2.0}, "limit: ceiling is 2.0; give 10 to 10000"),
    "mask": ({"ceiling": 200.0, "ceiling_mask": torch.ones(1, 9, 8)}, "SDR to HDR: the mask is 8x9, the pictures are 64x48"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_sense_is_one_line(comfy, batch, module, name):
    given, message = WRONG[name]
    with pytest.raises(module("core").InputError, match=message):
        comfy("VsHdrtvSdrToHdr", images=batch(1), **SPACE, **given)


def test_a_scene_cut_is_respected(comfy, batch):
    images = batch(6, cuts=(3,))
    both = comfy("VsHdrtvPredictKernels", images=images, **SPACE)[0]
    alone = comfy("VsHdrtvPredictKernels", images=images[3:], **SPACE)[0]
    assert torch.equal(both[3:], alone)
    over = comfy("VsHdrtvPredictKernels", images=images, scenes="none", **SPACE)[0]
    assert not torch.equal(over[3], alone[0]) and torch.equal(over[5], alone[2])


def test_srgb_pictures_keep_their_light(comfy, batch):
    images = batch(1)
    tagged = clip_of(images).std.SetFrameProps(_Transfer=13)
    found = comfy("VsHdrtvInverseToneMap", images=images)[0]
    assert torch.allclose(found, images_of(vs_hdrtv.inverse_tone_map(tagged)), atol=3e-4)
    assert not torch.allclose(found, comfy("VsHdrtvInverseToneMap", images=images, **SPACE)[0], atol=3e-3)


def test_wild_pixels_are_the_filters(comfy, batch):
    images = batch(1)
    images[0, 3, 4:8, 0] = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.2])
    found = comfy("VsHdrtvFeatureMap", images=images, **SPACE)[0]
    assert torch.isfinite(found).all() and torch.equal(found, images_of(vs_hdrtv.feature_map(clip_of(images))))
