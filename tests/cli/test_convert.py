"""`vs-hdrtv convert`: what its options do, beside what the filters and the encoders are tested for themselves."""

import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import vs_hdrtv
from vs_hdrtv import media
from vs_hdrtv.cli import convert
from vs_hdrtv.output import segments

QUICK = ("--preset", "bt2408", "--speed", "ultrafast")

SLOW = """
import time, vs_hdrtv.output.segments as segments
segments.SEGMENT_FRAMES = 6
import vs_hdrtv.presets as presets
real = presets.sdr_to_hdr
def slow(clip, *args, **kwargs):
    hdr = real(clip, *args, **kwargs)
    def step(n, f):
        time.sleep(0.05)
        return f
    return hdr.std.ModifyFrame(hdr, step)
presets.sdr_to_hdr = slow
"""


def luma(path):
    """Mean of Y' of each frame."""
    with av.open(str(path)) as file:
        frames = [(np.frombuffer(f.planes[0], np.uint16).reshape(f.height, -1), f.width) for f in file.decode(video=0)]
    return [float(samples[:, :width].mean()) for samples, width in frames]


def start(script, *arguments):
    """The command line as a process of its own, after the lines of `script`."""
    root = str(Path(vs_hdrtv.__file__).parents[1])
    code = f"import sys\n{script}from vs_hdrtv.cli import main\nsys.exit(main())"
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", code, "convert", *map(str, arguments), *QUICK]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})


def test_a_killed_conversion_goes_on_to_the_same_file(run, video_file, tmp_path, monkeypatch):
    source, whole, parts = video_file(frames=40), tmp_path / "whole.mp4", tmp_path / "parts.mp4"
    process = start(SLOW, source, parts)
    left = tmp_path / "parts.mp4.partial"
    deadline = time.monotonic() + 300
    while not (left / "000006.json").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait(300) != 0
    monkeypatch.setattr(segments, "SEGMENT_FRAMES", 6)
    code, _, err = run("convert", source, parts, *QUICK)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("convert: ") and "--resume goes on with it" in err
    code, _, err = run("convert", source, parts, *QUICK, "--resume")
    assert code == 0, err
    assert run("convert", source, whole, *QUICK)[0] == 0
    assert parts.read_bytes() == whole.read_bytes()
    assert not left.exists()


@pytest.mark.parametrize(
    ("options", "name", "codec"),
    [
        ([], "out.webm", "av1"),
        (["--encoder", "svt-av1", "--crf", "40"], "out.mp4", "av1"),
        (["--encoder", "prores"], "out.mov", "prores"),
        (["--encoder", "ffv1"], "out.mkv", "ffv1"),
        (["--format", "yuv444p12"], "out.mkv", "hevc"),
    ],
)
def test_encoder_and_samples(run, video_file, tmp_path, options, name, codec):
    speed = {"av1": ["--speed", "13"], "hevc": ["--speed", "ultrafast"]}.get(codec, [])
    code, _, err = run("convert", video_file(audio=None), tmp_path / name, "--preset", "bt2408", *options, *speed)
    assert code == 0, err
    with av.open(str(tmp_path / name)) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.codec.canonical_name == codec
        display, light = media.container_hdr10(stream)
    assert display is not None and light is not None
    assert f"MaxCLL {light.max}, MaxFALL {light.average} cd/m2" in err


def test_the_look_is_handed_on(run, video_file, tmp_path):
    source = video_file(audio=None)
    shots = tmp_path / "shots.txt"
    shots.write_text("6- = reference_white 100\n")
    options = {"plain": [], "dark": ["--reference-white", "100"], "shots": ["--shots", shots]}
    found = {}
    for name, words in options.items():
        code, _, err = run("convert", source, tmp_path / f"{name}.mkv", *QUICK, "--crf", "1", *words)
        assert code == 0, err
        found[name] = luma(tmp_path / f"{name}.mkv")
    assert max(np.array(found["dark"]) - found["plain"]) < -20
    assert np.allclose(found["shots"], found["plain"][:6] + found["dark"][6:], atol=1.5)


def test_tags_that_outweigh_those_of_the_file(run, video_file, tmp_path, caplog):
    source = video_file(tags=(2, 2, 2), audio=None)
    assert run("convert", source, tmp_path / "untold.mkv", *QUICK)[0] == 0
    assert "assuming _Matrix=6" in caplog.text
    caplog.clear()
    said = [word for tag in ("matrix", "transfer", "primaries") for word in (f"--{tag}", "709")]
    said += ["--range", "limited"]
    assert run("convert", source, tmp_path / "told.mkv", *QUICK, *said)[0] == 0
    assert "assuming" not in caplog.text
    code, _, err = run("convert", source, tmp_path / "no.mkv", *QUICK, "--matrix", "601")
    assert (code, err.count("\n")) == (2, 1)
    assert "unknown matrix '601'; choose one of" in err


def test_letterbox(run, tmp_path):
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        stream.codec_context.color_primaries = stream.codec_context.color_trc = stream.codec_context.colorspace = 1
        for n in range(8):
            frame = av.VideoFrame(64, 96, "yuv420p")
            for index, plane in enumerate(frame.planes):
                samples = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                bar = 16 if index == 0 else 8
                samples[:] = 16 if index == 0 else 128
                samples[bar:-bar] = 235 if index == 0 else 128
            frame.pts, frame.time_base = n, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    averages = {}
    for word in ("none", "auto", "16,16,0,0"):
        code, _, err = run("convert", source, tmp_path / "out.mkv", *QUICK, "--letterbox", word, "--overwrite")
        assert code == 0, err
        assert ("black bars of 16,16,0,0 pixels" in err) == (word == "auto")
        averages[word] = int(err.rpartition("MaxFALL ")[2].split()[0])
    # White is 203 cd/m2 (BT.2408-7, table 1), in two thirds of the rows.
    assert averages["auto"] == averages["16,16,0,0"] == pytest.approx(203, rel=0.03)
    assert averages["none"] == pytest.approx(203 * 2 / 3, rel=0.03)
    code, _, err = run("convert", source, tmp_path / "no.mkv", *QUICK, "--letterbox", "some")
    assert (code, err.count("\n")) == (2, 1)
    assert "letterbox: 'some'; give auto, none" in err


def test_track(run, tmp_path, caplog):
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as file:
        streams = [file.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.color_primaries = stream.codec_context.color_trc = stream.codec_context.colorspace = 1
        for n in range(6):
            for level, stream in zip((60, 180), streams, strict=True):
                frame = av.VideoFrame(64, 48, "yuv420p")
                for plane, value in zip(frame.planes, (level, 128, 128), strict=True):
                    np.frombuffer(plane, np.uint8)[:] = value
                frame.pts, frame.time_base = n, Fraction(1, 25)
                file.mux(stream.encode(frame))
        for stream in streams:
            file.mux(stream.encode())
    means = []
    for track in (0, 1):
        code, _, err = run("convert", source, tmp_path / f"{track}.mkv", *QUICK, "--track", track)
        assert code == 0, err
        assert f"video stream {1 - track} left out" in caplog.text
        means.append(np.mean(luma(tmp_path / f"{track}.mkv")))
    assert means[1] > means[0] + 200
    code, _, err = run("convert", source, tmp_path / "2.mkv", *QUICK, "--track", 2)
    assert (code, err.count("\n")) == (2, 1)
    assert "track is 2; the video streams of" in err and "are 0, 1" in err


def test_untagged_fields_are_pointed_out(run, tmp_path, caplog):
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.color_primaries = stream.codec_context.color_trc = stream.codec_context.colorspace = 1
        for n in range(24):
            frame = av.VideoFrame(128, 96, "yuv420p")
            for index, plane in enumerate(frame.planes):
                samples = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                samples[:] = 128
                if index == 0:  # a field is half a frame later than the other, a wave moving by 4 pixels a field
                    for field in (0, 1):
                        wave = 128 + 80 * np.sin((np.arange(plane.line_size) - 4 * (2 * n + field)) / 6)
                        samples[field::2] = wave.astype(np.uint8)
            frame.pts, frame.time_base = n, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    assert run("convert", source, tmp_path / "out.mkv", *QUICK)[0] == 0
    assert "looks interlaced though it is not tagged so" in caplog.text and "--deinterlace" in caplog.text


@pytest.fixture
def dynamic(monkeypatch):
    """A function that makes every source hold dynamic metadata: no encoder here writes them."""

    def make(names, dolby=None):
        monkeypatch.setattr(media, "dynamic_metadata", lambda stream, frame: names)
        monkeypatch.setattr(media, "dolby_vision", lambda stream: dolby)

    return make


@pytest.mark.parametrize(
    ("names", "dolby", "tags", "code"),
    [
        (["HDR10+"], None, (2, 2, 2), 2),
        (["HDR10+"], None, (1, 1, 1), 0),
        (["Dolby Vision profile 5"], media.DolbyVision(5, 4, 0), (2, 2, 2), 2),
        (["Dolby Vision profile 8.2"], media.DolbyVision(8, 4, 2), (1, 1, 1), 0),
        (["Dolby Vision profile 8.1"], media.DolbyVision(8, 4, 1), (1, 1, 1), 2),
    ],
)
def test_dynamic_metadata(run, video_file, tmp_path, caplog, dynamic, names, dolby, tags, code):
    dynamic(names, dolby)
    found, _, err = run("convert", video_file(tags=tags), tmp_path / "out.mkv", *QUICK)
    assert found == code, err
    expected = f"is HDR already ({names[0]}); --force" if code else f"holds {names[0]}, left out"
    assert expected in err + caplog.text
    assert (tmp_path / "out.mkv").exists() == (code == 0)


def test_help_names_every_option_of_the_filters_that_is_handed_on():
    import inspect

    from vs_hdrtv.presets import sdr_to_hdr

    options = {option.name for option in (*convert.CONVERSION, *convert.LOOK, *convert.TAGS)}
    known = set(inspect.signature(sdr_to_hdr).parameters)
    assert options <= known
    # Left to Python: the clip, and what --letterbox and --format choose.
    assert known - options == {"clip", "letterbox", "format"}


def test_a_ceiling_holds_in_its_areas_alone(run, video_file, tmp_path):
    source, plain, limited = video_file(size=(128, 96)), tmp_path / "plain.mkv", tmp_path / "limited.mkv"
    quick = ("--preset", "bt2446a", "--encoder", "ffv1", "--end", 2)
    assert run("convert", source, plain, *quick)[0] == 0
    words = ("--ceiling", 60, "--ceiling-area", "90,0,38,40", "--ceiling-area", "90,70,38,26", "--threads", 1)
    code, _, err = run("convert", source, limited, *quick, *words)
    assert code == 0, err

    def picture(path):
        with av.open(str(path)) as file:
            plane = next(file.decode(video=0)).planes[0]
            return np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width].astype(int)

    before, after = picture(plain), picture(limited)
    assert (before[:, :70] == after[:, :70]).all()
    # ST 2084: 60 cd/m2 is PQ 0.4578, code 465.0 of 10 bits (BT.2100-2, table 9).
    assert after[:40, 90:].max() <= 465 < before[:40, 90:].max() - 20
    assert after[70:, 90:].max() <= 465


def test_an_area_that_cannot_be_read(run, video_file, tmp_path):
    code, _, err = run("convert", video_file(), tmp_path / "out.mkv", *QUICK, "--ceiling", 100, "--ceiling-area", "1,2,3")
    assert (code, err.count("\n")) == (2, 1)
    assert "--ceiling-area: '1,2,3' is not LEFT,TOP,WIDTH,HEIGHT in pixels" in err


@pytest.fixture
def telecined(tmp_path):
    """A film of 24 frames/s under 3:2 pulldown, tagged interlaced: 40 frames that hold 32."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(30000, 1001), options={"flags": "+ildct+ilme", "crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"

        def picture(number):
            wave = 128 + 80 * np.sin((np.arange(128) - 4 * number) / 6)
            return np.repeat(wave.astype(np.uint8)[None], 96, axis=0)

        fields = [number for number in range(32) for _ in range(2 + number % 2)]
        for n in range(40):
            frame = av.VideoFrame(128, 96, "yuv420p")
            for index, plane in enumerate(frame.planes):
                samples = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                samples[:] = 128
                if index == 0:
                    for field in (0, 1):
                        samples[field::2, :128] = picture(fields[2 * n + field])[field::2]
            frame.pts, frame.time_base = n, Fraction(1001, 30000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def test_film_under_pulldown_is_told_and_given_back(run, telecined, tmp_path):
    pytest.importorskip("vapoursynth")
    import vapoursynth as vs

    code, _, err = run("convert", telecined, tmp_path / "out.mkv", *QUICK)
    assert code == 2 and "film under 3:2 pulldown" in err and "--detelecine" in err
    if not hasattr(vs.core, "vivtc"):
        pytest.skip("vapoursynth-vivtc is not installed")
    code, _, err = run("convert", telecined, tmp_path / "out.mkv", *QUICK, "--detelecine")
    assert code == 0, err
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert file.streams.video[0].average_rate == Fraction(24000, 1001)
        assert sum(1 for _ in file.decode(video=0)) == 32


def test_deinterlacing_whole_pictures_is_said(run, video_file, tmp_path, caplog):
    assert run("convert", video_file(), tmp_path / "out.mkv", *QUICK, "--deinterlace")[0] == 0
    assert "looks progressive" in caplog.text and "--deinterlace doubles its frames" in caplog.text


def test_a_row_that_is_left_out_is_said(run, video_file, tmp_path, caplog):
    odd = video_file(codec="mpeg4", name="odd.avi", audio=None, size=(96, 63))
    assert run("convert", odd, tmp_path / "out.mkv", *QUICK)[0] == 0
    assert "is 96x63; 96x62 of it is converted" in caplog.text


def test_the_networks_of_shots_are_part_of_the_job(tmp_path):
    import argparse

    from vs_hdrtv import weights

    shots = tmp_path / "film.shots"
    shots.write_text("0-3 = preset fast\n")
    files = sorted(file.sha256 for file in weights.find("hdcfm").files.values())
    for preset, path, expected in (("bt2408", None, []), ("bt2408", shots, files), (None, None, files)):
        assert convert._weights(argparse.Namespace(preset=preset, model=None, shots=path)) == expected
    assert convert._weights(argparse.Namespace(preset="kernels", model="hdcfm", shots=None)) == files


def test_scenes_and_steady_are_handed_on(run, video_file, tmp_path):
    source, results = video_file(frames=6), []
    time = ["--steady", "2"]
    for number, options in enumerate(([], time, [*time, "--scenes", "3"], [*time, "--scenes", "none"])):
        path = tmp_path / f"{number}.mkv"
        code, _, err = run("convert", source, path, "--encoder", "ffv1", "--threads", "1", *options)
        assert code == 0, err
        results.append(luma(path))
    plain, steady, cut, one = results
    assert steady == one and len({*map(tuple, (plain, steady, cut))}) == 3  # there is no cut to find


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scenes", "some"), "'some' is not auto, props, none or frame numbers like 0,240,517"),
        (("--steady", "99"), "sdr_to_hdr: steady is 99; give 0 to 32"),
        (("--model", "kpn_mfi", "--scenes", "77"), "feature_map: scenes names frame 77; the clip has frames 0 to 5"),
    ],
)
def test_scenes_and_steady_that_make_no_sense(run, video_file, tmp_path, options, message):
    code, out, err = run("convert", video_file(frames=6), tmp_path / "out.mkv", *options)
    assert code == 2 and not out and message in err
    assert not list(tmp_path.glob("out*"))
