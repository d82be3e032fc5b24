"""`overexposure_mask` and `generate_overexposed` as filters: only the mask's pixels change, one plan, one source."""

import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import (
    feature_map,
    generate_overexposed,
    graph,
    inverse_tone_map,
    limit,
    overexposure_mask,
    presets,
    sdr_to_hdr,
    to_hdr10,
)


@pytest.fixture
def model(pdcg_card):
    """The path of a card of PDCG with seeded random weights."""
    return str(pdcg_card.path)


@pytest.fixture
def bright_clip(moving_clip):
    """A function that makes RGBS patches, about a third of them over-exposed."""

    def make(**kwargs):
        return moving_clip(vs.RGBS, **kwargs).std.Expr("x 1.6 * 1 min")

    return make


def planes_of(clip, n=0):
    frame = clip.get_frame(n)
    return np.stack([np.asarray(frame[plane]) for plane in range(frame.format.num_planes)])


def test_the_mask_is_an_ordinary_grey_clip(bright_clip):
    source = bright_clip()
    mask = overexposure_mask(source)
    assert (mask.format.id, mask.width, mask.height, mask.num_frames) == (vs.GRAYS, 64, 48, 6)
    # The definition, on the clip's own samples (RGBS of BT.709 is read as it is).
    expected = np.clip((planes_of(source, 2).max(axis=0) - 0.95) / 0.05, 0, 1)
    np.testing.assert_allclose(planes_of(mask, 2)[0], expected, atol=1e-5)
    assert 0.1 < (expected > 0).mean() < 0.9
    frame = mask.get_frame(2)
    assert "_Transfer" not in frame.props
    assert frame.props["_DurationDen"] == 24000
    assert planes_of(mask.std.Invert().std.Crop(top=8), 2).max() == 1


def test_threshold_and_values_outside_the_range():
    clip = vs.core.std.BlankClip(format=vs.RGBS, width=32, height=32, length=1, color=[0.2, 0.7, 0.1])
    clip = clip.std.SetFrameProps(_Transfer=1, _Primaries=1)
    assert planes_of(overexposure_mask(clip)).max() == 0
    np.testing.assert_allclose(planes_of(overexposure_mask(clip, 0.6)), 0.25, atol=1e-6)  # (0.7 - 0.6) / 0.4
    assert planes_of(overexposure_mask(clip.std.Expr("x 3 *"))).min() == 1


def test_the_mask_drives_another_filter(bright_clip):
    clip = bright_clip()
    hdr = inverse_tone_map(clip, "bt2446a")
    limited = limit(hdr, 203, mask=overexposure_mask(clip))
    assert len(graph.plan_of(limited).sources) == 1
    outside = planes_of(overexposure_mask(clip))[0] == 0
    np.testing.assert_allclose(planes_of(limited)[:, outside], planes_of(hdr)[:, outside], atol=1e-6)
    inside = planes_of(overexposure_mask(clip))[0] == 1
    assert planes_of(limited)[:, inside].max() < 0.5810  # PQ of 203 cd/m2 is 0.58069 (BT.2408-7, table 1: 58 %)


@pytest.mark.parametrize(("engine", "size"), [("cpu", (67, 45)), ("torch", (24, 40)), ("onnx-cpu", (64, 48))])
def test_only_pixels_of_the_mask_change(bright_clip, model, engine, size):
    source = bright_clip(width=size[0], height=size[1], length=2)
    hdr = inverse_tone_map(source, "bt2408")
    result = generate_overexposed(hdr, source, model, engine=engine, device="cpu")
    before, after = planes_of(hdr, 1), planes_of(result, 1)
    outside = planes_of(overexposure_mask(source), 1)[0] == 0
    assert 0.1 < outside.mean() < 0.9
    assert after[:, outside].tobytes() == before[:, outside].tobytes()
    assert (after[:, ~outside] != before[:, ~outside]).mean() > 0.9


def test_one_plan_one_source_one_engine(bright_clip, model, bytes_of):
    source = bright_clip(length=3)
    hdr = feature_map(source, engine="cpu", threads=1)
    fused = to_hdr10(generate_overexposed(hdr, source, model))
    plan = graph.plan_of(fused)
    assert [each.raw for each in plan.sources.values()] == [source]
    assert plan.engine.threads == 1  # that of `hdr`
    assert plan.step.inputs["hdr"].inputs["hdr"].stage.name == "feature_map"
    broken = to_hdr10(generate_overexposed(hdr.std.Trim(0), source, model, engine="cpu", threads=1))
    assert len(graph.plan_of(broken).sources) == 2
    expected = bytes_of(fused)
    assert bytes_of(broken) == expected
    assert bytes_of(fused, [2, 0, 1, 2]) == expected


def test_bars_stay_as_they_are(bright_clip, model):
    bare = bright_clip(length=1)
    # White bars: they would be generated, and would shift the statistics.
    boxed = bare.std.AddBorders(8, 4, 16, 12, color=[1, 1, 1])
    hdr, boxed_hdr = (inverse_tone_map(clip, "bt2408") for clip in (bare, boxed))
    result = planes_of(generate_overexposed(boxed_hdr, boxed, model, engine="cpu", letterbox=(16, 12, 8, 4)))
    expected = planes_of(boxed_hdr)
    expected[:, 16:-12, 8:-4] = planes_of(generate_overexposed(hdr, bare, model, engine="cpu"))
    assert result.tobytes() == expected.tobytes()
    without = planes_of(generate_overexposed(boxed_hdr, boxed, model, engine="cpu"))
    assert np.abs(without - result)[:, :16].mean() > 1e-4


def test_the_shipped_weights_change_what_is_over_exposed(bright_clip):
    source = bright_clip(length=1)
    hdr = feature_map(source, engine="cpu")
    before, after = planes_of(hdr), planes_of(generate_overexposed(hdr, source))
    mask = planes_of(overexposure_mask(source))[0]
    assert (mask > 0).any()
    assert before[:, mask == 0].tobytes() == after[:, mask == 0].tobytes()
    assert np.abs(before - after)[:, mask > 0.5].mean() > 1e-4


def test_a_preset_of_two_stages(bright_clip, model, monkeypatch, bytes_of):
    # None is shipped before PDCG is better than HDCFM alone; the chain is there.
    monkeypatch.setitem(presets.PRESETS, "two", presets.Preset(model="hdcfm", overexposed=model))
    source = bright_clip(length=2)
    whole = sdr_to_hdr(source, "two", engine="cpu", letterbox=(4, 4))
    assert len(graph.plan_of(whole).sources) == 1
    hdr = feature_map(source, engine="cpu", letterbox=(4, 4))
    assert bytes_of(whole) == bytes_of(to_hdr10(generate_overexposed(hdr, source, model, letterbox=(4, 4))))
    assert bytes_of(whole) != bytes_of(to_hdr10(hdr))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, m: overexposure_mask(c, 1.0), "overexposure_mask: threshold is 1.0; give 0 to 0.999"),
        (lambda c, m: overexposure_mask(inverse_tone_map(c, "bt2408")), "overexposure_mask: clip is hdr, the result of inverse"),
        (lambda c, m: generate_overexposed(c, c, m), r"generate_overexposed: clip is not PQ \(_Transfer=1\)"),
        (lambda c, m: generate_overexposed(inverse_tone_map(c), c[1:], m), "generate_overexposed: clips differ"),
        (lambda c, m: generate_overexposed(inverse_tone_map(c), overexposure_mask(c), m), "generate_overexposed: clip is mask"),
        (
            lambda c, m: generate_overexposed(inverse_tone_map(c), c, "hdcfm"),
            "generate_overexposed: model 'hdcfm' reads sdr and writes hdr; it takes one from hdr and sdr to hdr",
        ),
        (lambda c, m: feature_map(c, m), "feature_map: model 'random' reads hdr and sdr and writes hdr; it takes one from sdr"),
        (lambda c, m: generate_overexposed(inverse_tone_map(c), c, "nothing"), "weights: unknown model 'nothing'; choose"),
        (lambda c, m: generate_overexposed(inverse_tone_map(c), c, m, letterbox=(48, 0)), "letterbox 48,0,0,0 leaves nothing"),
    ],
)
def test_bad_arguments(moving_clip, model, call, message):
    with pytest.raises(vs.Error, match=message) as caught:
        call(moving_clip(), model)
    assert "\n" not in str(caught.value)
