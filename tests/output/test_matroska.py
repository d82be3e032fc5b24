"""The shape of a pixel, put into Matroska files that FFmpeg wrote without."""

import shutil
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from vs_hdrtv.media import seconds
from vs_hdrtv.output import matroska
from vs_hdrtv.output.matroska import set_display_size


@pytest.fixture(params=["matroska", "webm"])
def file_and_packets(request, tmp_path):
    """A file with sound before its video, and all packets of it."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w", format=request.param) as file:
        sound = file.add_stream("libopus", rate=48000, layout="mono")
        stream = file.add_stream("libsvtav1", rate=25, options={"preset": "13"})
        stream.width, stream.height, stream.pix_fmt = 720, 48, "yuv420p10le"
        for n in range(30):
            frame = av.VideoFrame(720, 48, "yuv420p10le")
            frame.pts, frame.time_base = n, Fraction(1, 25)
            file.mux(stream.encode(frame))
            block = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), "s16", "mono")
            block.sample_rate, block.pts, block.time_base = 48000, 1920 * n, Fraction(1, 48000)
            file.mux(sound.encode(block))
        file.mux(stream.encode())
        file.mux(sound.encode())
    return path, packets(path)


def packets(path):
    with av.open(str(path)) as file:
        return [(p.stream.index, p.pts, bytes(p)) for p in file.demux() if p.size]


def test_the_display_size_is_there_and_nothing_else_moved(file_and_packets):
    path, before = file_and_packets
    size = path.stat().st_size
    assert set_display_size(path, 768, 48)
    assert path.stat().st_size == size
    with av.open(str(path)) as file:
        assert seconds(1, file.streams.video[0].sample_aspect_ratio) == Fraction(16, 15)
        file.seek(800_000)  # by the index, whose positions still hold
        assert next(file.demux(video=0)).is_keyframe
    assert packets(path) == before


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_ffprobe_has_no_complaint(file_and_packets):
    path, _ = file_and_packets
    assert set_display_size(path, 1024, 48)
    shown = subprocess.run(
        ["ffprobe", "-v", "warning", "-show_entries", "stream=display_aspect_ratio", "-of", "csv=p=0", str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (shown.stdout.split(), shown.stderr) == (["64:3"], "")


@pytest.mark.parametrize("content", [b"", b"\x1a\x45\xdf\xa3", b"\0" * 100, b"no Matroska at all, but some other kind of file"])
def test_another_kind_of_file_stays_as_it_is(tmp_path, content):
    path = tmp_path / "a.mkv"
    path.write_bytes(content)
    assert not set_display_size(path, 768, 48)
    assert path.read_bytes() == content


def test_a_size_that_does_not_fit_is_not_written(file_and_packets):
    path, _ = file_and_packets
    content = path.read_bytes()
    assert not set_display_size(path, 70000, 48)
    assert path.read_bytes() == content
    assert set_display_size(path, 768, 48)
    assert not set_display_size(path, 768, 48)  # it says so already


@pytest.mark.parametrize("size", [2, 3, 127, 128, 129, 5000])
def test_a_void_is_as_long_as_it_says(size):
    void = matroska._void(size)
    assert len(void) == size
    ((kind, at, _, last),) = matroska._elements(void + bytes(12), 0, size)
    assert (kind, at, last) == (0xEC, 0, size)
    assert matroska._void(0) == b""
