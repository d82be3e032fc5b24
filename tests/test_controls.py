"""A colourist's controls as filters: values, plans over several sources, and refusals."""

import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import blend, grade, graph, inverse_tone_map, light_level, limit, sdr_to_hdr, to_hdr10
from vs_hdrtv.color.transfer import pq_eotf


def light_of(clip, n=0):
    frame = clip.get_frame(n)
    return pq_eotf(np.stack([np.asarray(frame[plane]) for plane in range(3)]).astype(np.float64))


@pytest.fixture
def white():
    clip = vs.core.std.BlankClip(format=vs.RGBS, width=64, height=48, length=2, color=[1, 1, 1], keep=True)
    return clip.std.SetFrameProps(_Transfer=1, _Primaries=1)


def test_strength_lies_between_the_plain_mapping_and_the_network(white):
    expanded = inverse_tone_map(white, "bt2446a")
    plain, half, full = (light_of(blend(expanded, white, strength)).mean() for strength in (0, 0.5, 1))
    assert plain == pytest.approx(203, rel=1e-3)
    assert full == pytest.approx(1000, rel=1e-3)
    assert plain < half < full


def test_one_source_is_read_once_whatever_reads_it(moving_clip):
    clip = moving_clip()
    fused = to_hdr10(blend(inverse_tone_map(clip, "bt2446a"), clip, 0.3))
    assert len(graph.plan_of(fused).sources) == 1


def test_two_plans_over_one_clip_become_one(moving_clip, bytes_of):
    from vs_hdrtv import stages

    def mean(hdr, other):
        return (hdr + other) / 2

    stage = stages.Stage(name="mean", reads={"hdr": (0,), "linear": (0,)}, writes="hdr", function=mean)
    odd = stages.Stage(name="odd", reads={"sdr": (0,)}, writes="linear", function=lambda sdr: sdr * 0.5)
    clip = moving_clip()
    both = graph.apply(stage, {"hdr": inverse_tone_map(clip, "bt2408"), "linear": graph.apply(odd, {"sdr": clip})})
    assert [value.raw for value in graph.plan_of(both).sources.values()] == [clip]
    assert both.get_frame(0).props["_Transfer"] == vs.TRANSFER_ST2084


def test_reference_white_moves_white(white):
    assert light_of(grade(inverse_tone_map(white, "bt2408"), reference_white=140)).mean() == pytest.approx(140, rel=1e-3)


def test_controls_of_sdr_to_hdr_are_the_chain(moving_clip, bytes_of):
    clip = moving_clip()
    hdr = limit(
        grade(blend(inverse_tone_map(clip, "bt2446a"), clip, 0.8), 250, 1.3, 0.9), 400, [(4, 4, 20, 20)], source_peak=1500
    )
    whole = sdr_to_hdr(
        clip,
        "bt2446a",
        strength=0.8,
        reference_white=250,
        highlight_gain=1.3,
        saturation=0.9,
        ceiling=400,
        ceiling_areas=[(4, 4, 20, 20)],
    )
    # The chain's peak before packing, which sdr_to_hdr works out: 1000 * 250/203 = 1231.5, then + 0.3 (981.5^2 / 1231.5).
    peak = 1231.527 + 0.3 * (1231.527 - 250) ** 2 / 1231.527
    found = np.asarray(to_hdr10(hdr, source_peak=peak).get_frame(0)[0]).astype(int)
    assert np.abs(found - np.asarray(whole.get_frame(0)[0])).max() <= 2
    assert bytes_of(sdr_to_hdr(clip, "bt2446a")) != bytes_of(whole)


def test_what_is_left_as_it_is_changes_no_byte(moving_clip, bytes_of):
    hdr = inverse_tone_map(moving_clip(), "bt2446a")
    assert bytes_of(grade(hdr)) == bytes_of(hdr)
    assert bytes_of(sdr_to_hdr(moving_clip(), "bt2446a", highlight_gain=1, saturation=1)) == bytes_of(to_hdr10(hdr))


def test_a_mask_says_where_the_ceiling_holds(white):
    hdr = inverse_tone_map(white, "bt2446a")
    for video_format, color in ((vs.GRAY8, 255), (vs.GRAY16, 65535), (vs.GRAYS, 1.0)):
        bright = vs.core.std.BlankClip(format=video_format, width=32, height=48, length=2, color=color)
        mask = vs.core.std.StackHorizontal([bright, bright.std.BlankClip(color=0)])
        light = light_of(limit(hdr, 203, mask=mask))
        assert light[:, :, :32].max() <= 203.01
        assert light[:, :, 32:].min() == pytest.approx(1000, rel=1e-3)


def test_a_brighter_master_rolls_off_into_the_peak_instead_of_clipping(white):
    # White of 2000 cd/m2 and a light grey of some 1100: a clip at 1000 would make them one.
    bright = vs.core.std.StackHorizontal([white, white.std.Expr("x 0.8 *")])
    luma = np.asarray(sdr_to_hdr(bright, "bt2446a", reference_white=406).get_frame(0)[0]).astype(int)
    assert luma[:, 0].mean() - luma[:, -1].mean() > 5


def constant_patches(width=64, height=48):
    """White, and red, green and blue patches of eight pixels: what dither and rounding alone could lift above the peak."""
    rng = np.random.default_rng(5)
    small = rng.integers(0, 2, (3, height // 8, width // 8)).astype(np.float32)
    blank = vs.core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=1)

    def fill(n, f):
        out = f.copy()
        for plane in range(3):
            np.asarray(out[plane])[...] = np.kron(small[plane], np.ones((8, 8)))
        return out

    return blank.std.ModifyFrame(blank, fill).std.SetFrameProps(_Transfer=1, _Primaries=1)


@pytest.mark.parametrize("video_format", ["yuv444p10", "yuv444p12"])
@pytest.mark.parametrize("peak", [100, 400, 1000])
def test_decoded_pixels_stay_under_the_peak(video_format, peak):
    clip = sdr_to_hdr(constant_patches(), "bt2446a", peak=peak, format=video_format)
    assert 0.9 * peak < light_level(clip).get_frame(0).props["_HdrtvMaxRGB"] <= peak


@pytest.mark.parametrize("peak", [400, 1000])
def test_subsampled_luma_is_that_of_full_chroma_but_for_a_code_or_two(peak):
    # Luma that gave way to chroma's overshoot would draw dark fringes round white text on a saturated ground.
    luma = {}
    for video_format in ("yuv420p10", "yuv422p10", "yuv444p10"):
        frame = sdr_to_hdr(constant_patches(), "bt2446a", peak=peak, format=video_format).get_frame(0)
        luma[video_format] = np.asarray(frame[0]).astype(int)
    assert np.abs(luma["yuv420p10"] - luma["yuv444p10"]).max() <= 2
    assert np.abs(luma["yuv422p10"] - luma["yuv444p10"]).max() <= 2


@pytest.mark.parametrize("video_format", ["yuv422p10", "yuv444p10", "yuv420p12", "yuv444p12"])
def test_packed_formats(moving_clip, video_format):
    clip = sdr_to_hdr(moving_clip(), "bt2408", format=video_format)
    assert clip.format.name == video_format.upper()
    expected = sdr_to_hdr(moving_clip(), "bt2408")
    shift = clip.format.bits_per_sample - 10
    difference = np.asarray(clip.get_frame(0)[0]).astype(int) / 2**shift - np.asarray(expected.get_frame(0)[0])
    assert np.abs(difference).max() <= 1
    hlg = sdr_to_hdr(moving_clip(), "bt2408", format=video_format, hlg=True)
    assert (hlg.format.name, hlg.get_frame(0).props["_Transfer"]) == (video_format.upper(), 18)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: sdr_to_hdr(c, "bt2446a", strength=1.5), "blend: strength is 1.5; give 0 to 1"),
        (lambda c: sdr_to_hdr(c, "bt2446a", strength=float("nan")), "blend: strength is nan"),
        (lambda c: sdr_to_hdr(c, "bt2408", reference_white=10), "grade: reference_white is 10; give 48 to 1000 cd/m2"),
        (lambda c: sdr_to_hdr(c, "bt2408", highlight_gain=-1), "grade: highlight_gain is -1; give 0 to 4"),
        (lambda c: sdr_to_hdr(c, "bt2408", saturation="more"), "saturation is 'more'; give"),
        (lambda c: sdr_to_hdr(c, "bt2408", ceiling=1), "limit: ceiling is 1; give 10 to 10000 cd/m2"),
        (lambda c: sdr_to_hdr(c, "bt2408", ceiling_areas=[(0, 0, 5, 5)]), "sdr_to_hdr: ceiling_areas without a ceiling"),
        (lambda c: sdr_to_hdr(c, "bt2408", ceiling=203, ceiling_areas=[(0, 0, 5)]), r"sdr_to_hdr: area \(0, 0, 5\); give left"),
        (
            lambda c: sdr_to_hdr(c, "bt2408", ceiling=203, ceiling_areas=[(0, 0, 0, 5)]),
            "sdr_to_hdr: area 0,0,0,5 does not lie in the picture of 64x48",
        ),
        (lambda c: limit(inverse_tone_map(c), areas=[(60, 0, 5, 5)]), "limit: area 60,0,5,5 does not lie in"),
        (lambda c: limit(inverse_tone_map(c), areas=[(-1, 0, 5, 5)]), "limit: area -1,0,5,5 does not lie"),
        (lambda c: sdr_to_hdr(c, "bt2408", format="rgb48"), "to_hdr10: unknown format 'rgb48'; choose one of yuv420p10"),
        (lambda c: blend(inverse_tone_map(c), c[1:], 0.5), "blend: clips differ"),
        (lambda c: blend(c, c, 0.5), r"blend: clip is not PQ \(_Transfer=1\)"),
        (lambda c: limit(inverse_tone_map(c), mask=c), "limit: mask is YUV420P8; give one grey plane"),
        (lambda c: limit(inverse_tone_map(c), areas=[(0, 0, 5, 5)], mask=c), "limit: both areas and a mask"),
    ],
)
def test_bad_arguments(moving_clip, call, message):
    with pytest.raises(vs.Error, match=message) as caught:
        call(moving_clip())
    assert "\n" not in str(caught.value)


def test_analytic_presets_run_on_the_engine_that_was_asked_for(moving_clip):
    with pytest.raises(vs.Error, match="unknown engine 'nope'"):
        sdr_to_hdr(moving_clip(), "bt2408", engine="nope")
    plan = graph.plan_of(sdr_to_hdr(moving_clip(), "bt2446a", engine="cpu", threads=1))
    assert (plan.engine.name, plan.engine.threads) == ("cpu", 1)
    plan = graph.plan_of(sdr_to_hdr(moving_clip(), strength=0, engine="cpu", threads=1))
    assert (plan.engine.name, plan.engine.threads) == ("cpu", 1)


@pytest.mark.parametrize(("preset", "light"), [("bt2408", 203), ("bt2446c", 332.6)])
def test_a_formula_that_fits_under_the_peak_is_not_rolled_off(white, preset, light):
    packed = sdr_to_hdr(white, preset, peak=340, format="yuv444p12")
    assert light_level(packed).get_frame(0).props["_HdrtvAverageMaxRGB"] == pytest.approx(light, rel=5e-3)


def test_shots_of_one_network_load_it_once(moving_clip, tmp_path, monkeypatch):
    from vs_hdrtv.engines.cpu import CpuEngine

    loads = []
    real = CpuEngine.load
    monkeypatch.setattr(CpuEngine, "load", lambda self, card, graph: loads.append(card.name) or real(self, card, graph))
    path = tmp_path / "film.shots"
    path.write_text("0 = strength 0.5\n1 = strength 0.6\n2 = saturation 0.9\n")
    first = sdr_to_hdr(moving_clip(), engine="cpu", threads=1, shots=path)
    second = sdr_to_hdr(moving_clip(), engine="cpu", threads=1)
    assert len(loads) <= 1 and first.num_frames == second.num_frames
