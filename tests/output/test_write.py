"""Reading and writing files: real encodes of small clips, read back with PyAV and, where it is installed, ffprobe."""

import json
import logging
import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import media, output
from vs_hdrtv.errors import InputError
from vs_hdrtv.hdr10 import SIGNALLING, ContentLight, MasteringDisplay
from vs_hdrtv.light import AVERAGE_MAX_RGB, MAX_RGB, light_level
from vs_hdrtv.output.companions import Excerpt

DISPLAY = MasteringDisplay(min_luminance=0.005, max_luminance=600)


def hdr_clip(length=6, *, width=64, height=48, rate=(24000, 1001), kind="pq", **properties):
    """A grey YUV420P10 clip tagged as HDR; luma 400 + frame number."""
    blank = vs.core.std.BlankClip(format=vs.YUV420P10, width=width, height=height, length=length, fpsnum=rate[0], fpsden=rate[1])

    def fill(n, f):
        out = f.copy()
        for plane, value in enumerate((400 + n, 512, 512)):
            np.asarray(out[plane])[...] = value
        return out

    display = DISPLAY.frame_properties() if kind == "pq" else {}
    tagged = blank.std.ModifyFrame(blank, fill).std.SetFrameProps(**SIGNALLING[kind].frame_properties(), **display)
    return tagged.std.SetFrameProps(**properties) if properties else tagged


def encode(clip, path, *, crf=None, speed="ultrafast", **options):
    return output.write(clip, path, output.choose(path.suffix, "x265", crf, speed), **options)


def read(path):
    """The video stream's facts and its decoded frames."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = list(file.decode(stream))
        facts = {
            "codec": stream.codec_context.name,
            "profile": stream.profile,
            "format": stream.pix_fmt,
            "tag": stream.codec_tag,
            "rate": Fraction(stream.average_rate.numerator, stream.average_rate.denominator),
            "aspect": stream.sample_aspect_ratio,
            "colour": (stream.color_primaries, stream.color_trc, stream.colorspace, stream.color_range),
        }
    return facts, frames


def audio_packets(path, index=0):
    with av.open(str(path)) as file:
        return [(float(p.pts * p.time_base), bytes(p)) for p in file.demux(file.streams.audio[index]) if p.pts is not None]


@pytest.mark.parametrize("suffix", [suffix for suffix in output.CONTAINERS if suffix != ".webm"])
def test_hdr10_file_says_all_it_should(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    written = encode(hdr_clip(), path)
    assert (written.frames, written.counts) == (6, {})
    facts, frames = read(path)
    assert (facts["codec"], facts["profile"], facts["format"]) == ("hevc", "Main 10", "yuv420p10le")
    assert facts["colour"] == (9, 16, 9, 1)  # the container's or the stream's, as a player finds them
    assert len(frames) == 6
    assert facts["tag"] == ("hvc1" if suffix != ".mkv" else facts["tag"])
    assert (frames[0].color_primaries, frames[0].color_trc, frames[0].colorspace) == (9, 16, 9)
    assert frames[0].chroma_location == 3  # AVCHROMA_LOC_TOPLEFT
    display, light = media.hdr10_metadata(frames[0])
    assert display == DISPLAY
    assert light is None  # 0, 0 in the stream: unknown (CTA-861.3)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_samples_and_their_order_survive(tmp_path):
    encode(hdr_clip(30), tmp_path / "out.mp4", crf=1)
    _, frames = read(tmp_path / "out.mp4")
    means = [frame.to_ndarray()[:48].mean() for frame in frames]
    np.testing.assert_allclose(means, 400 + np.arange(30), atol=1.0)


def test_measured_light_reaches_the_stream_when_the_clip_carries_it(tmp_path):
    light = ContentLight(321, 45)
    encode(hdr_clip(2, **light.frame_properties()), tmp_path / "out.mkv")
    _, frames = read(tmp_path / "out.mkv")
    assert media.hdr10_metadata(frames[0]) == (DISPLAY, light)


def test_hlg_file_has_no_hdr10_metadata(tmp_path):
    encode(hdr_clip(2, kind="hlg"), tmp_path / "out.mp4")
    facts, frames = read(tmp_path / "out.mp4")
    assert facts["colour"] == (9, 18, 9, 1)
    assert media.hdr10_metadata(frames[0]) == (None, None)


@pytest.mark.parametrize("rate", [(24000, 1001), (25, 1), (60000, 1001), (2997, 125)])
def test_constant_rate_is_kept_exactly(tmp_path, rate):
    encode(hdr_clip(8, rate=rate), tmp_path / "out.mp4")
    facts, frames = read(tmp_path / "out.mp4")
    assert facts["rate"] == Fraction(*rate)
    times = [Fraction(f.pts * f.time_base.numerator, f.time_base.denominator) for f in frames]
    assert times == [n / Fraction(*rate) for n in range(8)]


def test_variable_durations_become_timestamps(tmp_path):
    durations = [40, 40, 100, 20, 33]
    clips = [hdr_clip(5)[n].std.SetFrameProps(_DurationNum=d, _DurationDen=1000) for n, d in enumerate(durations)]
    written = encode(vs.core.std.Splice(clips), tmp_path / "out.mp4")
    _, frames = read(tmp_path / "out.mp4")
    assert [round(1000 * frame.time) for frame in frames] == [0, 40, 80, 180, 200]
    assert written.duration == Fraction(233, 1000)


def test_pixel_aspect_is_kept(tmp_path):
    encode(hdr_clip(2, _SARNum=64, _SARDen=45), tmp_path / "out.mp4")
    facts, _ = read(tmp_path / "out.mp4")
    assert Fraction(facts["aspect"].numerator, facts["aspect"].denominator) == Fraction(64, 45)


@pytest.mark.parametrize("size", [(64, 16), (70, 18)])
def test_smallest_clip_and_a_row_that_needs_padding(tmp_path, size):
    encode(hdr_clip(6, width=size[0], height=size[1]), tmp_path / "out.mp4", crf=1)
    frame = read(tmp_path / "out.mp4")[1][0]
    assert (frame.width, frame.height) == size
    assert abs(frame.to_ndarray()[: size[1]].mean() - 400) < 1


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_clips_of_a_few_frames(tmp_path, length):
    encode(hdr_clip(length), tmp_path / "out.mp4")
    assert [round(f.time * 24000 / 1001) for f in read(tmp_path / "out.mp4")[1]] == list(range(length))


def test_audio_is_copied_byte_for_byte(tmp_path, video_file):
    source = video_file(frames=24)
    written = encode(hdr_clip(24), tmp_path / "out.mp4", excerpt=Excerpt(source, Fraction(0)))
    assert written.counts["audio"] == 1
    before, after = audio_packets(source), audio_packets(tmp_path / "out.mp4")
    assert [data for _, data in after] == [data for _, data in before]
    np.testing.assert_allclose([t for t, _ in after], [t for t, _ in before], atol=1e-3)


def test_audio_of_a_cut_starts_and_ends_with_the_video(tmp_path, video_file):
    source = video_file(frames=48, rate=Fraction(24))
    start = media.frame_time(media.open_source(source, "test"), 24)
    assert start == 1
    excerpt = Excerpt(source, start, from_the_start=False, to_the_end=False)
    encode(hdr_clip(12, rate=(24, 1)), tmp_path / "out.mkv", excerpt=excerpt)
    before, after = audio_packets(source), audio_packets(tmp_path / "out.mkv")
    kept = [data for time, data in before if 1 - 1024 / 44100 < time < 1.5]
    assert [data for _, data in after] == kept
    first = next(time for time, data in before if data == kept[0])
    shift = read(tmp_path / "out.mkv")[1][0].time  # Matroska has no negative times: all streams move together
    assert after[0][0] - shift == pytest.approx(first - 1, abs=2e-3)


def test_audio_that_the_container_cannot_hold_is_left_out_with_a_reason(tmp_path, video_file, caplog):
    source = video_file("in.wmv", codec="mpeg4", audio="wmav2")
    with caplog.at_level(logging.WARNING):
        written = encode(hdr_clip(2), tmp_path / "out.mp4", excerpt=Excerpt(source, Fraction(0)))
    assert written.counts["audio"] == 0
    assert "left out: .mp4 cannot hold wmav2" in caplog.text


@pytest.mark.parametrize("start", [True, False])
def test_nothing_is_left_when_a_frame_fails(tmp_path, start):
    clip = hdr_clip(40)

    def fail(n, f):
        if n == (0 if start else 20):
            raise RuntimeError("no more")
        return f

    with pytest.raises(vs.Error, match="no more"):
        encode(clip.std.ModifyFrame(clip, fail), tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_after_an_interruption_and_an_old_result_stays(tmp_path):
    path = tmp_path / "out.mkv"
    path.write_bytes(b"an older result")

    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(hdr_clip(30), path, progress=interrupt)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mkv"]
    assert path.read_bytes() == b"an older result"


def test_progress_counts_every_frame(tmp_path):
    seen = []
    encode(hdr_clip(5), tmp_path / "out.mp4", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 5) for n in range(1, 6)]


def eight_bit():
    return hdr_clip(2).resize.Point(format=vs.YUV420P8)


@pytest.mark.parametrize(
    ("make", "name", "options", "message"),
    [
        (eight_bit, "out.mp4", {}, "encode: clip is YUV420P8"),
        (lambda: hdr_clip(2, width=48, height=48), "out.mp4", {}, "encode: clip is 48x48"),
        (lambda: hdr_clip(2, _Transfer=1), "out.mp4", {}, "encode: clip is neither PQ nor HLG"),
        (hdr_clip, "out.avi", {}, "encode: .*choose one of"),
        (hdr_clip, "out.mp4", {"crf": 60}, "encode: crf is 60"),
        (hdr_clip, "out.mp4", {"crf": float("nan")}, "encode: crf is nan"),
        (hdr_clip, "missing/out.mp4", {}, "encode: .*cannot be written"),
    ],
)
def test_what_cannot_be_encoded_is_refused(tmp_path, make, name, options, message):
    with pytest.raises(InputError, match=message):
        encode(make(), tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_unknown_speed_is_refused(tmp_path):
    with pytest.raises(InputError, match="unknown speed 'warp'; choose one of ultrafast"):
        output.choose(".mp4", speed="warp")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_measured_light_is_written_to_stream_and_container(tmp_path, suffix):
    clip = light_level(hdr_clip(12))
    levels = [clip.get_frame(n).props for n in range(12)]
    written = encode(clip, tmp_path / f"out{suffix}", segment_frames=6)
    light = ContentLight.measured(max(p[MAX_RGB] for p in levels), max(p[AVERAGE_MAX_RGB] for p in levels))
    assert written.light == light
    _, frames = read(tmp_path / f"out{suffix}")
    keys = [frame for frame in frames if frame.key_frame]
    assert len(keys) == 2
    assert all(media.hdr10_metadata(frame) == (DISPLAY, light) for frame in keys)
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        assert media.container_hdr10(file.streams.video[0]) == (DISPLAY, light)


def test_source_is_read_whole_and_leaves_no_index(tmp_path, video_file):
    source = media.open_source(video_file(frames=12), "test")
    assert (source.clip.num_frames, source.clip.width, source.clip.height) == (12, 64, 48)
    assert source.clip.fps == Fraction(24000, 1001)
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.mp4"]


def test_rotation_is_applied(video_file):
    clip = media.open_source(video_file(rotation=90), "test").clip
    assert (clip.width, clip.height) == (48, 64)


def test_frame_time_of_a_variable_rate(video_file):
    source = media.open_source(video_file("in.mkv", frames=4, times=[0, 40, 140, 160]), "test")
    assert [media.frame_time(source, n) for n in range(4)] == [Fraction(t, 1000) for t in (0, 40, 140, 160)]


def test_frame_time_of_a_recording_that_starts_amid_a_group_of_pictures(tmp_path):
    with av.open(str(whole := tmp_path / "whole.ts"), "w") as file:
        stream = file.add_stream("mpeg2video", rate=25, options={"bf": "2", "g": "12", "b": "2M"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(48):
            picture = av.VideoFrame.from_ndarray(np.full((72, 64), 20 + 4 * number, np.uint8), "yuv420p")
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    with av.open(str(whole)) as file:
        begin = Fraction(file.streams.video[0].start_time, 90000)
    data = whole.read_bytes()
    (cut := tmp_path / "cut.ts").write_bytes(data[len(data) // 188 * 2 // 5 * 188 :])
    source = media.open_source(cut, "test")
    for frame in (0, 6):
        number = round((np.asarray(source.clip.get_frame(frame)[0]).mean() - 20) / 4)  # a frame's grey says which it was
        assert 0 < number < 48
        assert media.frame_time(source, frame) == begin + Fraction(number, 25)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_ffprobe_agrees(tmp_path):
    encode(hdr_clip(3), tmp_path / "out.mp4")
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-show_frames", "-of", "json", str(tmp_path / "out.mp4")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = json.loads(shown)
    stream = found["streams"][0]
    assert (stream["codec_name"], stream["profile"], stream["codec_tag_string"]) == ("hevc", "Main 10", "hvc1")
    assert (stream["color_primaries"], stream["color_transfer"], stream["color_space"], stream["color_range"]) == (
        "bt2020",
        "smpte2084",
        "bt2020nc",
        "tv",
    )
    kinds = {data["side_data_type"]: data for data in found["frames"][0]["side_data_list"]}
    display = kinds["Mastering display metadata"]
    assert Fraction(display["max_luminance"]) == 600
    assert Fraction(display["red_x"]) == Fraction(34000, 50000)
