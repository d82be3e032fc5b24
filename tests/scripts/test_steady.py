"""scripts/steady.py with a network whose statistics are known: expected numbers follow from them."""

from types import SimpleNamespace

import numpy as np
import pytest

GAIN = 0.5
"""Of the mean of the frame that the network adds everywhere."""


@pytest.fixture
def asked(monkeypatch):
    """A model in the place of what is shipped; the list of the frames whose statistics were computed."""
    from vs_hdrtv import engines, weights
    from vs_hdrtv.networks.parts import WHOLE, Part

    frames = []

    def statistics(sdr):
        frames.append(sdr)
        return sdr.mean(axis=(1, 2, 3), keepdims=True)

    graphs = {
        f"{WHOLE}.statistics": statistics,
        f"{WHOLE}.steady": lambda sdr, vector: 0.1 * sdr + GAIN * vector,
    }

    class Engine:
        def load(self, card, graph):
            return graphs[graph]

        def upload(self, array):
            return array

        def download(self, array):
            return array

    card = SimpleNamespace(
        name="own",
        path="own",
        reads=("sdr",),
        writes="hdr",
        safetensors_sha256="",
        parts={WHOLE: Part({"sdr": (0,)}, "hdr", ("sdr",))},
        graph=lambda name: SimpleNamespace(sha256=name),
    )
    monkeypatch.setattr(weights, "find", lambda model: card)
    monkeypatch.setattr(engines, "create", lambda name: Engine())
    return frames


def test_every_window_at_once(script, asked):
    levels = np.array([0.1, 0.5, 0.2, 0.6, 0.3])
    sdr = (levels[:, None, None, None] * np.ones((1, 3, 4, 6))).astype(np.float32)
    found = script.Windows("own", [0, 1], "torch").convert(sdr)
    assert len(asked) == 5  # once a frame, whatever is made of it
    means = {0: levels, 1: np.array([0.7 / 3, 0.8 / 3, 1.3 / 3, 1.1 / 3, 1.2 / 3])}
    for steady, (own, later) in found.items():
        expected = 0.1 * levels + GAIN * means[steady]
        np.testing.assert_allclose(own, expected[:, None, None, None] * np.ones((1, 3, 4, 6)), rtol=1e-5)
        np.testing.assert_allclose(later[:, 0, 0, 0], 0.1 * levels[:-1] + GAIN * means[steady][1:], rtol=1e-5)
        steps = 1023 * GAIN * np.abs(np.diff(means[steady])).mean()
        assert script.change(own, later) == pytest.approx(steps, rel=1e-4)


def test_the_table(script, asked, tmp_path, capsys):
    import cv2

    rng = np.random.default_rng(0)
    small = np.exp(rng.normal(0, 1.5, (16, 32, 3))).astype(np.float32)
    picture = cv2.resize(small, (256, 128), interpolation=cv2.INTER_CUBIC).clip(1e-3)
    cv2.imwrite(str(tmp_path / "quarry_02_1k.hdr"), picture)  # of the test split
    words = ["--data", str(tmp_path), "--clips", "1", "--frames", "4", "--size", "32", "--steady", "0", "2"]
    assert script.main(words) == 0
    tables = capsys.readouterr().out.strip().split("\n\n")
    assert [text.split("|")[1].strip() for text in tables] == [f"hdcfm: {kind} (1)" for kind in script.SETS]
    for text in tables:
        rows = {line.split(" | ")[0].strip("| "): line.strip("|").split(" | ")[1:] for line in text.splitlines()[2:]}
        assert list(rows) == ["SDR", "BT.2408", "k = 0", "k = 2"]
        assert rows["SDR"][2:] == ["-", "-", "- "]
        before, after = float(rows["k = 0"][2]), float(rows["k = 2"][2].split()[0])
        assert after < before


@pytest.mark.parametrize("words", [["--steady", "-1"], ["--size", "33"], ["--frames", "2"], ["--data", "nowhere"]])
def test_bad_arguments_are_one_line(script, asked, words, tmp_path, capsys):
    assert script.main(["--data", str(tmp_path), *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
