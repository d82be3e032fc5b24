"""Files that FFmpeg reads in its own ways: without a place to seek to, from before zero, with a colon in the name."""

import os
from fractions import Fraction
from pathlib import Path

import av
import pytest

from vs_hdrtv import media
from vs_hdrtv.errors import InputError


def remuxed(source, path, shift=0, **options):
    """The video of a file in another container, `shift` ticks earlier."""
    with av.open(str(source)) as old, av.open(str(path), "w", **options) as new:
        video = old.streams.video[0]
        copy = new.add_stream_from_template(video)
        for packet in old.demux(video):
            if packet.size:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copy
                new.mux_one(packet)
    return path


EARLY = {"container_options": {"avoid_negative_ts": "disabled"}}


@pytest.mark.parametrize(("name", "shift", "options"), [("in.h264", 0, {}), ("early.mkv", 100000, EARLY)])
def test_timing_of_a_file_that_cannot_be_sought_in(video_file, tmp_path, name, shift, options):
    path = remuxed(video_file(frames=12, rate=Fraction(25), audio=None), tmp_path / name, shift, **options)
    with av.open(str(path)) as file, pytest.raises(av.FFmpegError):
        file.seek(0)
    with media.open_media(path, "info") as container:
        found = media.timing(container, container.streams.video[0])
    assert (found.frames, found.variable) == (12, False)


def test_a_colon_in_a_name_is_no_protocol(video_file, tmp_path, monkeypatch):
    path = video_file("Film: the end.mp4", frames=3)
    monkeypatch.chdir(tmp_path)
    assert media.open_source(Path(path.name), "convert").clip.num_frames == 3


def test_a_pipe_is_refused_before_it_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "in.mp4")
    with pytest.raises(InputError, match=r"^info: .*in\.mp4 is no plain file"), media.open_media(tmp_path / "in.mp4", "info"):
        pass
