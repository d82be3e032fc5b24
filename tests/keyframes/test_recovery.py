"""Key frames recovered over arrays: any size, any number of references, one at a time, always the same."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

from vs_hdrtv import engines, weights  # noqa: E402
from vs_hdrtv.color.overexposure import overexposure_mask  # noqa: E402
from vs_hdrtv.color.transfer import bt1886_eotf, bt1886_inverse_eotf  # noqa: E402
from vs_hdrtv.errors import InputError  # noqa: E402
from vs_hdrtv.keyframes import dis, recovery  # noqa: E402
from vs_hdrtv.keyframes.recovery import Recovery, extended  # noqa: E402

ODD = (67, 83)


@pytest.fixture
def engine():
    return engines.create("torch", device="cpu", threads=1)


@pytest.fixture
def make(engine, key_frame_models):
    """`make(off)`: a recovery by DIS and a small ICAM."""
    return lambda off: Recovery(engine, None, key_frame_models(off)[0])


def light(height=67, width=83, shift=0):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x = x + shift
    waves = [0.3 + 0.1 * np.sin(x / (4 + c)) * np.cos(y / (5 - c)) + 0.05 * np.sin((x + y) / 3) for c in range(3)]
    return np.stack(waves)[None].astype(np.float32)  # (1, 3, H, W)


def sdr(engine, *arguments, exposure=1.0, **named):
    return engine.upload(bt1886_inverse_eotf(np.clip(light(*arguments, **named) * exposure, 0, 1)).astype(np.float32))


@pytest.mark.parametrize(("size", "whole"), [((1, 1), (64, 64)), (ODD, (80, 96)), ((64, 80), (64, 80))])
def test_pictures_are_extended_by_their_edges(size, whole):
    picture = np.arange(2.0 * size[0] * size[1]).reshape(1, 2, *size)
    found = extended(picture)
    assert np.array_equal(
        found, np.pad(picture, ((0, 0), (0, 0), *((0, b - a) for a, b in zip(size, whole, strict=True))), "edge")
    )
    assert np.array_equal(extended(torch.from_numpy(picture)).numpy(), found)


@pytest.mark.parametrize("size", [(33, 40), ODD, (64, 80)])
@pytest.mark.parametrize("count", [0, 1])
def test_any_size(engine, make, size, count):
    found, used = make(0.05).recover(sdr(engine, *size), [sdr(engine, *size, shift=2)] * count)
    assert used == count
    assert found.shape == (1, 3, *size)
    assert torch.isfinite(found).all() and found.min() >= 0


def test_without_references_or_with_the_same_frame_it_starts_as_the_frames_light(engine, make):
    frame = sdr(engine)
    for references in ([], [frame], [frame] * 12):
        found, _ = make(0.0).recover(frame, references)
        np.testing.assert_allclose(found, bt1886_eotf(frame), rtol=0.02, atol=2e-3)


def test_references_change_the_result_each_in_its_turn(engine, make):
    frame, others = sdr(engine, exposure=2.8), [sdr(engine, shift=shift, exposure=0.5) for shift in (3, -2)]
    run = make(0.05)
    found = [run.recover(frame, references)[0].numpy() for references in ([], others[:1], others, others[::-1], others * 6)]
    assert len({each.tobytes() for each in found}) == 5
    assert run.recover(frame, iter(others))[0].numpy().tobytes() == found[2].tobytes()


def test_what_is_not_over_exposed_is_the_frames_own_light(engine, make):
    frame = sdr(engine, exposure=2.8)
    found, _ = make(0.05).recover(frame, [sdr(engine, shift=3, exposure=0.5)])
    own, outside = bt1886_eotf(frame), (overexposure_mask(frame) == 0).expand(-1, 3, -1, -1)
    assert 0.1 < outside.float().mean() < 0.9
    assert torch.equal(found[outside], own[outside])
    assert not torch.equal(found, own)


def test_a_clipped_texture_comes_back_in_its_place(engine, make):
    truth = light()
    truth[..., 20:45, 30:60] += 0.75  # clips in the one, and does not in the other, three pixels further right
    window = (..., slice(22, 43), slice(32, 58))
    frame = engine.upload(bt1886_inverse_eotf(np.clip(truth * 1.6, 0, 1)))
    other = engine.upload(bt1886_inverse_eotf(np.clip(np.roll(truth, 3, 3) * 0.6, 0, 1)))
    assert (frame[window] == 1).all()
    found = make(0.0).recover(frame, [other] * 4)[0].numpy()
    likeness = np.corrcoef(found[window].ravel(), truth[window].ravel())[0, 1]
    assert likeness > 0.8
    assert abs(found[window].mean() / (1.6 * truth[window].mean()) - 1) < 0.15


def test_what_shows_something_else_is_left_out(engine, make):
    frame, other = sdr(engine, exposure=2.8), sdr(engine, shift=3, exposure=0.5)
    noise = np.random.default_rng(0).random((1, 3, *ODD), dtype=np.float32)
    run = make(0.05)
    alone, used = run.recover(frame, [other])
    assert used == 1
    among, used = run.recover(frame, [engine.upload(noise), other, engine.upload(noise[..., ::-1].copy())])
    assert used == 1
    assert torch.equal(alone, among)
    nothing, used = run.recover(frame, [engine.upload(noise)])
    assert used == 0
    assert torch.equal(nothing, bt1886_eotf(frame))
    assert (run.flow(frame, engine.upload(noise)) > ODD[1]).all()  # outside
    assert not run.align(frame, engine.upload(noise))[1].any()


def test_one_reference_at_a_time(engine, make):
    alive = []

    def references():
        for shift in range(5):
            assert sum(each() is not None for each in alive) <= 1
            picture = sdr(engine, 64, 80, shift=shift)
            alive.append(weakref.ref(picture))
            yield picture
            del picture

    make(0.05).recover(sdr(engine, 64, 80), references())
    assert len(alive) == 5


def test_flow_is_that_of_dis_corrected(engine, make):
    frame, other = sdr(engine), sdr(engine, shift=3)
    initial = dis.trusted(*(extended(each.numpy())[0] for each in (frame, other)))[None, :, :67, :83]
    plain, corrected = (make(off).flow(frame, other).numpy() for off in (0.0, 0.05))
    assert plain.shape == (1, 2, *ODD)
    assert np.array_equal(plain, initial)
    assert not np.array_equal(corrected, initial)
    assert abs(np.median(plain[:, 0, 10:-10, 10:-10]) + 3) < 0.2


def test_flow_by_a_model(engine, make, key_frame_models, monkeypatch):
    asked = []

    def load(_, card, network):
        if network == "flow":
            return {"network": lambda a, b: asked.append(a.shape) or 0 * a[:, :2] + 2}
        return recovery_load(engine, card, network)

    recovery_load = recovery.load
    monkeypatch.setattr(recovery, "load", load)
    card = key_frame_models(0.0)[0]
    found = Recovery(engine, card, card).flow(sdr(engine), sdr(engine))
    assert asked == [(1, 3, 80, 96)]
    assert torch.equal(found, torch.full((1, 2, *ODD), 2.0))


def test_align(engine, make):
    frame, other = sdr(engine), sdr(engine, shift=3)
    warped, valid = make(0.0).align(frame, other)
    assert warped.shape == (1, 3, *ODD) and valid.shape == (1, 1, *ODD)
    inner = (..., slice(10, -10), slice(10, -10))
    assert (warped - frame)[inner].abs().mean() < 0.2 * (other - frame)[inner].abs().mean()
    assert valid.min() >= 0 and valid.max() <= 1
    _, shaken = make(0.05).align(frame, other)
    assert shaken.std() > 0


def test_another_network(engine, key_frame_models):
    icam, fcpm = key_frame_models(0.0)
    with pytest.raises(InputError, match="keyframes: model 'fcpm' is of network fcpm; give a model of network 'icam'"):
        Recovery(engine, None, fcpm)
    with pytest.raises(InputError, match="give a model of network 'flow'"):
        Recovery(engine, icam, icam)
    assert weights.find(icam.path).writes == "linear"
