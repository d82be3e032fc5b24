"""Small encoded streams that the tests of packets and containers start from."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from vs_hdrtv.output import scheduling

RATE = Fraction(24000, 1001)

# Codec -> FFmpeg's encoder, its options, samples, and the container that its stream is kept in.
ENCODERS = {
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:keyint=4:min-keyint=4"}, "yuv420p10le", "mp4"),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "keyint=4"}, "yuv420p10le", "mp4"),
    "ffv1": ("ffv1", {}, "yuv420p10le", "matroska"),
    "prores": ("prores_ks", {"profile": "hq"}, "yuv422p10le", "mov"),
}


@pytest.fixture(autouse=True)
def ordinary_threads():
    """Tests open SVT-AV1 by themselves too, and the next ones shall not run on real-time threads."""
    with scheduling.kept():
        yield


@pytest.fixture
def encoded(tmp_path):
    """A function that encodes a few 64x64 PQ frames: path of the file, and extradata and packets as the encoder gave them."""

    def make(codec, parameters="", container=None, frames=6):
        encoder, options, samples, usual = ENCODERS[codec]
        if parameters:
            key = "x265-params" if codec == "hevc" else "svtav1-params"
            options = options | {key: f"{options[key]}:{parameters}"}
        path, packets = tmp_path / f"source.{codec}", []
        with av.open(str(path), "w", format=container or usual) as file:
            stream = file.add_stream(encoder, rate=RATE, options=options)
            stream.width, stream.height, stream.pix_fmt = 64, 64, samples
            context = stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, 16, 9, 1
            if codec == "hevc" and container is None:
                context.codec_tag = "hvc1"
            file.start_encoding()
            for n in range(frames + 1):
                frame = None
                if n < frames:
                    frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 20 + 20 * n, np.uint8)).reformat(format=samples)
                    frame.pts, frame.time_base = n, 1 / RATE
                    frame.color_primaries, frame.color_trc, frame.colorspace = 9, 16, 9
                for packet in stream.encode(frame):
                    packets.append(bytes(packet))
                    file.mux_one(packet)
            extradata = bytes(context.extradata or b"")
        return path, extradata, packets

    return make
