"""Key-frame filters with the real runner and small random networks; which frames they read is in `tests/test_key_frames.py`."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

import vapoursynth as vs

from vs_hdrtv import (
    align_reference,
    conversion,
    engines,
    estimate_flow,
    inverse_tone_map,
    merge_highlights,
    propagate_keyframes,
    recover_keyframes,
    sdr_to_hdr,
    to_hdr10,
)
from vs_hdrtv.color.overexposure import overexposure_mask
from vs_hdrtv.keyframes.recovery import Recovery

ENGINE = {"engine": "torch", "device": "cpu", "threads": 1}
GRID = {"stride": 3, "references": 1, "reference_stride": 2}


@pytest.fixture
def models(key_frame_models):
    """Paths of the cards of a small ICAM and a small FCPM."""
    return tuple(str(card.path) for card in key_frame_models(0.05))


@pytest.fixture
def clip(moving_clip):
    return moving_clip(vs.RGBS, 39, 50, 6).std.Expr("x 1.3 * 1 min")


def whole(clip, models, **more):
    keys = recover_keyframes(clip, **GRID, model=models[0], **ENGINE, **more)
    return keys, propagate_keyframes(clip, keys, segment=4, overlap=1, model=models[1])


def array_of(clip, n):
    with clip.get_frame(n) as frame:
        return np.stack([np.asarray(frame[plane]) for plane in range(frame.format.num_planes)])[None].copy()


def test_key_frames_are_what_the_runner_recovers(clip, models, key_frame_models):
    engine = engines.create("torch", device="cpu", threads=1)
    runner = Recovery(engine, None, key_frame_models(0.05)[0])
    keys, _ = whole(clip, models, scenes=[5])
    frames = {n: engine.upload(array_of(clip, n)) for n in (1, 3, 5)}
    for n, key, references in ((0, 1, [3]), (4, 3, [1]), (5, 5, [])):
        expected, used = runner.recover(frames[key], [frames[at] for at in references])
        assert np.array_equal(array_of(keys, n), engine.download(expected))
        assert keys.get_frame(n).props["_HdrtvReferences"] == used


def test_any_order_of_access(clip, models, bytes_of):
    expected = bytes_of(whole(clip, models)[1])
    assert bytes_of(whole(clip, models)[1], [4, 1, 5, 0, 3, 2]) == expected


def test_nothing_changes_where_nothing_is_over_exposed(clip, models):
    hdr = inverse_tone_map(clip, "bt2446c")
    light = whole(clip, models)[1]
    for n in (0, 5):
        before, after = array_of(hdr, n), array_of(merge_highlights(hdr, clip, light), n)
        outside = np.broadcast_to(overexposure_mask(array_of(clip, n)) == 0, before.shape)
        assert 0.1 < outside.mean() < 0.9
        assert np.array_equal(before[outside], after[outside])


def test_flow_and_alignment(clip, models):
    later = clip[1:] + clip[-1]
    flow = estimate_flow(clip, later, model=models[0], **ENGINE)
    assert (flow.height, flow.get_frame(2).props["_HdrtvChannels"]) == (2 * 50, 2)
    aligned = align_reference(clip, later, model=models[0], **ENGINE)
    with aligned.get_frame(2) as frame:
        valid = np.asarray(frame.props["_Alpha"][0])
    assert valid.shape == (50, 39)
    assert 0 <= valid.min() <= valid.max() <= 1


@pytest.fixture
def preset(models, monkeypatch):
    """The preset `recover` with small networks and without HDCFM."""
    small = conversion.Preset(method="bt2408", icam=models[0], fcpm=models[1])
    monkeypatch.setitem(conversion.PRESETS, "recover", small)


@pytest.mark.parametrize("grid", [{}, {"stride": 4, "references": 2, "reference_stride": 3}])
def test_the_preset_is_the_chain(preset, clip, models, bytes_of, grid):
    clip = clip.std.Loop(4)[:20]  # long enough for a reference
    found = sdr_to_hdr(clip, "recover", **grid, **ENGINE)
    keys = recover_keyframes(clip, model=models[0], **grid, **ENGINE)
    assert keys.get_frame(9).props["_HdrtvKeyFrame"] == (9 if grid else 8)
    light = propagate_keyframes(clip, keys, model=models[1])
    expected = to_hdr10(merge_highlights(inverse_tone_map(clip, "bt2408"), clip, light))
    assert found.format.id == expected.format.id
    with found.get_frame(5) as one, expected.get_frame(5) as other:  # there the formula runs on numpy
        apart = np.asarray(one[0]).astype(int) - np.asarray(other[0])
        assert np.abs(apart).max() <= 1
    assert bytes_of(found, [5]) != bytes_of(sdr_to_hdr(clip, "bt2408", **ENGINE), [5])
    assert bytes_of(sdr_to_hdr(clip, "recover", strength=0, **ENGINE), [5]) == bytes_of(sdr_to_hdr(clip, "bt2408", **ENGINE), [5])


def test_the_command_line_takes_it(preset, video_file, tmp_path, run):
    source, target = video_file(size=(64, 64), frames=3, audio=None), tmp_path / "out.mkv"
    options = [word for name, value in ENGINE.items() for word in (f"--{name}", value)]
    grid = ["--stride", "2", "--references", "1", "--reference-stride", "1"]
    code, _, error = run("convert", source, target, "--preset", "recover", "--speed", "ultrafast", *grid, *options)
    assert (code, target.exists()) == (0, True), error


@pytest.mark.parametrize(
    ("option", "message"),
    [("--stride=0", "sdr_to_hdr: stride is 0; give 1 to 60"), ("--references=13", "sdr_to_hdr: references is 13; give 0 to 12")],
)
def test_the_command_line_refuses_numbers_before_the_file_is_read(preset, video_file, tmp_path, run, option, message):
    source, target = video_file(size=(64, 64), frames=3, audio=None), tmp_path / "out.mkv"
    code, _, error = run("convert", source, target, "--preset", "recover", option)
    assert (code, target.exists()) == (2, False)
    assert message in error


def test_a_model_of_another_network(clip, models):
    with pytest.raises(vs.Error, match=r"keyframes: model 'fcpm' is of network fcpm; give a model of network 'icam'"):
        recover_keyframes(clip, model=models[1], **ENGINE)
    with pytest.raises(vs.Error, match=r"weights: there is no file 'none.toml'"):
        propagate_keyframes(clip, recover_keyframes(clip, model=models[0], **ENGINE), model="none.toml")
