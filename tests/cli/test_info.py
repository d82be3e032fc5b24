"""`vs-hdrtv info`: what it says of files whose facts are known, as text and as JSON."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest

from vs_hdrtv import cli
from vs_hdrtv.hdr10 import SIGNALLING, ContentLight, MasteringDisplay, x265_params
from vs_hdrtv.output import hevc
from vs_hdrtv.output.boxes import template
from vs_hdrtv.output.stamp import Stamp

DISPLAY, LIGHT = MasteringDisplay(max_luminance=600), ContentLight(777, 123)


@pytest.fixture
def info(capfd):
    """A function that gives the lines and the facts that the command says of a file."""

    def run(path, *words, code=0):
        capfd.readouterr()
        assert cli.main(["info", *words, str(path)]) == code
        text = capfd.readouterr()
        assert cli.main(["info", "--json", *words, str(path)]) == code
        return text.out.splitlines(), json.loads(capfd.readouterr().out), text.err

    return run


@pytest.fixture
def hdr_file(tmp_path):
    """A function that writes a small PQ file in HEVC, what its stream and its container state being given apart."""

    def make(name="out.mp4", stream=(None, None), container=(None, None), change=lambda packet: packet):
        source, path = tmp_path / "source.mkv", tmp_path / name
        params = x265_params(SIGNALLING["pq"], None, None) | {"log-level": "none"}
        options = {"preset": "ultrafast", "x265-params": ":".join(f"{key}={value}" for key, value in params.items())}
        with av.open(str(source), "w") as file:
            video = file.add_stream("libx265", rate=25, options=options)
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p10le"
            context = video.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, 16, 9, 1
            for n in range(6):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 30 * n, np.uint8)).reformat(format="yuv420p10le")
                frame.pts, frame.time_base = n, Fraction(1, 25)
                file.mux(video.encode(frame))
            file.mux(video.encode())
        with av.open(str(source)) as old, av.open(str(path), "w") as new:
            video = old.streams.video[0]
            with template(video, *container) as full:
                copy = new.add_stream_from_template(full, opaque=True)
            copy.codec_context.framerate = 25
            stamp = Stamp("hevc", *stream, bytes(video.codec_context.extradata))
            for packet in old.demux(video):
                if packet.size:
                    changed = av.Packet(change(stamp.packet(bytes(packet))))
                    changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                    changed.is_keyframe, changed.stream = packet.is_keyframe, copy
                    new.mux_one(changed)
        return path

    return make


def starting(lines, word):
    return [line[10:] for line in lines if line.startswith(f"{word:<10}")]


def test_stream_and_container_that_agree_are_said_once(info, hdr_file):
    lines, facts, err = info(hdr_file(stream=(DISPLAY, LIGHT), container=(DISPLAY, LIGHT)))
    assert err == ""
    assert starting(lines, "mastering") == [
        "0.0001 to 600 cd/m2, red (0.6800, 0.3200), green (0.2650, 0.6900), blue (0.1500, 0.0600), white (0.3127, 0.3290) "
        "(stream and container)"
    ]
    assert starting(lines, "light") == ["MaxCLL 777, MaxFALL 123 cd/m2 (stream and container)"]
    assert not starting(lines, "differ")
    (video,) = facts["streams"]
    assert video["hdr10"]["stream"] == video["hdr10"]["container"]
    assert video["hdr10"]["stream"]["content_light"] == {"max_cll": 777, "max_fall": 123}
    assert video["hdr10"]["stream"]["mastering_display"]["max_luminance"] == 600
    assert video["hdr10"]["differ"] == []
    assert (video["transfer"], video["range"]) == ({"code": 16, "name": "PQ (ST 2084)"}, "limited")


def test_stream_and_container_that_do_not_agree_are_both_said(info, hdr_file):
    other = MasteringDisplay(max_luminance=4000), ContentLight(999, 88)
    lines, facts, _ = info(hdr_file("out.mkv", stream=(DISPLAY, LIGHT), container=other))
    (first, second), lights = starting(lines, "mastering"), starting(lines, "light")
    assert first.startswith("0.0001 to 600 ") and first.endswith("(stream)")
    assert second.startswith("0.0001 to 4000 ") and second.endswith("(container)")
    assert lights == ["MaxCLL 777, MaxFALL 123 cd/m2 (stream)", "MaxCLL 999, MaxFALL 88 cd/m2 (container)"]
    assert len(starting(lines, "differ")) == 2
    assert facts["streams"][0]["hdr10"]["differ"] == ["mastering_display", "content_light"]


def test_what_only_one_of_them_says(info, hdr_file):
    lines, _, _ = info(hdr_file(stream=(DISPLAY, None), container=(None, LIGHT)))
    assert [line.rpartition("(")[2] for line in starting(lines, "mastering")] == ["stream only)"]
    assert starting(lines, "light") == ["MaxCLL 777, MaxFALL 123 cd/m2 (container only)"]
    assert not starting(lines, "differ")


def test_unknown_light_of_a_pq_file_is_said(info, hdr_file):
    lines, facts, _ = info(hdr_file())
    assert starting(lines, "light") == ["MaxCLL and MaxFALL unknown"]
    assert facts["streams"][0]["hdr10"]["stream"] == {"mastering_display": None, "content_light": None}


def hdr10_plus():
    """A user data message of SMPTE ST 2094-40: one window, everything 0 but what has to be there."""
    fields = [(1, 2), (4000, 27), (0, 1)]  # windows, target's peak, its actual peaks
    fields += [(1000, 17)] * 3 + [(100, 17), (1, 4), (50, 7), (900, 17), (0, 10)]  # maxscl, average, percentiles, fraction
    fields += [(0, 1), (0, 1), (0, 1)]  # mastering's actual peaks, tone mapping, saturation
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "0" * (-len(bits) % 8)
    head = bytes.fromhex("b5 003c 0001 04 01")  # T.35: USA, Samsung, 2094-40, identifier 4, version 1
    return head + int(bits, 2).to_bytes(len(bits) // 8)


def test_hdr10_plus_is_recognised(info, hdr_file):
    def add(packet):
        framing = hevc.Framing(4)
        units = framing.split(packet)
        return framing.join(hevc.before_pictures(units, hevc.sei_unit([(4, hdr10_plus())])))

    lines, facts, _ = info(hdr_file(stream=(DISPLAY, LIGHT), change=add))
    assert starting(lines, "dynamic") == ["HDR10+"]
    assert facts["streams"][0]["dynamic_metadata"] == ["HDR10+"]


@pytest.mark.parametrize(
    ("profile", "level", "compatibility", "expected"),
    [
        (8, 4, 4, "Dolby Vision profile 8.4, level 4, other players see HLG"),
        (8, 6, 1, "Dolby Vision profile 8.1, level 6, other players see HDR10"),
        (5, 9, 0, "Dolby Vision profile 5, level 9, for Dolby Vision players only"),
    ],
)
def test_dolby_vision_is_recognised(info, hdr_file, tmp_path, profile, level, compatibility, expected):
    # The record of Dolby Vision Streams Within the ISO Base Media File Format, 3.2: version 1.0, profile (7 bits), level (6),
    # RPU 1, enhancement layer 0, base layer 1, compatibility (4), 28 reserved bits and four words of zeros.
    bits = profile << 9 | level << 3 | 0b101
    record = bytes((1, 0)) + bits.to_bytes(2) + bytes((compatibility << 4,)) + bytes(19)
    kind = b"dvvC" if profile > 7 else b"dvcC"
    plain = hdr_file("out.mp4", container=(DISPLAY, None)).read_bytes()
    # In place of the mastering display's box, which is as long.
    at = plain.index(b"mdcv") - 4
    old = int.from_bytes(plain[at : at + 4])
    assert old == 8 + len(record)
    path = tmp_path / "dolby.mp4"
    path.write_bytes(plain[: at + 4] + kind + record + plain[at + old :])
    lines, facts, _ = info(path)
    assert starting(lines, "dynamic") == [expected]
    video = facts["streams"][0]
    assert video["dolby_vision"] == {"profile": profile, "level": level, "compatibility": compatibility}


def test_a_constant_rate_is_exact_also_where_times_are_rounded(info, video_file):
    for name in ("a.mp4", "a.mkv"):  # Matroska counts milliseconds: 41, 42, 42 ...
        lines, facts, _ = info(video_file(name, frames=24))
        assert starting(lines, "rate") == ["24000/1001 = 23.976 frames/s, 24 frames"]
        assert facts["streams"][0]["variable_rate"] is False


def test_a_variable_rate_is_said(info, video_file):
    times = [0, 40, 80, 120, 220, 320, 360, 400, 440, 480, 600, 640]
    for name in ("a.mp4", "a.mkv"):
        lines, facts, _ = info(video_file(name, times=times, frames=12))
        (video,) = [stream for stream in facts["streams"] if stream["type"] == "video"]
        assert video["variable_rate"] is True
        assert video["frames_per_second"] == pytest.approx(11 / 0.640, rel=1e-6)
        assert starting(lines, "rate") == [f"variable, average {video['frames_per_second']:.3f} frames/s, 12 frames"]


def test_short_durations_have_a_decimal(info, video_file):
    lines, facts, _ = info(video_file(frames=36, rate=24, audio=None))
    assert ", 1.5 s, " in lines[0]
    assert facts["seconds"] == pytest.approx(1.5, abs=0.01)
    assert ", 0:12, " in info(video_file(frames=12, rate=1, audio=None))[0][0]


def test_chapters_attachments_and_languages(info, tmp_path):
    path = tmp_path / "all.mkv"
    with av.open(str(path), "w") as file:
        video = file.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = file.add_stream("flac", rate=44100, layout="stereo")
        sound.metadata["language"], sound.metadata["title"] = "fre", "Commentary"
        file.add_attachment("font.ttf", "font/ttf", b"not a font")
        times = [{"id": n, "start": n * 100, "end": (n + 1) * 100, "time_base": Fraction(1, 1000)} for n in range(3)]
        file.set_chapters([{**chapter, "metadata": {}} for chapter in times])
        for n in range(8):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, 25)
            file.mux(video.encode(frame))
        block = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 4608), np.int16), "s16", "stereo")
        block.sample_rate, block.pts, block.time_base = 44100, 0, Fraction(1, 44100)
        file.mux(sound.encode(block))
        file.mux([*video.encode(), *sound.encode()])
    lines, facts, _ = info(path)
    assert starting(lines, "chapters") == ["3"]
    assert starting(lines, "attached") == ["font.ttf, font/ttf"]
    assert starting(lines, "audio") == ["flac, 44100 Hz, stereo, fre, Commentary"]
    assert facts["chapters"] == 3
    assert [stream["type"] for stream in facts["streams"]] == ["video", "audio", "attachment"]


def test_interlaced_rotated_and_untagged(info, video_file):
    lines, facts, _ = info(video_file("a.mp4", tags=(2, 2, 2), interlaced=True, rotation=90))
    assert starting(lines, "scan") == ["interlaced"]
    video = facts["streams"][0]
    assert (video["interlaced"], video["rotation"], video["primaries"]) == (True, 90, None)


@pytest.mark.parametrize("arguments", [["--json"], []])
def test_a_file_that_is_no_video_is_one_line(capfd, tmp_path, arguments):
    path = tmp_path / "film.mp4"
    path.write_text("this is not a film\n" * 100)
    assert cli.main(["info", *arguments, str(path)]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("info: ") and "is not a video" in err


def test_scan_says_what_the_pictures_show(info, video_file):
    path = video_file("a.mp4", interlaced=True)
    lines, facts, _ = info(path, "--scan")
    assert facts["scan"]["kind"] == "progressive"  # the ramp moves by whole frames
    assert "frames move" in facts["scan"]["evidence"]
    assert any(line.startswith("pictures  look progressive") and "core.std.SetFieldBased(clip, 0)" in line for line in lines)
    assert "scan" not in info(path)[1]
