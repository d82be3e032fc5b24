"""Key frames as nodes: the pixels of the VapourSynth front, bit for bit, by small random networks; what they say and refuse."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

import vs_hdrtv  # noqa: E402


def beside(name, path):
    """A module of tests by its file: folders of tests are no packages."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HERE = Path(__file__).parent
key_frame_models = beside("key_frame_models_of_keyframes", HERE.parent / "keyframes" / "conftest.py").key_frame_models
pixels = beside("pixels_of_nodes", HERE / "test_pixels.py")

SPACE = {"color_space": "BT.1886"}
ENGINE = {"engine": "torch", "device": "cpu", "threads": 1}
GRID = {"stride": 3, "references": 1, "reference_stride": 2}
COUNT = 9


@pytest.fixture
def models(key_frame_models, module, monkeypatch):
    """Paths of the cards of a small ICAM and a small FCPM; the nodes compute with torch, as graphs of these are not written."""
    engines = module("core").engines
    monkeypatch.setattr(module("host"), "engine", lambda precision="fp32": engines.create("torch", device="cpu", threads=1))
    return tuple(str(card.path) for card in key_frame_models(0.05))


@pytest.fixture
def images(batch):
    """A batch that is over-exposed in places, of two scenes."""
    return lambda count=COUNT, cuts=(5,): (batch(count, 34, 45, cuts=cuts) * 1.2).clamp(max=1)


@pytest.fixture
def keys(comfy, models):
    """A function that runs Recover Key Frames."""

    def run(images, **widgets):
        return comfy("VsHdrtvRecoverKeyFrames", images=images, model=models[0], **{**SPACE, **GRID, **widgets})

    return run


def of_vapoursynth(images, models, **more):
    """Key frames and propagated light by the filters."""
    clip = pixels.clip_of(images)
    found = vs_hdrtv.recover_keyframes(clip, **GRID, model=models[0], **ENGINE, **more)
    return found, vs_hdrtv.propagate_keyframes(clip, found, segment=4, overlap=1, model=models[1])


def test_pixels_are_those_of_the_filters(comfy, images, models, keys):
    sdr = images()
    filters, light = of_vapoursynth(sdr, models)
    made, pictures, text = keys(sdr).args
    expected = pixels.images_of(filters)
    numbers = [frame.props["_HdrtvKeyFrame"] for frame in filters.frames(close=True)]
    assert list(made.found) == sorted(set(numbers)) == [1, 3, 5, 7] and made.cuts == {5}
    for n, number in enumerate(numbers):
        assert torch.equal(pictures[list(made.found).index(number)], expected[n])
    assert text.splitlines() == [f"{key}: 1 of 1 references ({other})" for key, other in ((1, 3), (3, 1), (5, 7), (7, 5))]
    widgets = {"segment": 4, "overlap": 1, "model": models[1], **SPACE}
    found = comfy("VsHdrtvPropagateKeyFrames", images=sdr, key_frames=made, **widgets)[0]
    assert torch.equal(found, pixels.images_of(light))


def test_merged_pixels_are_those_of_the_filter(comfy, images):
    sdr = images(3)
    clip, light = pixels.clip_of(sdr), sdr**2.4 + 2 * (sdr > 0.97) * sdr.flip(2)
    hdr = vs_hdrtv.inverse_tone_map(clip)
    expected = vs_hdrtv.merge_highlights(hdr, clip, pixels.clip_of(light).std.SetFrameProps(_Transfer=8), 800.0)
    found = comfy("VsHdrtvMergeHighlights", hdr=pixels.images_of(hdr), images=sdr, light=light, peak=800.0, **SPACE)[0]
    assert torch.equal(found, pixels.images_of(expected))
    assert (found > pixels.images_of(hdr) + 0.01).any()


def test_one_scene_where_the_user_says_so(images, models, keys):
    sdr = images()
    made, pictures, _ = keys(sdr, scenes="none").args
    filters, _ = of_vapoursynth(sdr, models, scenes="none")
    assert list(made.found) == [1, 4, 7] and torch.equal(pictures[1], pixels.images_of(filters)[4])


def test_without_references_a_frame_keeps_its_light(comfy, images, models, keys):
    sdr = images(2, ())
    made, _, text = keys(sdr, reference_stride=9).args
    assert text == "0: 0 of 0 references"
    light = comfy("VsHdrtvPropagateKeyFrames", images=sdr, key_frames=made, model=models[1], **SPACE)[0]
    expected = vs_hdrtv.recover_keyframes(pixels.clip_of(sdr), 3, 1, 9, model=models[0], **ENGINE)
    expected = vs_hdrtv.propagate_keyframes(pixels.clip_of(sdr), expected, model=models[1])
    assert torch.equal(light, pixels.images_of(expected))


def test_flow_and_alignment(comfy, images, models):
    sdr = images(3, ())
    clip, other = pixels.clip_of(sdr), pixels.clip_of(sdr[[1, 2, 2]])
    named = {"model": models[0], **SPACE}
    flow, picture = comfy("VsHdrtvEstimateFlow", images=sdr, reference=sdr[[1, 2, 2]], **named).args
    expected = pixels.images_of(vs_hdrtv.estimate_flow(clip, other, model=models[0], **ENGINE))[..., 0]
    assert torch.equal(flow.reshape(3, -1, 45), expected)
    assert picture.shape == (3, 34, 45, 3) and picture.min() >= 0 and picture.max() == 1
    aligned, valid = comfy("VsHdrtvAlignReference", images=sdr, reference=sdr[[1, 2, 2]], **named).args
    filters = vs_hdrtv.align_reference(clip, other, model=models[0], **ENGINE)
    assert torch.equal(aligned, pixels.images_of(filters))
    with filters.get_frame(0) as frame:
        assert np.array_equal(valid[0], np.asarray(frame.props["_Alpha"][0]))
    one = comfy("VsHdrtvAlignReference", images=sdr, reference=sdr[1:2], **named)[0]
    assert torch.equal(one[0], aligned[0])


def test_colours_of_directions(module):
    wheel = module("key_frames")._wheel
    right_down_left = np.float32([[[2, 0, -1, 0]], [[0, 4, 0, 0]]])  # (2, 1, 4)
    red, _, pale_cyan, still = wheel(right_down_left, 2.0)[0, :, 0].T
    assert list(red) == [1, 0, 0] and list(pale_cyan) == [0.5, 1, 1] and list(still) == [1, 1, 1]
    assert list(wheel(right_down_left, 8.0)[0, :, 0, 0]) == [1, 0.75, 0.75]


def test_full_colour_is_the_longest_movement_in_the_frame(module):
    longest = module("key_frames")._longest
    nowhere = np.full((2, 34, 45), 90, np.float32)
    pan = np.stack([np.full((34, 45), -6, np.float32), np.full((34, 45), 8, np.float32)])
    assert longest(pan) == 10 and longest(nowhere) == 0 and longest(0 * pan) == 0


@pytest.fixture
def small(module, monkeypatch):
    """A function that makes the preset `recover` one of a formula and of given models, on a small grid."""

    def make(icam, fcpm):
        conversion, front = module("core").conversion, module("key_frame_clips")
        preset = conversion.Preset(method="bt2408", icam=icam, fcpm=fcpm)
        monkeypatch.setitem(conversion.PRESETS, "recover", preset)
        where = front.grid.Grid
        monkeypatch.setattr(front.grid, "Grid", lambda: where(**GRID))
        monkeypatch.setattr(front.grid, "SEGMENT", 4)
        monkeypatch.setattr(front.grid, "OVERLAP", 1)

    return make


@pytest.fixture
def preset(models, small):
    """The preset with small networks."""
    small(*models)


def test_the_preset_is_the_chain(comfy, images, models, preset):
    sdr, widgets = images(), {**SPACE, "preset": "recover"}
    clip = pixels.clip_of(sdr)
    _, light = of_vapoursynth(sdr, models)
    expected = pixels.images_of(vs_hdrtv.merge_highlights(vs_hdrtv.inverse_tone_map(clip, "bt2408"), clip, light))
    found = comfy("VsHdrtvSdrToHdr", images=sdr, **widgets)[0]
    # Here the formula runs on torch, there on numpy.
    assert torch.allclose(found, expected, atol=1e-5)
    plain = comfy("VsHdrtvSdrToHdr", images=sdr, **{**widgets, "preset": "bt2408"})[0]
    assert (found - plain).abs().max() > 0.01
    assert torch.equal(comfy("VsHdrtvSdrToHdr", images=sdr, **widgets, strength=0.0)[0], plain)


def test_a_video_is_the_same_in_bounded_memory(comfy, module, small, video_file, monkeypatch):
    fakes = beside("fakes_of_key_frames", HERE.parent / "test_key_frames.py")
    front, from_file = module("key_frame_clips"), module("video")
    small("icam", "fcpm")
    monkeypatch.setattr(front, "recovery", lambda *_: fakes.FakeRecovery())
    monkeypatch.setattr(front, "Propagation", lambda *_: fakes.FakePropagation())
    path = video_file(frames=90, size=(64, 48))
    frames = from_file.VideoFrames(from_file.look(Path(path), "test"), "test")
    whole = torch.from_numpy(np.concatenate([frames.read(n) for n in range(90)]).transpose(0, 2, 3, 1).copy())
    kept = []
    forget = from_file.VideoFrames.forget

    def watched(self, before):
        forget(self, before)
        kept.append(len(self._kept))

    monkeypatch.setattr(from_file.VideoFrames, "forget", watched)
    file = importlib.import_module("comfy_api.latest").InputImpl.VideoFromFile(str(path))
    widgets = {"preset": "recover", "scenes": "none"}
    found = comfy("VsHdrtvSdrToHdrVideo", video=file, **widgets)[0].get_components().images
    assert len(found) == 90 and max(kept) <= 2 * (
        4 + 1 + 14 + 2 + 2
    )  # segment, overlap, key frames, references, cuts; both sides
    assert torch.equal(found, comfy("VsHdrtvSdrToHdr", images=whole, **widgets, **SPACE)[0])
    plain = comfy("VsHdrtvSdrToHdr", images=whole, **{**widgets, "preset": "bt2408"}, **SPACE)[0]
    assert not torch.equal(found, plain)


def test_a_full_device_and_a_cancelled_run(comfy, images, module, preset, monkeypatch):
    memory = importlib.import_module("comfy.model_management")
    sdr, widgets = images(), {**SPACE, "preset": "recover"}
    expected = comfy("VsHdrtvSdrToHdr", images=sdr, **widgets)[0]
    reading = module("core").reading
    propagate, calls = reading.propagate, []

    def full_once(*arguments):
        for n, picture in propagate(*arguments):
            calls.append(n)
            if len(calls) == 3:
                raise memory.OOM_EXCEPTION
            yield n, picture

    monkeypatch.setattr(reading, "propagate", full_once)
    assert torch.equal(comfy("VsHdrtvSdrToHdr", images=sdr, **widgets)[0], expected)
    assert calls[:6] == [0, 1, 2, 0, 1, 2]
    memory.interrupted.append(True)
    with pytest.raises(importlib.import_module("comfy.utils").Cancelled):
        comfy("VsHdrtvSdrToHdr", images=sdr, **widgets)


def test_key_frames_that_do_not_fit_are_one_line(comfy, images, models, keys, module, small, monkeypatch, caplog):
    """Tiles of other networks are no answer, whoever asks for the frames."""
    memory, core, calls = importlib.import_module("comfy.model_management"), module("core"), []

    def full(*_):
        calls.append(1)
        raise (core.engines.OutOfMemoryError("full"), memory.OOM_EXCEPTION)[len(calls) % 2]

    sdr = images()
    made = keys(sdr)[0]
    small(*models)
    monkeypatch.setattr(core.reading, "propagate", full)
    line = r"^key frames: the memory of cpu does not suffice for segments of \d+ frames of 45x34; give smaller frames, a smaller"
    for run in (
        lambda: comfy("VsHdrtvSdrToHdr", images=sdr, **SPACE, preset="recover"),
        lambda: comfy("VsHdrtvPropagateKeyFrames", images=sdr, key_frames=made, model=models[1], **SPACE),
    ):
        calls.clear()
        memory.unloaded.clear()
        with pytest.raises(core.InputError, match=line) as found:
            run()
        assert len(calls) == 2 and len(memory.unloaded) == 1 and not core.engines.is_out_of_memory(found.value)
    assert not any("tiles" in record.message for record in caplog.records)


def test_what_is_refused(comfy, images, models, keys, module, monkeypatch):
    refused = module("core").InputError
    sdr = images(4, ())
    made = keys(sdr)[0]

    def propagate(**given):
        return comfy("VsHdrtvPropagateKeyFrames", **{"images": sdr, "key_frames": made, "model": models[1], **given})

    for given, message in (
        ({"images": sdr[:3]}, "Propagate Key Frames: images are 45x34, 3 frames, key_frames 45x34, of 4 frames; give the images"),
        ({"key_frames": sdr}, "Propagate Key Frames: key_frames is a Tensor; connect Recover Key Frames"),
        ({"segment": 0}, "Propagate Key Frames: segment is 0; give 1 to 120"),
        ({"model": models[0]}, "is of network icam; give a model of network 'fcpm'"),
    ):
        with pytest.raises(refused, match=message):
            propagate(**given)
    with pytest.raises(refused, match="Recover Key Frames: 12 references every 60 frames reach 720 frames far"):
        keys(sdr, references=12, reference_stride=60)
    with pytest.raises(refused, match=r"Estimate Flow: images and reference differ \(45x34, 4 frames and 45x34, 3 frames\)"):
        comfy("VsHdrtvEstimateFlow", images=sdr, reference=sdr[:3], model=models[0])
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(refused, match="OpenCV is not installed") as error:
        keys(sdr)
    assert "\n" not in str(error.value)
