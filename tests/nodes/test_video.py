"""VIDEO in by stream, HDR10 files out."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from vs_hdrtv import media
from vs_hdrtv.color.transfer import bt1886_eotf


def stream_facts(path):
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        facts = (stream.codec_context.name, stream.pix_fmt, stream.color_primaries, stream.color_trc, stream.average_rate)
        sounds = len(file.streams.audio)
        times = [frame.pts * frame.time_base for frame in file.decode(stream)]
    with media.open_media(Path(path), "test") as file:
        display, light = media.stream_hdr10(file, file.streams.video[0])
    return facts, sounds, times, display, light


def path_of(video):
    return Path(video.get_stream_source())


@pytest.fixture
def video(loaded, video_file):
    """A function that makes a file and gives it as VIDEO."""
    import importlib

    def make(*args, **kwargs):
        return importlib.import_module("comfy_api.latest").VideoFromFile(str(video_file(*args, **kwargs)))

    return make


@pytest.fixture
def save(comfy):
    """A function that converts a VIDEO by a formula and writes it."""

    def run(video, **widgets):
        hdr = comfy("VsHdrtvSdrToHdrVideo", video=video, preset="bt2446a")[0]
        return comfy("VsHdrtvSaveHdr10Video", video=hdr, **{"speed": "ultrafast", **widgets})

    return run


def test_a_video_goes_through_by_stream(save, video, tmp_path):
    source = video(frames=12)
    result = save(source)
    assert path_of(result[0]).parent == tmp_path / "output" / "video"
    (codec, samples, primaries, transfer, rate), sounds, times, display, light = stream_facts(path_of(result[0]))
    assert (codec, samples, primaries, transfer, sounds) == ("hevc", "yuv420p10le", 9, 16, 1)
    assert rate == Fraction(24000, 1001) and len(times) == 12
    assert display.max_luminance == 1000 and (light.max, light.average) == (result[1], result[2]) and light.max > 0
    assert not list((tmp_path / "temp").iterdir())
    assert result.ui.value == [{"filename": path_of(result[0]).name, "subfolder": "video", "type": "output"}]


def test_its_pixels_are_those_of_its_frames(comfy, save, video, module):
    """The stream and the batch are one conversion: lossless, so that nothing stands between."""
    source = video(frames=3, size=(96, 64))
    hdr = comfy("VsHdrtvSdrToHdrVideo", video=source, preset="bt2446a")[0]
    images = hdr.get_components().images
    streamed = save(source, encoder="ffv1", container="mkv", speed="")
    written = comfy("VsHdrtvSaveHdr10Video", images=images, encoder="ffv1", container="mkv", fps=23.976)
    decoded = []
    for path in (path_of(streamed[0]), path_of(written[0])):
        with av.open(str(path)) as file:
            decoded.append(
                np.concatenate([np.frombuffer(plane, np.uint8) for frame in file.decode(video=0) for plane in frame.planes])
            )
    assert np.array_equal(*decoded)
    assert stream_facts(path_of(written[0]))[0][-1] == Fraction(24000, 1001)


def test_hlg_has_no_mastering_display(save, video):
    result = save(video(frames=4), transfer="HLG", container="mkv")
    facts, _, _, display, light = stream_facts(path_of(result[0]))
    assert facts[3] == 18 and display is None and light is None and result.args[1:] == (0, 0)


def test_variable_rates_stay(save, video):
    times = [0, 40, 80, 200, 240, 400, 440]  # milliseconds
    result = save(video(frames=len(times), times=times, rate=Fraction(25), audio=None), container="mkv")
    found = stream_facts(path_of(result[0]))[2]
    assert [round(1000 * (time - found[0])) for time in found] == times


def test_pictures_with_sound(comfy, batch):
    hdr = comfy("VsHdrtvInverseToneMap", images=batch(6))[0]
    tone = torch.sin(torch.arange(24000) / 20).repeat(2, 1)[None] * 0.3
    for container in ("mp4", "mkv"):
        result = comfy(
            "VsHdrtvSaveHdr10Video",
            **{"images": hdr, "audio": {"waveform": tone, "sample_rate": 48000}, "fps": 12.0},
            **{"container": container, "peak": 600.0, "speed": "ultrafast"},
        )
        facts, sounds, times, display, light = stream_facts(path_of(result[0]))
        assert (facts[0], sounds, len(times), display.max_luminance) == ("hevc", 1, 6, 600) and light.max <= 700
        with av.open(str(path_of(result[0]))) as file:
            heard = list(file.decode(audio=0))
        assert 0.45 < sum(frame.samples for frame in heard) / 48000 < 0.6 and heard[0].layout.name == "stereo"


def test_sound_of_another_kind_is_one_line(comfy, module, batch):
    hdr = comfy("VsHdrtvInverseToneMap", images=batch(2))[0]
    for audio in ("music.wav", {"waveform": torch.zeros(1, 5, 100), "sample_rate": 48000}):
        with pytest.raises(module("core").InputError, match=r"Save HDR10 Video: audio (is a str|has 5 channels)"):
            comfy("VsHdrtvSaveHdr10Video", images=hdr, audio=audio)


REFUSED = {
    "neither": ({}, "neither a video nor images are connected"),
    "a file as it is": ({"video": "sdr"}, "not of SDR to HDR"),
    "a container": ({"images": "hdr", "container": "webm"}, "cannot hold what x265 makes"),
    "a speed": ({"images": "hdr", "speed": "warp"}, "unknown speed 'warp'"),
    "a quality": ({"images": "hdr", "crf": 60.0}, "crf is 60"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_is_one_line(comfy, module, batch, video, tmp_path, name):
    given, expected = REFUSED[name]
    stand_ins = {"sdr": lambda: video(frames=2), "hdr": lambda: batch(2)}
    given = {key: stand_ins[value]() if value in stand_ins else value for key, value in given.items()}
    with pytest.raises(module("core").InputError) as error:
        comfy("VsHdrtvSaveHdr10Video", **given)
    assert expected in str(error.value) and "\n" not in str(error.value)
    assert not list(tmp_path.rglob("HDR_*"))


@pytest.mark.parametrize(
    ("kwargs", "expected"), [({"tags": (9, 16, 9)}, "is PQ, which is HDR already"), ({"interlaced": True}, "interlaced")]
)
def test_videos_that_are_no_progressive_sdr_are_refused(comfy, module, video, kwargs, expected):
    with pytest.raises(module("core").InputError, match=expected):
        comfy("VsHdrtvSdrToHdrVideo", video=video(frames=3, **kwargs))


def test_a_cancelled_run_leaves_nothing(save, video, tmp_path, monkeypatch):
    import importlib

    utils = importlib.import_module("comfy.utils")
    monkeypatch.setattr(utils, "cancel_at", 3)
    with pytest.raises(utils.Cancelled):
        save(video(frames=6))
    assert not [path for folder in ("output", "temp") for path in (tmp_path / folder).rglob("*") if path.is_file()]


def test_frames_are_dropped_as_the_video_goes_on(module, video_file):
    from_file = module("video")
    shown = from_file.look(Path(video_file(frames=40)), "test")
    assert (shown.frames, shown.width, shown.height) == (40, 64, 48)
    frames = from_file.VideoFrames(shown, "test")
    for n in range(40):
        frames.read(n)
        frames.forget(n - 2)
        assert len(frames._kept) <= 4
    assert frames.last(100) == 39


def decoded(module, path):
    frames = module("video")
    return frames.VideoFrames(frames.look(Path(path), "test"), "test").read(0)


def written(path, picture, samples, **tags):
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, samples
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
            setattr(picture, name, value)
        picture.pts = 0
        file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return path


KINDS = ["yuv420p", "yuv422p10le", "yuv444p16le", "yuv420p12le", "gray", "gbrp10le"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 48), (51, 39)])
@pytest.mark.parametrize("full", [False, True])
def test_grey_is_grey_in_all_samples(module, tmp_path, kind, size, full):
    picture = av.VideoFrame(*size, kind)
    depth = picture.format.components[0].bits
    rgb, grey = picture.format.is_rgb, 0.502
    luma = grey * (2**depth - 1) if rgb or full else (16 + 219 * grey) * 2 ** (depth - 8)
    for index, plane in enumerate(picture.planes):  # by hand: swscale leaves wrong pixels in odd sizes now and then
        words = np.frombuffer(plane, np.uint8 if depth == 8 else np.uint16)
        words[...] = round(luma) if rgb or index == 0 else 2 ** (depth - 1)
    tags = {"color_primaries": 1, "color_trc": 1, "colorspace": 0 if rgb else 1, "color_range": 2 if full or rgb else 1}
    sdr = decoded(module, written(tmp_path / "a.mkv", picture, kind, **tags))
    assert sdr.shape == (1, 3, size[1], size[0]) and sdr == pytest.approx(grey, abs=3e-3)


def test_untagged_small_video_is_bt601(module, tmp_path):
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 255
    picture = av.VideoFrame.from_ndarray(red, "rgb24").reformat(format="yuv444p", dst_colorspace="ITU601")
    sdr = decoded(module, written(tmp_path / "a.mkv", picture, "yuv444p"))
    # Red of 525 lines (SMPTE C) is darker in BT.709's green and blue: BT.709 has more of it in reach.
    light = bt1886_eotf(sdr[0, :, 0, 0])
    assert light[0] == pytest.approx(0.94, abs=0.02) and light[1:].max() < 0.03


def test_comfyui_s_own_nodes_may_take_it(comfy, module, video, tmp_path):
    """Save Video copies the file that stands for it; another codec would be SDR of 8 bits."""
    hdr = comfy("VsHdrtvSdrToHdrVideo", video=video(frames=6), preset="bt2446a")[0]
    assert hdr.get_dimensions() == (64, 48) and hdr.get_duration() == pytest.approx(6 * 1001 / 24000)
    hdr.save_to(str(tmp_path / "copy.mp4"), format="mp4", codec="auto")
    facts, sounds, times, display, light = stream_facts(tmp_path / "copy.mp4")
    assert (facts[0], facts[3], sounds, len(times)) == ("hevc", 16, 1, 6) and display is not None and light is not None
    assert hdr.get_stream_source() == hdr.get_stream_source()  # encoded once
    with pytest.raises(module("core").InputError, match="codec is h264, which has 8 bits"):
        hdr.save_to(str(tmp_path / "other.mp4"), codec="h264")


def test_bars_and_a_ceiling_of_a_video(comfy, module, video, batch):
    file, widgets = video(frames=3), {"preset": "bt2446a", "ceiling": 100.0}
    images = comfy("VsHdrtvSdrToHdrVideo", video=file, **widgets)[0].get_components().images
    free = comfy("VsHdrtvSdrToHdrVideo", video=file, preset="bt2446a")[0].get_components().images
    mask = torch.zeros(1, 48, 64)
    mask[:, :20] = 1
    masked = comfy("VsHdrtvSdrToHdrVideo", video=file, ceiling_mask=mask, **widgets)[0].get_components().images
    assert torch.equal(masked[:, :20], images[:, :20]) and torch.equal(masked[:, 20:], free[:, 20:])
    assert not torch.equal(images, free)
    with pytest.raises(module("core").InputError, match=r"letterbox is auto, .* give TOP,BOTTOM in pixels"):
        comfy("VsHdrtvSdrToHdrVideo", video=file, letterbox="auto")


def test_a_video_in_memory_is_read(comfy, module, video, tmp_path):
    import io

    data = io.BytesIO(path_of(video(frames=3)).read_bytes())
    data.read()
    on_disk = module("video").on_disk(data, tmp_path / "spare.mkv")
    assert module("video").look(on_disk, "test").frames == 3
