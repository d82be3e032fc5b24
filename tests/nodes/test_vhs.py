"""The format for Video Combine of ComfyUI-VideoHelperSuite, run as it runs them: RGB of 16 bits into FFmpeg's program."""

import importlib
import json
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

import vs_hdrtv
from vs_hdrtv import media
from vs_hdrtv.color.planes import rgb_to_ycbcr
from vs_hdrtv.hdr10 import MasteringDisplay

FORMAT = Path(vs_hdrtv.__file__).parents[1] / "nodes" / "vhs_formats" / "hdr10-x265.json"


def arguments(passes):
    """With the widgets at their defaults."""
    words = [each if isinstance(each, str) else each[2]["default"] if isinstance(each[1], str) else each[1][0] for each in passes]
    return [str(word) for word in words]


def test_it_is_offered(classes):
    folders = importlib.import_module("folder_paths")
    assert FORMAT.name in folders.get_filename_list("VHS_video_formats")


def test_it_makes_hdr10(tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg program, which VideoHelperSuite needs")
    found = json.loads(FORMAT.read_text("utf-8"))
    assert found["input_color_depth"] == "16bit" and MasteringDisplay().x265() in str(found["main_pass"])
    y, x = np.mgrid[:48, :64]
    rgb = np.stack([x / 90 + 0.1, y / 70 + 0.05, (x + y) / 160], axis=-1)
    path = tmp_path / "out.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", "64x48", "-r", "24", "-i", "-"]
    frames = np.round(rgb * 65535).astype("<u2").tobytes() * 6
    subprocess.run([*command, *arguments(found["main_pass"]), str(path)], input=frames, check=True)
    with media.open_media(path, "test") as file:
        stream = file.streams.video[0]
        facts = (stream.codec_context.name, stream.pix_fmt, stream.color_primaries, stream.color_trc, stream.colorspace)
        assert facts == ("hevc", "yuv420p10le", 9, 16, 9) and stream.color_range == 1
        assert media.same_display(media.stream_hdr10(file, stream)[0], MasteringDisplay())
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
    wanted = rgb_to_ycbcr(rgb.transpose(2, 0, 1)[None].astype(np.float32))
    for plane, values in zip(frame.planes, wanted, strict=True):
        got = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width].astype(float)
        assert np.abs(got - values[0, 0])[2:-2, 2:-2].mean() < 4
