import numpy as np
import pytest

from vs_hdrtv.color.gamut import convert, luminance, ycbcr_matrix
from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.color.transfer import bt1886_inverse_eotf, pq_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.training import operators, pairs, renditions


def scene(seed, size=48):
    """A view with smooth regions, colour and highlights, (H, W, 3)."""
    import cv2

    rng = np.random.default_rng(seed)
    small = rng.normal(0, 1.2, (8, 8, 1)) + rng.normal(0, 0.3, (8, 8, 3))
    return np.exp(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)).astype(np.float32)


def make(seed, **arguments):
    return pairs.make_pair(scene(seed), np.random.default_rng(seed), **arguments)


@pytest.mark.parametrize("name", [None, *operators.OPERATORS])
def test_shapes_types_and_ranges(name):
    pair = make(1, operator=name)
    for picture in (pair.sdr, pair.hdr):
        assert picture.shape == (3, 48, 48)
        assert picture.dtype == np.float32
        assert np.isfinite(picture).all()
        assert picture.min() >= 0
        assert picture.max() <= 1
    # BT.2390 shoulder to 1000 cd/m2.
    assert pq_eotf(pair.hdr).max() <= pairs.MASTER_PEAK * 1.001
    assert pair.operator == name or (name is None and pair.operator in operators.TRAINED)


def test_the_seed_decides_everything():
    first, again, other = make(2), make(2), pairs.make_pair(scene(2), np.random.default_rng(99))
    np.testing.assert_array_equal(first.sdr, again.sdr)
    np.testing.assert_array_equal(first.hdr, again.hdr)
    assert not np.array_equal(first.sdr, other.sdr)


def test_no_draw_gives_a_held_out_operator():
    drawn = {make(seed).operator for seed in range(80)}
    assert not drawn & set(operators.UNSEEN)
    assert len(drawn) > 8


@pytest.mark.parametrize("name", operators.OPERATORS)
@pytest.mark.parametrize("seed", [3, 4])
def test_level_rule(name, seed):
    # networks.md: the median of log(HDR / BT.2408(SDR)) over pixels that the SDR did not clip is 0.
    pair = make(seed, operator=name)
    sdr, hdr = pair.sdr.astype(np.float64), pair.hdr.astype(np.float64)
    largest = sdr.max(axis=0, keepdims=True)
    usable = (largest < renditions.CLIPPED) & (largest > 0.05)
    ratio = luminance(pq_eotf(hdr), "bt2020")[usable] / luminance(pq_eotf(bt2408(sdr)), "bt2020")[usable]
    # The shoulder comes after the level and darkens the brightest pixels; gains of the float32 files are far below.
    assert abs(np.median(np.log(ratio))) < 0.02


def test_level_does_not_depend_on_the_scale_of_the_scene():
    pair = make(5, operator="camera_clip")
    scaled = pairs.make_pair(scene(5) * 1000, np.random.default_rng(5), operator="camera_clip")
    np.testing.assert_allclose(scaled.hdr, pair.hdr, atol=1e-5)


def test_level_of_a_picture_that_is_all_clipped():
    # Nothing to match a level by: scene white goes to reference white.
    hdr = pairs.master(np.full((3, 2, 2), 1.0), np.ones((3, 2, 2)))
    np.testing.assert_allclose(pq_eotf(hdr), 203.0, rtol=1e-3)


def test_8bit_420_values():
    rng = np.random.default_rng(0)
    signal = 0.4 + 0.1 * rng.random((3, 8, 12))
    coded = np.tensordot(ycbcr_matrix("bt709"), pairs.to_8bit_420(signal), axes=1)
    luma, chroma = coded[0] * 219 + 16, coded[1:] * 224 + 128
    np.testing.assert_allclose(luma, np.rint(luma), atol=1e-9)
    np.testing.assert_allclose(chroma, np.rint(chroma), atol=1e-9)
    # One chroma sample for four pixels.
    np.testing.assert_allclose(chroma[:, ::2], chroma[:, 1::2], atol=1e-9)
    np.testing.assert_allclose(chroma[..., ::2], chroma[..., 1::2], atol=1e-9)
    smooth = np.broadcast_to(signal[:, :1, :1], signal.shape)
    # Half a step of each plane, times the largest weights on the way back to R'G'B' (1, 1.8556).
    np.testing.assert_allclose(pairs.to_8bit_420(smooth), smooth, atol=0.5 / 219 + 1.86 * 0.5 / 224)


def test_8bit_420_of_greys():
    # BT.709-6, table 5: black is 16, white 235 of 8 bits; greys come back within half a step of 1/219.
    grey = np.broadcast_to(np.linspace(0, 1, 64), (3, 2, 64))
    result = pairs.to_8bit_420(grey)
    np.testing.assert_allclose(result, grey, atol=0.5 / 219 + 1e-9)
    assert result[0, 0, 0] == 0
    assert result[0, 0, -1] == pytest.approx(1, abs=1e-12)


def test_without_a_look_the_operator_is_left_as_it_is():
    pair = make(6, operator="camera_clip", look=0.0)
    light = pairs.expose(np.moveaxis(scene(6), -1, 0).astype(np.float64), rng := np.random.default_rng(6))
    expected = bt1886_inverse_eotf(operators.camera_clip(light, rng))
    np.testing.assert_allclose(pair.sdr, pairs.to_8bit_420(expected), atol=1e-6)


def test_black_views_are_refused():
    with pytest.raises(InputError, match="pairs: the view is black"):
        pairs.make_pair(np.zeros((8, 8, 3), np.float32), np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(6))
def test_bars_are_black_on_both_sides_and_leave_the_rest(seed):
    rng = np.random.default_rng(seed)
    shape = (3, 48, 64)
    pair = pairs.Pair(
        rng.uniform(0.2, 1, shape).astype(np.float32), rng.uniform(0.2, 0.7, shape).astype(np.float32), "camera_clip"
    )
    barred = pairs.with_bars(pair, rng)
    black = (barred.sdr == 0).all(axis=0)
    assert 0 < black.mean() < 0.6
    assert (barred.hdr[:, black] == 0).all()
    assert (barred.sdr[:, ~black] == pair.sdr[:, ~black]).all()
    assert (barred.hdr[:, ~black] == pair.hdr[:, ~black]).all()


ALWAYS = pairs.Variety(peaks=1.0, gamut=1.0, compression=1.0)


def test_variety_is_off_by_default():
    # What the first recipes were trained on: the draws, and so the bytes, are those of a call that knows no variety.
    first, again = make(8), make(8, variety=pairs.Variety())
    np.testing.assert_array_equal(first.sdr, again.sdr)
    np.testing.assert_array_equal(first.hdr, again.hdr)


@pytest.mark.parametrize("name", [None, *operators.OPERATORS])
def test_ranges_with_all_variety(name):
    pair = make(9, operator=name, variety=ALWAYS)
    for picture in (pair.sdr, pair.hdr):
        assert picture.shape == (3, 48, 48)
        assert np.isfinite(picture).all()
        assert 0 <= picture.min() <= picture.max() <= 1
    assert pq_eotf(pair.hdr).max() <= pairs.PEAKS[1] * 1.001


def test_peaks_are_random_within_their_range():
    drawn = [pairs.random_peak(np.random.default_rng(seed), ALWAYS) for seed in range(200)]
    assert pairs.PEAKS[0] <= min(drawn) < 700
    assert 3400 < max(drawn) <= pairs.PEAKS[1]
    # Evenly in stops: half of them below the geometric mean.
    assert np.mean(np.array(drawn) < np.sqrt(600 * 4000)) == pytest.approx(0.5, abs=0.1)
    assert pairs.random_peak(np.random.default_rng(0), pairs.PLAIN) == pairs.MASTER_PEAK


@pytest.mark.parametrize("seed", range(8))
def test_gamut_expansion(seed):
    light = np.moveaxis(scene(seed), -1, 0).astype(np.float64)
    wide, narrow = pairs.gamuts(light, "bt709", np.random.default_rng(seed), ALWAYS)
    inside, same = pairs.gamuts(light, "bt709", np.random.default_rng(seed), pairs.PLAIN)
    np.testing.assert_array_equal(same, light)
    # White is white in both gamuts; colours lie further from it than they did.
    grey = np.full((3, 1, 1), 0.5)
    np.testing.assert_allclose(pairs.gamuts(grey, "bt709", np.random.default_rng(seed), ALWAYS)[0], grey, rtol=1e-9)
    assert np.ptp(wide, axis=0).mean() > np.ptp(inside, axis=0).mean()
    assert wide.min() >= 0
    # What BT.709 has, its SDR version has as it is.
    back = convert(wide, "bt2020", "bt709")
    np.testing.assert_allclose(narrow, np.maximum(back, 0))


def test_wide_gamut_frames_keep_their_colours():
    # A frame of an HDR clip with a BT.2020 green: HDR has it, BT.709 has no more than its own green.
    view = np.full((16, 16, 3), 0.3, np.float32)
    view[:8] = [0.02, 0.4, 0.02]
    pair = pairs.make_pair(view, np.random.default_rng(0), "camera_clip", look=0.0, primaries="bt2020")
    green = pq_eotf(pair.hdr.astype(np.float64))[:, 2, 2]
    np.testing.assert_allclose(green / green[1], [0.05, 1, 0.05], atol=0.01)
    assert pair.sdr[0, 2, 2] < 0.05


def test_compression_is_seeded_and_takes_part():
    coded = pairs.Variety(compression=1.0)
    first, again, plain = make(10, variety=coded), make(10, variety=coded), make(10)
    np.testing.assert_array_equal(first.sdr, again.sdr)
    assert 0 < np.abs(first.sdr - plain.sdr).mean() < 0.1
    assert first.operator == plain.operator


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(InputError, match=f"variety: peaks is {share}; give a share"):
        pairs.Variety(peaks=share)


def light_of(seed, size=48):
    return np.moveaxis(scene(seed, size), -1, 0).astype(np.float64)


def test_rendition_that_keeps_nothing_is_the_scene():
    light = convert(light_of(5), "bt709", "bt2020")
    np.testing.assert_allclose(renditions.rendition(light, operators.reinhard(light_of(5), np.random.default_rng(0)), 0.0), light)


def test_rendition_keeps_the_grade_in_shadows_and_the_scene_in_highlights():
    light = light_of(6)
    wide = np.asarray(convert(light, "bt709", "bt2020"))
    shown = np.clip((light / light.max()) ** 1.4, 0, 1)  # a grade of more contrast
    found = renditions.rendition(wide, shown, 1.0)
    signal = bt1886_inverse_eotf(shown).max(axis=0, keepdims=True)
    dark, clipped = signal < renditions.HIGHLIGHTS[0], signal >= 1
    graded = convert(shown, "bt709", "bt2020")
    ratio = (luminance(found, "bt2020") / luminance(graded, "bt2020"))[dark]
    np.testing.assert_allclose(ratio, ratio[0])  # the grade, at one level
    chosen = np.broadcast_to(clipped, found.shape)
    assert chosen.any()
    np.testing.assert_allclose(found[chosen], wide[chosen])


def test_renditions_and_local_operators_take_part():
    some = [make(seed, variety=pairs.Variety(renditions=1.0)) for seed in range(4)]
    plain = [make(seed) for seed in range(4)]
    for one, other in zip(some, plain, strict=True):
        np.testing.assert_array_equal(one.sdr, other.sdr)
        assert not np.array_equal(one.hdr, other.hdr)
    assert {make(seed, variety=pairs.Variety(local=1.0)).operator for seed in range(4)} == {"local_tone_map"}


PHOTOGRAPHS = pairs.Variety(gain_maps=1.0)
VARIETIES = {
    "plain": pairs.PLAIN,
    "all": ALWAYS,
    "renditions": pairs.Variety(renditions=1.0),
    "photographs": PHOTOGRAPHS,
    "blends": pairs.Variety(blends=1.0),
}


@pytest.mark.parametrize("seed", range(6))
def test_photographs_are_the_sdr_version_and_more_light_where_it_is_bright(seed):
    pair = make(seed, look=0.0, variety=PHOTOGRAPHS)
    assert pair.operator == "gain_map"
    same = bt2408(pair.sdr.astype(np.float64))
    signal = pair.sdr.max(axis=0)
    tiny = 1e-3  # cd/m2: black stays black
    gain = np.log2((luminance(pq_eotf(pair.hdr), "bt2020")[0] + tiny) / (luminance(pq_eotf(same), "bt2020")[0] + tiny))
    dark = (signal > 0.1) & (signal < renditions.GAIN_MAP["from"][0])
    # 4:2:0 moves single pixels; the picture as a whole is that of SDR, at its own level.
    assert not dark.any() or abs(np.median(gain[dark])) < 0.1
    assert np.median(gain) > -0.02
    assert np.percentile(gain, 99) <= renditions.GAIN_MAP["stops"][1] + 0.3


def test_gain_maps_brighten_highlights_and_keep_colours():
    scene_light = np.asarray(convert(light_of(9), "bt709", "bt2020"))
    shown = np.clip(light_of(9), 0, None) ** 0.5
    shown = shown / shown.max()  # half of the scene's stops
    found = [renditions.gain_mapped(scene_light, shown, np.random.default_rng(seed)) for seed in range(20)]
    graded = np.asarray(convert(shown, "bt709", "bt2020"))
    for each in found:
        gain = each / graded
        np.testing.assert_allclose(gain, gain[:1].repeat(3, axis=0))  # one channel
        assert gain.min() >= 1 - 1e-9
        assert gain.max() <= 2 ** renditions.GAIN_MAP["stops"][1] + 1e-9
    assert max(each.max() / graded.max() for each in found) > 2


def test_frames_of_a_clip_have_one_gain_for_one_light():
    shown = np.broadcast_to(np.linspace(0, 1, 64), (3, 4, 64)).copy()
    scenes = [np.asarray(convert(each, "bt709", "bt2020")) for each in (shown, 3 * shown)]
    for seed in range(6):
        alone, twice, mixed = (
            renditions.gain_mapped(np.stack(lights), np.stack([shown] * len(lights)), np.random.default_rng(seed))
            for lights in (scenes[:1], scenes[:1] * 2, scenes)
        )
        np.testing.assert_allclose(twice, alone.repeat(2, axis=0), rtol=1e-6)
        # Both frames show the same; where the second one's scene is brighter, what is set by all frames tells them apart.
        assert (mixed[1] >= mixed[0] - 1e-9).all()
    assert not np.allclose(mixed[1], mixed[0])


def test_gains_follow_the_signal_where_nothing_was_compressed_too():
    shown = np.broadcast_to(np.linspace(0, 1, 64), (3, 4, 64)).copy()
    scene_light = np.asarray(
        convert(shown, "bt709", "bt2020")
    )  # SDR shows all of the scene: a gain by what is lost would be none
    gains = [
        (renditions.gain_mapped(scene_light, shown, np.random.default_rng(seed)) / (scene_light + 1e-12))[1, 0, 1:]
        for seed in range(20)
    ]
    for gain in gains:
        assert (np.diff(gain) > -1e-9).all()
        np.testing.assert_allclose(gain[:1], 1.0, rtol=1e-6)
    assert sum(gain[-1] > 1.3 for gain in gains) > 10


def test_finished_photographs_reach_white_and_black():
    levels = [
        operators.finished(0.05 + 0.3 * light_of(seed) / light_of(seed).max(), np.random.default_rng(seed)) for seed in range(20)
    ]
    for each in levels:
        assert 0 <= each.min() <= each.max() <= 1
        assert each.max() > 0.5
    assert min(each.min() for each in levels) < 0.02


def test_photographs_are_left_out_where_an_operator_is_asked_for():
    asked = make(3, operator="reinhard", variety=PHOTOGRAPHS)
    np.testing.assert_array_equal(asked.hdr, make(3, operator="reinhard").hdr)


def test_blends_lie_between_and_rise(monkeypatch):
    monkeypatch.setattr(operators, "TRAINED", ("reinhard", "camera_clip"))
    blends = pairs.Variety(blends=1.0)
    first, again, plain = make(4, variety=blends), make(4, variety=blends), make(4)
    np.testing.assert_array_equal(first.sdr, again.sdr)
    assert not np.array_equal(first.sdr, plain.sdr)
    ramp = np.repeat(np.linspace(0, 1, 200)[None, None], 3, axis=0)  # (3, 1, 200)
    for seed in range(40):
        bent = operators.blend(ramp, ramp**1.5, np.random.default_rng(seed))
        assert np.diff(bent[0, 0]).min() >= 0
        np.testing.assert_allclose(bent[:, 0, [0, -1]], [[0, 1]] * 3, atol=1e-9)


@pytest.mark.parametrize("name", [None, *operators.OPERATORS])
@pytest.mark.parametrize("variety", VARIETIES.values(), ids=VARIETIES)
def test_torch_makes_the_same_pairs(name, variety):
    torch = pytest.importorskip("torch")
    view = scene(7)
    expected = pairs.with_bars(pairs.make_pair(view, rng := np.random.default_rng(7), name, variety=variety), rng)
    found = pairs.with_bars(pairs.make_pair(torch.from_numpy(view), rng := np.random.default_rng(7), name, variety=variety), rng)
    for one, other in ((found.sdr, expected.sdr), (found.hdr, expected.hdr)):
        assert one.dtype == torch.float32
        assert one.shape == other.shape
        # A code value of 8 bits may fall on the other side of a half, and move what stands on it by one.
        assert np.mean(np.abs(one.numpy() - other) > 1e-4) < 0.02


def test_kept_blacks_are_the_sdr_versions_and_nothing_else_changes():
    light = light_of(8)
    wide = np.asarray(convert(light, "bt709", "bt2020"))
    shown = np.clip(light / np.percentile(light, 90), 0, 1) ** 2.0  # crushes shadows
    found = renditions.rendition(wide, shown, 0.0, blacks=True)
    signal = bt1886_inverse_eotf(shown).max(axis=0, keepdims=True)
    dark, rest = (
        np.broadcast_to(where, found.shape) for where in (signal <= renditions.BLACKS[0], signal >= renditions.BLACKS[1])
    )
    assert dark.any()
    assert rest.any()
    graded = np.asarray(convert(shown, "bt709", "bt2020"))
    ratio = (found / graded)[dark]
    np.testing.assert_allclose(ratio, ratio[0])  # as dark as in SDR, at one level
    np.testing.assert_allclose(found[rest], wide[rest])
    assert (found[dark] < wide[dark]).all()
