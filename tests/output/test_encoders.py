"""The table of encoders, and what each of them really writes."""

from fractions import Fraction

import av
import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import media, output
from vs_hdrtv.errors import InputError
from vs_hdrtv.output.encoders import ENCODERS, Look
from vs_hdrtv.output.pictures import to_av
from vs_hdrtv.presets import sdr_to_hdr

HERE = [name for name, encoder in ENCODERS.items() if encoder.device is None]
COMBINATIONS = [(name, suffix, packing) for name in HERE for suffix in ENCODERS[name].tags for packing in ENCODERS[name].formats]


@pytest.mark.parametrize(("name", "suffix", "packing"), COMBINATIONS)
def test_each_encoder_in_each_file_says_what_the_clip_says(moving_clip, tmp_path, name, suffix, packing):
    speeds = ENCODERS[name].speeds
    settings = output.choose(suffix, name, speed=speeds[0] if speeds else None, packing=packing)
    clip = sdr_to_hdr(moving_clip(length=6, _SARNum=5, _SARDen=4), "bt2408", format=packing)
    path = tmp_path / f"out{suffix}"
    output.write(clip, path, settings)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = list(file.decode(stream))
        assert (stream.color_primaries, stream.color_trc, stream.colorspace, stream.color_range) == (9, 16, 9, 1)
        assert media.seconds(1, stream.sample_aspect_ratio) == Fraction(5, 4)
        assert media.seconds(1, stream.average_rate) == Fraction(24000, 1001)
        assert media.container_hdr10(stream)[0] is not None
        if suffix != ".mkv" and settings.encoder.tags[suffix]:
            assert stream.codec_tag == settings.encoder.tags[suffix]
    assert len(frames) == 6
    assert frames[0].format.name.removesuffix("le") == packing
    if packing.startswith("yuv420") and name != "ffv1":
        assert frames[0].chroma_location == 3  # AVCHROMA_LOC_TOPLEFT
    for n, frame in enumerate(frames):
        with clip.get_frame(n) as wanted:
            for plane in range(3):
                samples = np.frombuffer(frame.planes[plane], np.uint16).reshape(frame.planes[plane].height, -1)
                difference = samples[:, : frame.planes[plane].width].astype(int) - np.asarray(wanted[plane])
                if name == "ffv1":
                    assert not difference.any()
                else:
                    assert abs(difference.mean()) < 0.01 * 2**wanted.format.bits_per_sample


def test_ffv1_takes_as_many_slices_whatever_the_machine():
    assert ENCODERS["ffv1"].options["slices"] == "16"


def test_a_file_gets_the_first_encoder_that_it_may_hold():
    assert {suffix: output.choose(suffix).name for suffix in output.CONTAINERS} == {
        ".mp4": "x265",
        ".m4v": "x265",
        ".mov": "x265",
        ".mkv": "x265",
        ".webm": "svt-av1",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"suffix": ".avi"}, r"output ends in '.avi'; choose one of .mp4"),
        ({"suffix": ".mp4", "name": "x264"}, "unknown encoder 'x264'; choose one of x265, svt-av1"),
        ({"suffix": ".mp4", "name": "ffv1"}, r".mp4 cannot hold what ffv1 makes; write .mkv, or choose x265"),
        ({"suffix": ".webm", "name": "x265"}, r".webm cannot hold what x265 makes; write .mp4 or .m4v"),
        ({"suffix": ".mov", "name": "prores", "quality": 3.0}, "crf is 3; prores has no such setting"),
        ({"suffix": ".mkv", "name": "ffv1", "speed": "fast"}, "speed is 'fast'; ffv1 has no such setting"),
        ({"suffix": ".mkv", "name": "svt-av1", "quality": 64.0}, "crf is 64; choose 0"),
        ({"suffix": ".mkv", "name": "svt-av1", "speed": "slow"}, "unknown speed 'slow'; choose one of 13"),
        ({"suffix": ".mkv", "name": "svt-av1", "packing": "yuv444p10"}, "format is 'yuv444p10'; svt-av1 takes yuv420p10"),
    ],
)
def test_what_does_not_go_together_is_one_line(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        output.choose(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nvenc-hevc", "nvenc-av1"])
def test_an_encoder_without_its_device_is_one_line(monkeypatch, name):
    def refuse(*arguments):
        raise av.error.ExternalError(-1, "no capable devices found")

    monkeypatch.setattr(av.CodecContext, "create", refuse)
    with pytest.raises(InputError, match=f"{name} needs an NVIDIA GPU .* none answers .*; choose another --encoder"):
        output.choose(".mkv", name)


def test_the_size_that_an_encoder_cannot_take_is_refused(tmp_path):
    clip = vs.core.std.BlankClip(format=vs.YUV420P10, width=48, height=48, length=1)
    with pytest.raises(InputError, match="clip is 48x48; x265 wants at least 64x16"):
        output.write(clip, tmp_path / "out.mp4", output.choose(".mp4"))


def test_semi_planar_samples_of_nvenc():
    clip = vs.core.std.BlankClip(format=vs.YUV420P10, width=64, height=48, length=1, color=[500, 200, 900])
    from vs_hdrtv.hdr10 import SIGNALLING

    picture = to_av(clip.get_frame(0), SIGNALLING["pq"], "p010le")
    planar = picture.reformat(format="yuv420p10le")
    found = [set(np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width].ravel()) for plane in planar.planes]
    assert found == [{500}, {200}, {900}]


def test_x265_is_told_a_chroma_location_of_420_only():
    from vs_hdrtv.hdr10 import SIGNALLING

    options = {
        packing: output.choose(".mkv", packing=packing).options(Look(SIGNALLING["pq"], None, None, packing, 10))["x265-params"]
        for packing in ENCODERS["x265"].formats
    }
    assert {packing: "chromaloc=2" in words for packing, words in options.items()} == {
        packing: packing.startswith("yuv420") for packing in options
    }
