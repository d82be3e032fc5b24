"""Planes against zimg (`core.resize`, Catmull-Rom chroma), which the host path uses."""

import numpy as np
import pytest
import torch
import vapoursynth as vs

from vs_hdrtv.color.planes import bayer, rgb_to_ycbcr, ycbcr_to_rgb
from vs_hdrtv.errors import InputError

CATMULL_ROM = {"filter_param_a": 0.0, "filter_param_b": 0.5}
LOCATIONS = {"left": vs.CHROMA_LEFT, "center": vs.CHROMA_CENTER, "top_left": vs.CHROMA_TOP_LEFT, "top": vs.CHROMA_TOP}


def smooth(channels, height, width, seed=0):
    """Band-limited noise in [0, 1], (channels, height, width)."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((channels, height // 8 + 2, width // 8 + 2))
    y, x = np.linspace(0, coarse.shape[1] - 1.001, height), np.linspace(0, coarse.shape[2] - 1.001, width)
    i, j = y.astype(int), x.astype(int)
    u, v = (y - i)[:, None], (x - j)[None]
    top = coarse[:, i][:, :, j] * (1 - v) + coarse[:, i][:, :, j + 1] * v
    low = coarse[:, i + 1][:, :, j] * (1 - v) + coarse[:, i + 1][:, :, j + 1] * v
    return top * (1 - u) + low * u


def clip_of(planes, video_format, **props):
    """One-frame clip of the given planes."""
    height, width = planes[0].shape
    blank = vs.core.std.BlankClip(format=video_format, width=width, height=height, length=1)

    def fill(n, f):
        out = f.copy()
        for index, plane in enumerate(planes):
            target = np.asarray(out[index])
            target[...] = plane.astype(target.dtype)
        for key, value in props.items():
            out.props[key] = value
        return out

    return blank.std.ModifyFrame([blank], lambda n, f: fill(n, f[0] if isinstance(f, list) else f))


def planes_of(clip):
    """Frame 0 as float64 arrays."""
    frame = clip.get_frame(0)
    return [np.asarray(frame[index]).astype(np.float64) for index in range(frame.format.num_planes)]


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(("video_format", "depth"), [(vs.YUV420P8, 8), (vs.YUV420P10, 10), (vs.YUV422P8, 8), (vs.YUV444P10, 10)])
def test_unpacking_equals_zimg_to_one_lsb(location, full_range, video_format, depth):
    info = vs.core.get_video_format(video_format)
    height, width = 48, 64
    y = smooth(1, height, width, 1)[0]
    c = smooth(2, height >> info.subsampling_h, width >> info.subsampling_w, 2)
    top = 2**depth - 1
    planes = [np.rint(y * top * 0.8 + 16), *np.rint((c * 0.6 + 0.2) * top)]
    clip = clip_of(
        planes,
        video_format,
        _Matrix=1,
        _Transfer=1,
        _Primaries=1,
        _Range=int(full_range),
        _ChromaLocation=int(LOCATIONS[location]),
    )
    expected = np.stack(planes_of(clip.resize.Bicubic(format=vs.RGBS, **CATMULL_ROM)))[None]
    found = ycbcr_to_rgb(
        tuple(plane[None, None] for plane in planes),
        matrix="bt709",
        depth=depth,
        full_range=full_range,
        chroma_location=location,
    )
    assert np.abs(found - expected).max() < 1 / top


def test_packing_equals_zimg_to_one_lsb():
    rgb = smooth(3, 50, 70)
    source = clip_of(list(rgb), vs.RGBS, _Matrix=0, _Transfer=16, _Primaries=9, _Range=1)
    expected = planes_of(
        source.resize.Bicubic(format=vs.YUV420P10, matrix=9, range=0, chromaloc=int(vs.CHROMA_TOP_LEFT), **CATMULL_ROM)
    )
    for found, plane in zip(rgb_to_ycbcr(rgb[None]), expected, strict=True):
        # Dither moves a value by less than one code from its rounding, and zimg rounds: at most one code apart.
        assert np.abs(found[0, 0] - plane).max() <= 1
        assert abs((found[0, 0] - plane).mean()) < 0.1


def test_numpy_and_torch_agree():
    rgb = smooth(3, 32, 32).astype(np.float32)[None]
    for ours, theirs in zip(rgb_to_ycbcr(rgb), rgb_to_ycbcr(torch.from_numpy(rgb)), strict=True):
        assert np.abs(ours - theirs.numpy()).max() <= 1
        assert (ours != theirs.numpy()).mean() < 0.01


def test_constant_colours_are_exact():
    # BT.2100-2 table 9: black 64/512/512 and white 940/512/512 in 10 bits.
    for value, code in ((0.0, 64), (1.0, 940)):
        y, cb, cr = rgb_to_ycbcr(np.full((1, 3, 8, 8), value))
        assert (y == code).all()
        assert (cb == 512).all()
        assert (cr == 512).all()


def test_odd_sides_are_replicated_to_even_ones():
    rgb = smooth(3, 17, 33)[None]
    y, cb, _ = rgb_to_ycbcr(rgb)
    assert y.shape == (1, 1, 18, 34)
    assert cb.shape == (1, 1, 9, 17)
    one = rgb_to_ycbcr(rgb[..., :1, :1])
    assert [plane.shape for plane in one] == [(1, 1, 2, 2), (1, 1, 1, 1), (1, 1, 1, 1)]


def test_a_pixel_does_not_depend_on_distant_ones():
    rgb = smooth(3, 64, 64)[None]
    changed = rgb.copy()
    changed[..., 40:, 40:] = 0.5
    for before, after in zip(rgb_to_ycbcr(rgb), rgb_to_ycbcr(changed), strict=True):
        reach = before.shape[-1] // 64 * 34 or 16
        assert (before[..., :reach, :reach] == after[..., :reach, :reach]).all()


def test_dither_keeps_the_mean_and_uses_every_level_once():
    assert sorted((bayer() * 64 - 0.5).astype(int).ravel()) == list(range(64))
    grey = np.full((1, 3, 16, 16), 0.5003)
    y, _, _ = rgb_to_ycbcr(grey)
    assert abs(y.mean() - (0.5003 * 876 + 64)) < 1 / 64


def test_values_outside_the_range_are_clipped_and_nan_is_black():
    rgb = np.array([np.nan, -0.5, 2.0, np.inf])[None, None, None].repeat(3, axis=1).repeat(2, axis=2)
    y, _, _ = rgb_to_ycbcr(rgb)
    assert y[0, 0, 0].tolist() == [64, 64, 940, 940]


def test_chroma_of_another_size_is_refused():
    y = np.zeros((1, 1, 8, 8))
    with pytest.raises(InputError, match="ycbcr_to_rgb: chroma is 2x2 for luma 8x8"):
        ycbcr_to_rgb((y, y[..., :2, :2], y[..., :2, :2]))
