"""Clips and small video files that several test files make."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from vs_hdrtv import engines

engines.preload()  # before VapourSynth loads vapoursynth-mlrt-ov, whose own OpenVINO would take its place


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


@pytest.fixture
def video_file(tmp_path):
    """A function that writes a small SDR file with a moving gradient and returns its path."""
    import av

    def make(
        name="in.mp4",
        *,
        codec="libx264",
        audio="aac",
        video=True,
        size=(64, 48),
        frames=12,
        rate=Fraction(24000, 1001),
        times=None,
        tags=(1, 1, 1),
        interlaced=False,
        rotation=0,
        aspect=None,
    ):
        path = tmp_path / name
        width, height = size
        with av.open(str(path), "w") as file:
            picture = sound = None
            if video:
                picture = file.add_stream(codec, rate=rate, options={"flags": "+ildct+ilme"} if interlaced else {})
                picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
                context = picture.codec_context
                context.color_primaries, context.color_trc, context.colorspace = tags
                context.color_range = 1
                context.time_base = Fraction(1, 1000) if times else 1 / Fraction(rate)
                if aspect is not None:
                    context.sample_aspect_ratio = aspect
                if rotation:
                    picture.set_display_rotation(rotation)
            if audio:
                sound = file.add_stream(audio, rate=44100, layout="mono")
                sound.bit_rate = 64000
            for n in range(frames if video else 0):
                frame = av.VideoFrame(width, height, "yuv420p")
                for index, plane in enumerate(frame.planes):
                    samples = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                    ramp = np.linspace(40, 200, plane.width) + 2 * n if index == 0 else np.full(plane.width, 118 + 4 * index)
                    samples[:, : plane.width] = ramp.astype(np.uint8)
                frame.time_base = context.time_base
                frame.pts = times[n] if times else n
                file.mux(picture.encode(frame))
            if picture is not None:
                file.mux(picture.encode())
            if sound is not None:
                length = int(44100 * max(frames / rate, 0.2)) // 1024 * 1024
                for start in range(0, length, 1024):
                    wave = 0.4 * np.sin(2 * np.pi * 440 / 44100 * np.arange(start, start + 1024, dtype=np.float32))
                    block = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
                    block.sample_rate, block.pts, block.time_base = 44100, start, Fraction(1, 44100)
                    file.mux(sound.encode(block))
                file.mux(sound.encode())
        return path

    return make


@pytest.fixture
def run(capfd):
    """A function that runs the command line and returns exit code, standard output and standard error."""

    from vs_hdrtv import cli

    def run_it(*arguments):
        capfd.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stopped:  # argparse
            code = stopped.code
        return code, *capfd.readouterr()

    return run_it


@pytest.fixture
def film_pair(tmp_path):
    """A function that writes the HDR10 and the SDR version of one film of three shots and returns their paths.

    `late`: the SDR version begins that many frames earlier. `missing`: numbers of SDR frames to leave out. `shots`: first frames.
    """
    import av

    def picture(n, shot, width, height):
        y, x = np.mgrid[:height, :width] / height
        rng = np.random.default_rng(shot)
        wave = 0.5 + 0.3 * np.sin(rng.uniform(3, 9) * x + rng.uniform(0, 6) + 0.15 * n) * np.cos(rng.uniform(3, 9) * y + shot)
        blob = np.exp(-(((x - rng.uniform(0.2, 1.3) - 0.03 * n) / 0.25) ** 2) - ((y - rng.uniform(0.2, 0.8)) / 0.2) ** 2)
        return np.clip(0.8 * wave + 0.25 * blob, 0.05, 1)

    def write(path, pictures, codec, depth, curve, tags):
        options = {"preset": "ultrafast", "crf": "8"}
        if codec == "libx265":
            options["x265-params"] = "log-level=none:pools=none"
        height, width = pictures[0].shape
        with av.open(str(path), "w") as file:
            stream = file.add_stream(codec, rate=24, options=options)
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuv420p" if depth == 8 else "yuv420p10le"
            context = stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = *tags, 1
            scale, words = 2 ** (depth - 8), np.uint8 if depth == 8 else np.uint16
            for n, luma in enumerate(pictures):
                frame = av.VideoFrame(width, height, stream.pix_fmt)
                for plane, codes in zip(frame.planes, (16 + 219 * curve(luma), 128, 128), strict=True):
                    samples = np.frombuffer(plane, words).reshape(plane.height, -1)
                    samples[:, : plane.width] = np.rint(codes * scale).astype(words) if np.ndim(codes) else codes * scale
                frame.pts = n
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
        return path

    def make(size=(96, 64), frames=60, shots=(0, 20, 42), late=0, missing=(), hdr_size=None):
        def film(numbers, wide, tall):
            return [picture(n, sum(n >= first for first in shots), wide, tall) for n in numbers]

        hdr = film(range(late, frames), *(hdr_size or size))
        sdr = film([n for n in range(frames) if n not in missing], *size)
        return (
            write(tmp_path / "film_hdr.mkv", hdr, "libx265", 10, lambda x: 0.1 + 0.5 * x**0.6, (9, 16, 9)),
            write(tmp_path / "film_sdr.mkv", sdr, "libx264", 8, lambda x: x**1.2, (1, 1, 1)),
        )

    return make


@pytest.fixture(scope="session")
def _pdcg():
    """PDCG with two blocks instead of sixteen: the export of the whole network takes a minute."""
    import functools

    from vs_hdrtv.networks.pdcg import PDCG

    return functools.partial(PDCG, channels=32, blocks=2)


@pytest.fixture(scope="session")
def _pdcg_card(_pdcg, tmp_path_factory):
    import torch

    from vs_hdrtv import weights

    torch.manual_seed(4)
    return weights.write(_pdcg().eval(), "random", tmp_path_factory.mktemp("pdcg"), model="pdcg", licence="MIT", steady=False)


@pytest.fixture
def pdcg_card(_pdcg, _pdcg_card, monkeypatch):
    """The card of a small PDCG with seeded random weights, which the registry then makes too."""
    from vs_hdrtv.networks import registry

    monkeypatch.setitem(registry.NETWORKS, "pdcg", _pdcg)
    return _pdcg_card
