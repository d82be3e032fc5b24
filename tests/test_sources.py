"""Every source: what its format and tags mean, what a user may say against them, and what is refused."""

import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import inverse_tone_map, sdr_to_hdr
from vs_hdrtv.color.transfer import pq_eotf
from vs_hdrtv.sources import TAGS

SHAPES = [(0, 0), (1, 0), (1, 1), (2, 0), (0, 1), (2, 2)]
DEPTHS = [*((vs.INTEGER, depth) for depth in (8, 9, 10, 12, 14, 16)), (vs.FLOAT, 16), (vs.FLOAT, 32)]


def light_of(clip, n=0):
    """(3, H, W) cd/m2 of the BT.2408 mapping."""
    frame = inverse_tone_map(clip, "bt2408").get_frame(n)
    return pq_eotf(np.stack([np.asarray(frame[plane]) for plane in range(3)]).astype(np.float64))


def smooth(width=64, height=48):
    """A picture without detail, so that subsampled chroma loses little of it."""
    blank = vs.core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=1)

    def fill(n, f):
        out = f.copy()
        y, x = np.mgrid[:height, :width].astype(np.float32)
        for plane in range(3):
            np.asarray(out[plane])[...] = 0.5 + 0.3 * np.sin(x / 25 + plane) * np.cos(y / 20 - plane)
        return out

    return blank.std.ModifyFrame(blank, fill).std.SetFrameProps(_Matrix=0, _Transfer=1, _Primaries=1, _Range=1)


@pytest.mark.parametrize("sampling", SHAPES)
@pytest.mark.parametrize(("sample_type", "depth"), DEPTHS)
@pytest.mark.parametrize("full", [False, True])
def test_yuv_of_any_sampling_depth_and_range_is_the_same_picture(sampling, sample_type, depth, full):
    fmt = vs.core.query_video_format(vs.YUV, sample_type, depth, *sampling)
    clip = smooth().resize.Bicubic(format=fmt.id, matrix=1, range=int(full), chromaloc=0)
    error = np.abs(light_of(clip) - light_of(smooth()))[:, 4:-4, 4:-4]
    # Half a code of 8 bits is 1/438; at the picture's brightest (0.8, gamma 2.4) that is 1.2 cd/m2 in luma, with chroma 2.
    assert error.max() < (3.0 if sampling in ((0, 0), (1, 0), (1, 1)) else 6.0)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("video_format", [vs.GRAY8, vs.GRAY10, vs.GRAY16, vs.GRAYH, vs.GRAYS])
def test_grey_is_grey_with_white_at_203(video_format, full):
    depth = vs.core.get_video_format(video_format).bits_per_sample
    white = (1 << depth) - 1 if full else 235 << (depth - 8)
    color = white if video_format not in (vs.GRAYH, vs.GRAYS) else 1.0
    clip = vs.core.std.BlankClip(format=video_format, width=16, height=16, length=1, color=color)
    light = light_of(clip.std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1, _Range=int(full)))
    assert np.allclose(light, 203, rtol=2e-3)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 50), (50, 1), (3, 3), (7680, 32)])
def test_sizes_from_one_pixel_to_the_width_of_8k(width, height):
    clip = vs.core.std.BlankClip(format=vs.RGB24, width=width, height=height, length=1, color=[255, 0, 0])
    out = sdr_to_hdr(clip.std.SetFrameProps(_Transfer=1, _Primaries=1), "bt2408")
    assert (out.width, out.height) == (width + width % 2, height + height % 2)
    assert np.ptp(np.asarray(out.get_frame(0)[0])) <= 1  # dither


def test_what_the_user_says_outweighs_the_tags(bytes_of):
    right = (
        smooth().resize.Bicubic(format=vs.YUV420P8, matrix=1, range=1, chromaloc=0).std.SetFrameProps(_Primaries=1, _Transfer=1)
    )
    wrong = right.std.SetFrameProps(_Matrix=6, _Range=0, _Primaries=6, _Transfer=16, _ChromaLocation=2)
    said = {"matrix": "709", "range": "full", "primaries": "709", "transfer": "709", "chroma_location": "left"}
    expected = bytes_of(sdr_to_hdr(right, "bt2408"))
    assert bytes_of(sdr_to_hdr(wrong, "bt2408", **said)) == expected
    assert bytes_of(inverse_tone_map(wrong, "bt2408", **said)) == bytes_of(inverse_tone_map(right, "bt2408"))
    assert bytes_of(sdr_to_hdr(wrong, "bt2408", **(said | {"matrix": vs.MATRIX_BT709, "range": 1}))) == expected
    assert bytes_of(sdr_to_hdr(wrong, "bt2408", **(said | {"range": "limited"}))) != expected


@pytest.mark.parametrize("tag", ["matrix", "transfer", "primaries"])
def test_named_tags_are_those_that_core_resize_means(tag):
    # zimg's own names; chroma locations and ranges it takes as numbers only.
    clip = vs.core.std.BlankClip(format=vs.YUV444P16, width=16, height=16, length=1)
    prop, names = TAGS[tag]
    for name, code in names.items():
        if name != "rgb":
            out = clip.resize.Point(matrix_in=1, transfer_in=1, primaries_in=1, **{f"{tag}_s": name})
            assert out.get_frame(0).props[prop] == code


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"matrix": "bt601"}, "sdr_to_hdr: unknown matrix 'bt601'; choose one of rgb, 709, 470bg, 170m"),
        ({"range": "tv"}, "sdr_to_hdr: unknown range 'tv'; choose one of limited, full"),
        ({"primaries": 99}, "sdr_to_hdr: unknown primaries 99; choose one of 709"),
    ],
)
def test_a_tag_that_nobody_knows(moving_clip, said, message):
    with pytest.raises(vs.Error, match=message):
        sdr_to_hdr(moving_clip(), "bt2408", **said)


@pytest.mark.parametrize(("prop", "value"), [("_Matrix", 0), ("_Matrix", 14), ("_Transfer", 3), ("_Primaries", 19)])
def test_tags_that_contradict_the_clip_are_one_line(moving_clip, prop, value):
    with pytest.raises(vs.Error, match=rf"inverse_tone_map: clip is YUV420P8 with .*{prop}={value}.*cannot be read") as caught:
        inverse_tone_map(moving_clip(**{prop: value}), "bt2408")
    assert "\n" not in str(caught.value)


def test_a_clip_whose_first_frame_fails_is_one_line(moving_clip):
    def fail(n, f):
        raise ValueError("no such picture")

    clip = moving_clip()
    with pytest.raises(vs.Error, match=r"inverse_tone_map: frame 0 of the clip cannot be had \(.*no such picture") as caught:
        inverse_tone_map(clip.std.ModifyFrame(clip, fail), "bt2408")
    assert "\n" not in str(caught.value)


def test_integers_of_32_bits_are_refused():
    with pytest.raises(vs.Error, match="inverse_tone_map: clip is Gray32; at most 16 bits can be read"):
        inverse_tone_map(vs.core.std.BlankClip(format=vs.GRAY32, length=1))


def test_interlaced_clips_are_told_both_remedies(moving_clip):
    with pytest.raises(
        vs.Error, match=r"clip is interlaced \(_FieldBased=2\).*core.bwdif.Bwdif\(clip, field=3\).*core.vivtc.VDecimate"
    ):
        sdr_to_hdr(moving_clip(_FieldBased=2))


def test_variable_frame_rates_keep_their_durations(moving_clip):
    def stretch(n, f):
        out = f.copy()
        out.props["_DurationNum"], out.props["_DurationDen"] = n + 1, 25
        return out

    clip = moving_clip()
    clip = clip.std.ModifyFrame(clip, stretch).std.AssumeFPS(fpsnum=25)
    clip = clip.std.ModifyFrame(clip, stretch)
    out = sdr_to_hdr(clip, "bt2408")
    durations = [(f.props["_DurationNum"], f.props["_DurationDen"]) for f in out.frames()]
    assert [num / den for num, den in durations] == pytest.approx([(n + 1) / 25 for n in range(6)])


def test_a_plane_of_rgb_is_grey_with_all_codes():
    rgb = vs.core.std.BlankClip(format=vs.RGB24, width=16, height=16, length=1, color=[255, 255, 255])
    plane = rgb.std.SetFrameProps(_Matrix=0, _Transfer=1, _Primaries=1).std.ShufflePlanes(0, vs.GRAY)
    assert np.allclose(light_of(plane), 203, rtol=1e-3)


def test_a_range_that_is_not_said_is_assumed_and_said(moving_clip, caplog):
    clip = moving_clip().std.RemoveFrameProps(["_Range", "_ColorRange"])
    inverse_tone_map(clip, "bt2408")
    assert "assuming _Range=0 (RANGE_LIMITED)" in caplog.text


@pytest.mark.parametrize("other", [{"width": 32}, {"format": vs.YUV444P8}])
def test_clips_that_change_midway(moving_clip, other):
    clip = moving_clip()
    changing = vs.core.std.Splice([clip, vs.core.std.BlankClip(clip, **other)], mismatch=True)
    with pytest.raises(vs.Error, match="clip has variable format or size"):
        sdr_to_hdr(changing, "bt2408")


@pytest.mark.parametrize(("prop", "value"), [("_Matrix", "x"), ("_Range", [0, 1]), ("_FieldBased", "top")])
def test_a_tag_that_is_no_number_says_nothing(moving_clip, bytes_of, prop, value):
    clip = moving_clip()
    odd, bare = clip.std.SetFrameProps(**{prop: value}), clip.std.RemoveFrameProps(prop)
    try:
        found = bytes_of(inverse_tone_map(odd, "bt2408"), [0])
    except vs.Error as error:  # what zimg makes of it
        assert str(error).startswith("inverse_tone_map: clip is YUV420P8 with ")
    else:
        assert found == bytes_of(inverse_tone_map(bare, "bt2408"), [0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e38, -1e38])
def test_wild_samples_stay_in_their_pixels(value):
    clip = vs.core.std.BlankClip(format=vs.RGBS, width=16, height=16, length=1, color=[0.5] * 3)
    clip = clip.std.SetFrameProps(_Transfer=1, _Primaries=1)

    def spoil(n, f):
        out = f.copy()
        np.asarray(out[0])[3, 3] = value
        return out

    with sdr_to_hdr(clip.std.ModifyFrame(clip, spoil), "bt2408", format="yuv444p10").get_frame(0) as frame:
        luma = np.asarray(frame[0])
        assert luma.max() <= 940
        assert len(np.unique(np.delete(luma.ravel(), 3 * 16 + 3) // 2)) == 1  # dithered
