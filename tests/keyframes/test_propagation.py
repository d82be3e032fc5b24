"""Propagation over arrays is FCPM's own forward pass, whatever the size and the segment."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

from vs_hdrtv import engines, weights  # noqa: E402
from vs_hdrtv.color.transfer import bt1886_eotf  # noqa: E402
from vs_hdrtv.errors import InputError  # noqa: E402
from vs_hdrtv.keyframes.propagation import HELD, Propagation  # noqa: E402
from vs_hdrtv.keyframes.recovery import Recovery  # noqa: E402

KEYS = [(0, 1, 0, 1, 0), (0, 1, 0, 1, 0), (1, 0, 1, 0, 1)]


@pytest.fixture
def engine():
    return engines.create("torch", device="cpu", threads=1)


@pytest.fixture
def make(engine, key_frame_models):
    """`make(off)`: a propagation, and the recovery whose flow it takes."""

    def propagation(off):
        icam, fcpm = key_frame_models(off)
        recovery = Recovery(engine, None, icam)
        return Propagation(recovery, engine, fcpm), recovery

    return propagation


def frame(n, height=64, width=80):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [0.5 + 0.2 * np.sin((x + 2 * n) / (4 + c)) * np.cos(y / (5 - c)) + 0.02 * n for c in range(3)]
    return torch.from_numpy(np.stack(waves)[None].astype(np.float32))  # (1, 3, H, W)


def test_a_segment_is_the_networks_forward_pass(make, key_frame_models):
    runner, recovery = make(0.05)
    icam, fcpm = (weights.load_network(card) for card in key_frame_models(0.05))
    frames, sources = [frame(n) for n in range(3)], [frame(n) for n in (0, 2)]
    keyframes = [1.5 * bt1886_eotf(each) for each in sources]
    found = list(runner.propagate(frames, keyframes, sources, KEYS))

    def flow(one, other):
        return icam.correct(icam.encode(one), icam.encode(other), recovery._initial(one, other))

    with torch.no_grad():
        key_flows = [[flow(frames[t], sources[key]) for key in keys] for t, keys in enumerate(KEYS)]
        forth, back = ([flow(frames[t + a], frames[t + b]) for t in range(2)] for a, b in ((0, 1), (1, 0)))
        expected = fcpm(frames, keyframes, KEYS, key_flows, forth, back)
    torch.testing.assert_close(torch.stack(found, 1), expected, rtol=1e-4, atol=1e-5)
    assert (expected[:, 1] - bt1886_eotf(frames[1])).abs().max() > 0.01


@pytest.mark.parametrize("size", [(33, 40), (67, 83)])
def test_any_size(make, size):
    frames = [frame(n, *size) for n in range(2)]
    found = list(make(0.05)[0].propagate(frames, [bt1886_eotf(frames[0])], frames[:1], [(0,) * 5] * 2))
    assert [each.shape for each in found] == [(1, 3, *size)] * 2
    assert all(torch.isfinite(each).all() and each.min() >= 0 for each in found)


@pytest.mark.parametrize("count", [0, 1])
def test_short_segments(make, count):
    frames = [frame(n) for n in range(count)]
    found = list(make(0.0)[0].propagate(frames, [bt1886_eotf(frame(0))], [frame(0)], [(0,) * 5] * count))
    assert len(found) == count
    for each in found:  # the key frame itself
        torch.testing.assert_close(each, bt1886_eotf(frame(0)), rtol=0.02, atol=2e-3)


def test_a_frame_is_seen_once_while_it_is_needed(make, monkeypatch):
    runner, recovery = make(0.0)
    seen, see = [], recovery.see
    monkeypatch.setattr(recovery, "see", lambda sdr: seen.append(1) or see(sdr))
    monkeypatch.setattr(recovery, "_initial", lambda one, other: 0 * one[:, :2])
    count = 2 * HELD
    frames = [frame(n) for n in range(count)]
    light = [bt1886_eotf(each) for each in frames[:5]]
    list(runner.propagate(frames, light, frames[:5], [(0, 1, 2, 3, 4)] * count))
    # Merged, then backward, then forward: three times all frames, less those held where a pass turns; and the key frames.
    assert 2 * count < len(seen) <= 3 * count + 5


def test_same_bytes_again(make):
    runner, _ = make(0.05)
    frames, sources = [frame(n) for n in range(3)], [frame(n) for n in (0, 2)]
    arguments = frames, [bt1886_eotf(each) for each in sources], sources, KEYS
    one, other = ([each.numpy().tobytes() for each in runner.propagate(*arguments)] for _ in range(2))
    assert one == other


def test_another_network(make, engine, key_frame_models):
    icam, _ = key_frame_models(0.0)
    with pytest.raises(InputError, match="keyframes: model 'icam' is of network icam; give a model of network 'fcpm'"):
        Propagation(make(0.0)[1], engine, icam)
