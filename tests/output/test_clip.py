"""Pictures without a frame server, encoded: the same stream as of the same frames in VapourSynth."""

from fractions import Fraction

import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import output
from vs_hdrtv.errors import InputError
from vs_hdrtv.hdr10 import SIGNALLING, MasteringDisplay
from vs_hdrtv.output import Picture, PictureClip

PROPERTIES = SIGNALLING["pq"].frame_properties() | MasteringDisplay(max_luminance=600).frame_properties()


def pictures(count, said=None):
    def make():
        for n in range(count):
            sizes = ((48, 64), (24, 32), (24, 32))
            codes = (400 + n, 512, 512)
            yield Picture(tuple(np.full(size, code, np.uint16) for size, code in zip(sizes, codes, strict=True)), PROPERTIES)

    return PictureClip(width=64, height=48, packing="yuv420p10", num_frames=said or count, fps=Fraction(25), make=make)


def write(clip, path):
    output.write(clip, path, output.choose(path.suffix, "x265", None, "ultrafast"))
    return path.read_bytes()


def test_pictures_are_encoded_as_a_clip_is(tmp_path):
    blank = vs.core.std.BlankClip(format=vs.YUV420P10, width=64, height=48, length=6, fpsnum=25)

    def fill(n, f):
        out = f.copy()
        for plane, code in enumerate((400 + n, 512, 512)):
            np.asarray(out[plane])[...] = code
        return out

    clip = blank.std.ModifyFrame(blank, fill).std.SetFrameProps(**PROPERTIES)
    assert write(pictures(6), tmp_path / "a.mp4") == write(clip, tmp_path / "b.mp4")


def test_a_slice_gives_its_own_frames():
    found = [picture[0][0, 0] for picture in pictures(6)[2:5][1:].frames()]
    assert found == [403, 404]


def test_a_video_that_ends_early_is_one_line(tmp_path):
    with pytest.raises(InputError, match="was to have 9 frames and 6 could be decoded"):
        write(pictures(6, said=9), tmp_path / "a.mp4")


def test_another_packing_than_the_encoder_takes_is_refused(tmp_path):
    with pytest.raises(InputError, match="clip is YUV420P10; pack it first"):
        output.write(pictures(2), tmp_path / "a.mp4", output.choose(".mp4", "x265", packing="yuv444p10"))
