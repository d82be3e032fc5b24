"""Lossless HDR files of known patches."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest


@pytest.fixture
def patch_file(tmp_path):
    """A function that writes a lossless 10-bit file, 64x48, each frame one colour, and returns its path.

    `signals`: R', G', B' in [0, 1] of each frame; `transfer`: code point of H.273.
    """
    import av

    from vs_hdrtv.color.gamut import ycbcr_matrix

    def make(signals, name="patch.mkv", *, transfer=16, primaries=9, matrix=9, times=None):
        path = tmp_path / name
        kr = {9: "bt2020", 1: "bt709"}[matrix]
        with av.open(str(path), "w") as file:
            parameters = "lossless=1:bframes=0:log-level=none"
            stream = file.add_stream("libx265", rate=Fraction(24), options={"preset": "ultrafast", "x265-params": parameters})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p10le"
            context = stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = primaries, transfer, matrix, 1
            context.time_base = Fraction(1, 1000) if times else Fraction(1, 24)
            for n, signal in enumerate(signals):
                # BT.2100-2, table 9: limited range, 10 bits.
                y, cb, cr = ycbcr_matrix(kr) @ np.array(signal)
                codes = np.rint([876 * y + 64, 896 * cb + 512, 896 * cr + 512])
                frame = av.VideoFrame(64, 48, "yuv444p10le")
                for plane, code in zip(frame.planes, codes, strict=True):
                    samples = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)
                    samples[:, : plane.width] = int(code)
                frame.pts, frame.time_base = (times[n] if times else n), context.time_base
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
        return path

    return make
