"""`vs-hdrtv scope` and `vs-hdrtv compare`: what they write, and one line for every bad input."""

import errno
import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vs_hdrtv.cli import pictures
from vs_hdrtv.errors import InputError

QUICK = ("--preset", "bt2408", "--speed", "ultrafast")


@pytest.fixture
def pair(run, video_file, tmp_path):
    """An SDR file and its conversion."""
    source, result = video_file(audio=None), tmp_path / "hdr.mp4"
    assert run("convert", source, result, *QUICK)[0] == 0
    return source, result


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_scope_writes_a_picture_where_nothing_is_said(run, pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("scope", pair[1], "--frames", 2)
    assert code == 0, err
    assert out == "hdr-scope.png: 1920x1338\n"
    assert Image.open("hdr-scope.png").size == (1920, 1338)
    assert names(tmp_path) == ["hdr-scope.png", "hdr.mp4", "in.mp4"]
    code, out, err = run("scope", pair[1], "--frames", 2)
    assert (code, err.count("\n")) == (2, 1)
    assert "hdr-scope.png exists; give another name or --overwrite" in err


def test_scope_of_sdr_and_hlg_and_odd_sizes(run, video_file, tmp_path):
    for name, options in {"sdr.mp4": {}, "hlg.mp4": {"tags": (9, 18, 9)}, "untagged.mp4": {"tags": (2, 2, 2)}}.items():
        source, page = video_file(name, audio=None, **options), tmp_path / f"{name}.html"
        code, _, err = run("scope", source, "--html", page, "--frames", 2, "--all")
        assert code == 0, err
        assert {"sdr.mp4": "SDR by its BT.2408", "hlg.mp4": "HLG as a display"}.get(name, "SDR by") in page.read_text("utf-8")


def test_scope_looks_at_the_time_asked_for(run, pair, tmp_path):
    page = tmp_path / "page.html"
    code, _, err = run("scope", pair[1], "--html", page, "--at", "0.3,0.1")
    assert code == 0, err
    # 24000/1001 frames/s: frame 7 is shown from 0.29196 s, frame 2 from 0.0834 s.
    text = page.read_text("utf-8")
    assert '{"number":2,' in text and '{"number":7,' in text and text.count('"number":') == 2


def test_compare_writes_both_and_says_what_it_did(run, pair, tmp_path):
    png, html = tmp_path / "c.png", tmp_path / "c.html"
    code, out, err = run("compare", *pair, "--output", png, "--html", html, "--frames", 3)
    assert code == 0, err
    assert "compare: A compared as SDR by its BT.2408 mapping" in err
    assert Image.open(png).width == 1920
    assert "BT.2408" in html.read_text("utf-8")
    numbers = dict(line.split(": ") for line in out.splitlines())
    # The result is the BT.2408 mapping itself, but for 4:2:0, 10 bits and x265.
    assert float(numbers["PSNR of PQ"].removesuffix(" dB")) > 40
    assert float(numbers["mean luminance, B to A"]) == pytest.approx(1, abs=0.01)


def test_compare_of_a_part(run, pair, video_file, tmp_path):
    part = tmp_path / "part.mp4"
    assert run("convert", pair[0], part, *QUICK, "--start", 4, "--end", 10)[0] == 0
    code, out, err = run("compare", pair[0], part, "--offset", 4, "--output", tmp_path / "c.png")
    assert code == 0, err
    assert "frame 0 of B is compared with frame 4 of A" in err
    assert float(out.split(": ")[1].split(" ")[0]) > 40
    code, _, err = run("compare", pair[0], part, "--offset", 4, "--end", 3, "--output", tmp_path / "d.png")
    assert (code, err.count("\n")) == (2, 1)
    assert "frames 0 to 2 of" in err and "are not in" in err


def test_odd_sides_are_compared_with_their_even_ones(run, tmp_path):
    odd = tmp_path / "odd.mkv"
    with av.open(str(odd), "w") as file:
        stream = file.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 65, 49, "yuv444p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
        for n in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((3, 49, 65), 100 + n, np.uint8), format="yuv444p")
            frame.pts = n
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    result = tmp_path / "even.mp4"
    assert run("convert", odd, result, *QUICK)[0] == 0
    code, _, err = run("compare", odd, result, "--output", tmp_path / "c.png")
    assert code == 0, err
    assert "A is 65x49 and B 66x50: an odd side was made even; 65x49 is compared" in err


@pytest.fixture
def bad(video_file, tmp_path):
    """Names of files that are no use."""
    (tmp_path / "text.mp4").write_text("this is not a video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "cut.mp4").write_bytes(video_file("whole.mp4").read_bytes()[:900])
    video_file("sound.mp4", video=False)
    video_file("fields.mp4", interlaced=True, audio=None)
    video_file("large.mp4", size=(128, 48), audio=None)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.mp4", "does not exist"),
        ("text.mp4", "is not a video"),
        ("empty.mp4", "is empty"),
        ("cut.mp4", ""),
        ("sound.mp4", "holds no video"),
        ("fields.mp4", "interlaced"),
        (".", "is a folder"),
    ],
)
def test_bad_files_are_one_line(run, bad, video_file, name, says):
    good, before = video_file("good.mp4", audio=None), names(bad)
    for arguments in (["scope", bad / name], ["compare", good, bad / name], ["compare", bad / name, good]):
        code, out, err = run(*arguments, "--output", bad / "out.png")
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert says in err and err.startswith(arguments[0])
    assert names(bad) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--at", "99"), "--at 99 is outside"),
        (("--at=-1,0",), "--at -1 is outside"),
        (("--at", "soon"), "is not seconds"),
        (("--at", "nan"), "--at nan is outside"),
        (("--frames", "0"), "--frames is 0; give 1 or more"),
        (("--start", "12"), "has frames 0 to 11"),
        (("--end", "13"), "--end is 13; choose 1 to 12"),
        (("--every", "0"), "--every is 0"),
        (("--every", "2", "--all"), "not together with --all"),
        (("--output", "out.jpg"), "a PNG file ends in .png"),
        (("--html", "out.png"), "a HTML file ends in .html"),
        (("--output", "nowhere/out.png"), "does not exist; make it first"),
        (("--output", "in.png"), "is the input itself"),
    ],
)
def test_bad_arguments_are_one_line(run, video_file, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    source = video_file("in.mp4", audio=None).rename("in.png") if "in.png" in arguments else video_file("in.mp4", audio=None)
    before = names(tmp_path)
    code, out, err = run("scope", source, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert says in err
    assert names(tmp_path) == before


def test_different_sizes_are_refused(run, bad, video_file):
    code, _, err = run("compare", video_file("small.mp4", audio=None), bad / "large.mp4", "--output", bad / "out.png")
    assert (code, err.count("\n")) == (2, 1)
    assert "is 64x48 and" in err and "128x48; scale one of them" in err


def test_a_full_disk_leaves_nothing(tmp_path):
    class Full(Image.Image):
        def save(self, path, **options):
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(InputError, match=r"^scope: .*out\.png cannot be written \(No space left on device\)$"):
        pictures.write_picture(tmp_path / "out.png", Full(), "scope")
    assert names(tmp_path) == []
