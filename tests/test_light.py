"""Light level: CTA-861.3 on known pixels."""

import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import grade, light_level, sdr_to_hdr, to_hdr10
from vs_hdrtv.color.transfer import pq_inverse_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.hdr10 import ContentLight
from vs_hdrtv.letterbox import Letterbox
from vs_hdrtv.light import AVERAGE_MAX_RGB, MAX_RGB, packed_level, programme_level
from vs_hdrtv.stages import PACKINGS


def patch(red, green, blue, width=32, height=32, **props):
    signal = [float(pq_inverse_eotf(np.array([value]))[0]) for value in (red, green, blue)]
    clip = vs.core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=1, color=signal)
    return clip.std.SetFrameProps(_Matrix=0, _Transfer=16, _Primaries=9, _Range=1, **props)


def measured(clip, n=0, **kwargs):
    props = light_level(clip, **kwargs).get_frame(n).props
    return props[MAX_RGB], props[AVERAGE_MAX_RGB]


def test_the_largest_component_counts():
    assert measured(patch(50, 700, 3)) == pytest.approx((700, 700), rel=1e-3)
    both = vs.core.std.StackVertical([patch(100, 0, 0), patch(0, 0, 300)])
    assert measured(both) == pytest.approx((300, 200), rel=1e-3)


def test_bars_do_not_count():
    clip = patch(400, 400, 400).std.AddBorders(0, 0, 16, 16)
    assert measured(clip)[1] == pytest.approx(200, rel=1e-3)
    assert measured(clip, letterbox=Letterbox(16, 16)) == pytest.approx((400, 400), rel=1e-3)
    assert measured(clip, letterbox="16,16")[1] == pytest.approx(400, rel=1e-3)
    # Bars that hide a bright picture lower the average alone.
    assert measured(patch(800, 1, 1).std.AddBorders(0, 0, 16, 16), letterbox="40,0")[0] == pytest.approx(800, rel=1e-3)


def test_packed_frames_are_measured_as_they_are(moving_clip, bytes_of):
    packed = sdr_to_hdr(moving_clip(), "bt2446a")
    assert bytes_of(light_level(packed)) == bytes_of(packed)
    # 10-bit codes of a flat colour: within half a code of the light that was packed.
    white = sdr_to_hdr(moving_clip(vs.RGBS).std.Expr("1"), "bt2408")
    assert measured(white)[0] == pytest.approx(203, rel=0.01)


def test_a_clip_that_is_not_pq(moving_clip):
    with pytest.raises(vs.Error, match=r"light_level: clip is not PQ at frame 0 \(_Transfer=1\)"):
        light_level(moving_clip(vs.RGBS)).get_frame(0)


def test_auto_is_for_sdr(moving_clip):
    with pytest.raises(vs.Error, match="letterbox: 'auto'; give"):
        light_level(moving_clip(vs.RGBS), letterbox="auto")


def test_what_was_measured_before_a_stage_does_not_describe_its_result():
    before = light_level(patch(900, 900, 900)).std.SetFrameProps(DolbyVisionRPU=b"rpu", HDR10Plus=b"st2094")
    packed = to_hdr10(grade(before, reference_white=100))
    assert not {MAX_RGB, AVERAGE_MAX_RGB, "DolbyVisionRPU", "HDR10Plus"} & set(packed.get_frame(0).props)


def test_a_programme():
    frames = [{MAX_RGB: 800.2, AVERAGE_MAX_RGB: 50.0}, {MAX_RGB: 100.0, AVERAGE_MAX_RGB: 90.5}]
    assert programme_level(frames) == ContentLight(801, 91)
    with pytest.raises(InputError, match="programme_level: a frame without measured light"):
        programme_level([{}])
    with pytest.raises(InputError, match="programme_level: no frames"):
        programme_level([])


@pytest.mark.parametrize("other", [{"width": 32}, {"format": vs.YUV444P8}])
def test_a_clip_that_changes_midway(moving_clip, other):
    clip = moving_clip()
    changing = vs.core.std.Splice([clip, vs.core.std.BlankClip(clip, **other)], mismatch=True)
    with pytest.raises(vs.Error, match="light_level: clip has variable format or size"):
        light_level(changing)


@pytest.mark.parametrize("packing", ["yuv420p10", "yuv444p12"])
def test_the_light_of_packed_planes_is_that_of_the_packed_clip(moving_clip, packing):
    clip = light_level(sdr_to_hdr(moving_clip(width=50, height=38, length=2), preset="bt2446a", format=packing))
    for n in range(2):
        with clip.get_frame(n) as frame:
            planes = tuple(np.asarray(frame[plane]).astype(np.float32)[None, None] for plane in range(3))
            expected = frame.props[MAX_RGB], frame.props[AVERAGE_MAX_RGB]
        assert packed_level(planes, PACKINGS[packing]) == pytest.approx(expected, rel=2e-4)
