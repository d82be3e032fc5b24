"""What several tests of metrics share: lossless video files of flat frames, and a card."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture
def grey_file(tmp_path):
    """A function that writes a 10-bit FFV1 file, 64x48, limited range, each frame one grey, and returns its path.

    `transfer`: code point of H.273, 1 for SDR (BT.709) and 16 for PQ (BT.2020).
    """
    import av

    def make(name, levels, *, transfer=16, size=(64, 48)):
        path = tmp_path / name
        matrix = {1: 1, 16: 9}[transfer]
        with av.open(str(path), "w") as file:
            stream = file.add_stream("ffv1", rate=Fraction(25))
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p10le"
            context = stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = matrix, transfer, matrix, 1
            for number, level in enumerate(levels):
                frame = av.VideoFrame(*size, "yuv420p10le")
                for plane, code in zip(frame.planes, (round(64 + 876 * level), 512, 512), strict=True):
                    np.frombuffer(plane, np.uint16)[:] = code
                frame.pts, frame.time_base = number, Fraction(1, 25)
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
        return path

    return make


@pytest.fixture
def card(tmp_path):
    """A card alone: no file of a network is read here."""
    from vs_hdrtv import modelcard, weights

    fields = {
        "name": "own",
        "network": "hdcfm",
        "paper": "none",
        "parameters": 1,
        "reads": "sdr",
        "writes": "hdr",
        "licence": "MIT",
        "preview": True,
        "files": {kind: {"name": f"own.{kind}", "sha256": "0"} for kind in ("safetensors", "onnx")},
    }
    (tmp_path / "own.toml").write_text(modelcard.to_toml(fields))
    return weights.find(tmp_path / "own.toml")


class Model:
    """What stands for a card and its network: `graphs` has a function of numpy arrays for each graph."""

    def __init__(self, reads, writes="hdr", statistics=(), **graphs):
        from vs_hdrtv.networks.parts import WHOLE, Part

        self.name = self.path = str(id(self))
        self.reads, self.writes = tuple(reads), writes
        self.parts = {WHOLE: Part(dict(reads), writes, statistics)}
        self.graphs = graphs
        self.safetensors_sha256 = ""

    def graph(self, name):
        return SimpleNamespace(sha256=name)


@pytest.fixture
def fake_models(monkeypatch):
    """A function that puts `Model`s in the place of what is shipped, and returns the list of engines that were asked for."""
    from vs_hdrtv import engines, weights

    class Engine:
        def load(self, card, graph):
            return card.graphs[graph.replace(".", "_")]

        def upload(self, array):
            assert array.ndim == 4
            assert array.dtype == np.float32
            return array

        def download(self, array):
            return array

    def install(models):
        asked = []
        monkeypatch.setattr(engines, "create", lambda name: asked.append(name) or Engine())
        monkeypatch.setattr(weights, "find", models.__getitem__)
        return asked

    return install


@pytest.fixture
def model():
    """The class `Model`."""
    return Model
