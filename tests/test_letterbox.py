"""Black bars: found where they are, kept out of statistics, refused where they make no sense."""

import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import detect_letterbox, feature_map, inverse_tone_map, sdr_to_hdr
from vs_hdrtv.errors import InputError
from vs_hdrtv.letterbox import Letterbox


@pytest.fixture
def letterboxed(moving_clip):
    """A function that puts black bars around moving patches."""

    def make(top=12, bottom=12, left=0, right=0, length=6, **kwargs):
        return moving_clip(length=length, **kwargs).std.AddBorders(left, right, top, bottom, color=[16, 128, 128])

    return make


def rgb_of(clip, n=0):
    frame = clip.get_frame(n)
    return np.stack([np.asarray(frame[plane]) for plane in range(3)])


@pytest.mark.parametrize("bars", [(12, 12, 0, 0), (0, 0, 8, 16), (10, 14, 6, 4), (0, 0, 0, 0)])
def test_bars_are_found(letterboxed, bars):
    found = detect_letterbox(letterboxed(*bars))
    assert found == Letterbox(*bars)


def test_a_dark_or_black_frame_does_not_make_bars(letterboxed):
    clip = letterboxed(8, 8)
    black = clip.std.BlankClip(color=[16, 128, 128], length=1)
    assert detect_letterbox(black) == Letterbox()
    assert detect_letterbox(black + clip + black) == Letterbox(8, 8)


def test_a_subtitle_in_the_bar_leaves_the_bar(letterboxed):
    clip = letterboxed(16, 16)

    def write(n, f):
        out = f.copy()
        np.asarray(out[0])[-10:-6, 28:36] = 235
        return out

    assert detect_letterbox(clip.std.ModifyFrame(clip, write)) == Letterbox(16, 16)


def test_one_full_frame_among_the_samples_means_no_bars(letterboxed, moving_clip):
    clip = letterboxed(8, 8, length=3)
    assert detect_letterbox(clip + moving_clip(height=64, length=3)) == Letterbox()


def test_the_network_sees_the_picture_alone(letterboxed, moving_clip):
    bare = moving_clip(vs.RGBS)
    boxed = bare.std.AddBorders(8, 0, 16, 8)
    inside = rgb_of(feature_map(boxed, engine="cpu", letterbox=(16, 8, 8, 0)), 2)
    assert np.abs(inside[:, 16:-8, 8:] - rgb_of(feature_map(bare, engine="cpu"), 2)).max() < 1e-6
    plain = rgb_of(inverse_tone_map(boxed, "bt2408"), 2)
    assert (inside[:, :16] == plain[:, :16]).all()
    assert (inside[:, :, :8] == plain[:, :, :8]).all()
    # Without it the bars darken the network's idea of the frame.
    assert np.abs(rgb_of(feature_map(boxed, engine="cpu"), 2)[:, 16:-8, 8:] - inside[:, 16:-8, 8:]).mean() > 1e-3


def test_auto_is_what_detection_says(letterboxed, bytes_of):
    clip = letterboxed(12, 12)
    box = detect_letterbox(clip)
    assert bytes_of(sdr_to_hdr(clip, engine="cpu", letterbox="auto"), [1]) == bytes_of(
        sdr_to_hdr(clip, engine="cpu", letterbox=str(box)), [1]
    )


def test_a_crop_is_always_the_same_bytes(letterboxed, bytes_of):
    clip = letterboxed()
    whole = bytes_of(sdr_to_hdr(clip, engine="cpu", letterbox=(12, 12)))
    assert bytes_of(sdr_to_hdr(clip, engine="cpu", letterbox=(12, 12)), [5, 0, 3, 1, 4, 2]) == whole
    assert bytes_of(sdr_to_hdr(clip, engine="cpu", letterbox=(12, 12))[2:4]) == whole[2:4]


@pytest.mark.parametrize(
    ("bars", "message"),
    [
        ("wide", "letterbox: 'wide'; give auto, none, TOP,BOTTOM or TOP,BOTTOM,LEFT,RIGHT in pixels"),
        ((1, 2, 3), "letterbox: '1,2,3'; give"),
        ((-1, 2), "letterbox: '-1,2'; give"),
        ((40, 40), "feature_map: letterbox 40,40,0,0 leaves nothing of 64x72"),
    ],
)
def test_bars_that_make_no_sense(letterboxed, bars, message):
    with pytest.raises(vs.Error, match=message):
        feature_map(letterboxed(), letterbox=bars)


def test_negative_numbers_are_refused():
    with pytest.raises(InputError, match="letterbox: bars of -1,0,0,0"):
        Letterbox(-1)


def test_samples_below_one_are_refused(letterboxed):
    with pytest.raises(vs.Error, match="detect_letterbox: samples is 0"):
        detect_letterbox(letterboxed(), 0)
