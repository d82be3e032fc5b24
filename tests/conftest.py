"""Clips that several test files make."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def moving_clip():
    """A function that makes a clip of moving colour patches with noise, the same at every call.

    `moving_clip(format, width, height, length, **props)`; properties go on every frame.
    """
    import vapoursynth as vs

    def make(video_format=None, width=64, height=48, length=6, **props):
        video_format = vs.YUV420P8 if video_format is None else video_format
        blank = vs.core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=length, fpsnum=24000, fpsden=1001)

        def fill(n, f):
            out = f.copy()
            noise = np.random.default_rng(n).random((3, height, width), dtype=np.float32)
            y, x = np.mgrid[:height, :width].astype(np.float32)
            for plane in range(3):
                wave = 0.5 + 0.45 * np.sin((x + 3 * n) / (5 + plane) + y / (7 - plane))
                np.asarray(out[plane])[...] = np.clip(0.9 * wave + 0.1 * noise[plane], 0, 1)
            out.props["frame_number"] = n
            return out

        clip = blank.std.ModifyFrame(blank, fill)
        if clip.format.id != video_format:
            family = vs.core.get_video_format(video_format).color_family
            arguments = {} if family == vs.RGB else {"matrix": 1, "range": 0}
            clip = clip.resize.Bicubic(format=video_format, **arguments)
        tags = {"_Transfer": 1, "_Primaries": 1} | props
        return clip.std.SetFrameProps(**tags)

    return make


@pytest.fixture
def bytes_of():
    """A function that gives the bytes of some frames of a clip, asked for in the order given."""

    def read(clip, order=None):
        order = list(range(clip.num_frames)) if order is None else order
        found = {}
        for n in order:
            with clip.get_frame(n) as frame:
                found[n] = b"".join(np.asarray(frame[plane]).tobytes() for plane in range(frame.format.num_planes))
        return [found[n] for n in sorted(found)]

    return read
