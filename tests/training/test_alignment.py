import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import alignment


def film(frames=120, seed=0, shots=(0, 37, 80)):
    """(N, 18, 32) in [0, 1]: shots of a picture that pans, made by arithmetic; noise of a code."""
    y, x = np.mgrid[:18, :32]
    found = []
    for n in range(frames):
        shot = sum(n >= start for start in shots)
        rng = np.random.default_rng((seed, shot))
        ky, kx, phase, speed = rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.4), rng.uniform(0, 6), rng.uniform(0.1, 0.3)
        blob = np.exp(-(((x - rng.uniform(5, 25) - speed * n) / 6) ** 2) - ((y - rng.uniform(4, 14)) / 4) ** 2)
        picture = 0.45 + 0.25 * np.sin(kx * x + phase + speed * n) * np.cos(ky * y + phase) + 0.3 * blob
        found.append(picture + np.random.default_rng((seed, n, 9)).normal(0, 0.004, picture.shape))
    return np.clip(np.stack(found), 0, 1)


def codes(pictures, gamma=1.0, low=16, high=235):
    """As 8-bit codes after a grade."""
    return np.rint(low + (high - low) * pictures**gamma).astype(np.uint8)


def spans(found):
    return [(span.start, span.stop, span.offset) for span in found.spans]


def test_ranks_do_not_change_with_a_grade():
    pictures = np.rint(film(4) * 200).astype(np.uint8)
    graded = (20 + pictures.astype(float) ** 0.9 / 200**0.9 * 220).round(0)
    first, second = alignment.ranks(pictures), alignment.ranks(graded.astype(np.uint8))
    np.testing.assert_allclose((first * first).sum(axis=1), 1, rtol=1e-5)
    assert (first * second).sum(axis=1).min() > 0.999
    # By hand: codes 9, 5, 5, 7 have ranks 4, 1.5, 1.5, 3; less their mean 2.5, over their norm.
    hand = alignment.ranks(np.array([[[9, 5, 5, 7]]], np.uint8))
    np.testing.assert_allclose(hand[0], np.array([1.5, -1, -1, 0.5]) / np.sqrt(4.5), rtol=1e-6)
    assert not alignment.ranks(np.full((1, 18, 32), 16, np.uint8)).any()


def test_scenes_are_found_where_they_are():
    assert alignment.find_scenes(codes(film())) == [range(37), range(37, 80), range(80, 120)]
    assert alignment.find_scenes(codes(film(30, shots=(0,)))) == [range(30)]
    assert alignment.find_scenes(np.zeros((0, 18, 32), np.uint8)) == []


def test_flashes_and_fades_are_no_cuts_but_black_between_shots_is():
    pictures = film(40, shots=(0,))
    pictures[20] = 0.5 + pictures[20] / 2  # a flash
    pictures[30:] *= np.linspace(1, 0.3, 10)[:, None, None]  # a fade
    assert alignment.find_scenes(codes(pictures)) == [range(40)]
    black = film(60, shots=(0, 35))
    black[25:35] = 0
    assert alignment.find_scenes(codes(black)) == [range(25), range(25, 35), range(35, 60)]


@pytest.mark.parametrize("offset", [0, 2, -3, 17])
def test_a_constant_offset(offset):
    whole = film(160)
    start = max(0, -offset)
    hdr, sdr = codes(whole[max(0, offset) :], 0.5, 60, 180), codes(whole[start:], 1.3)
    # SDR frame = HDR frame + offset, where both begin at different frames of the same film.
    found = alignment.align(hdr, sdr)
    (span,) = found.spans
    assert span.offset == offset
    assert found.aligned == (offset == 0)
    assert found.correlation > 0.98
    lines = list(found.report())
    assert len(lines) == 1
    assert ("frame-aligned" if offset == 0 else f"{offset:+d}") in lines[0]


@pytest.mark.parametrize(("gone", "film_name"), [("sdr", "SDR"), ("hdr", "HDR")])
@pytest.mark.parametrize("where", [50, 100])
def test_a_missing_frame_is_found_with_its_place(gone, film_name, where):
    whole = film(150)
    parts = {"hdr": codes(whole[2:], 0.5, 60, 180), "sdr": codes(whole, 1.3)}
    parts[gone] = np.delete(parts[gone], where, axis=0)
    found = alignment.align(parts["hdr"], parts["sdr"])
    first, second = found.spans
    assert first.offset == 2
    assert second.offset == (1 if gone == "sdr" else 3)
    expected = where - 2 if gone == "sdr" else where
    assert abs(second.start - expected) <= 2
    lines = list(found.report())
    assert f"1 frame missing in the {film_name} film" in lines[1]
    assert f"{second.offset:+d}" in lines[1]
    # Frames next to the change have no sure partner.
    assert found.offset(second.start - 3, second.start + 3) is None
    assert found.offset(second.start + 1, second.start + 5, margin=3) is None
    assert found.offset(second.start + 5, second.start + 14, margin=3) == second.offset
    assert found.offset(0, 9, margin=3) == 2


def test_stills_do_not_invent_an_offset():
    still = np.repeat(film(1), 60, axis=0)
    noisy = [np.clip(still + np.random.default_rng(seed).normal(0, 0.01, still.shape), 0, 1) for seed in (1, 2)]
    found = alignment.align(codes(noisy[0]), codes(noisy[1], 0.6))
    assert len(found.spans) == 1


def test_other_films_are_refused():
    with pytest.raises(InputError, match="dataset: the films do not show the same pictures"):
        alignment.align(codes(film(80, seed=1)), codes(film(80, seed=2)))
    with pytest.raises(InputError, match="dataset: a film has no frames"):
        alignment.align(codes(film(5)), np.zeros((0, 18, 32), np.uint8))
    black = np.full((20, 18, 32), 16, np.uint8)
    with pytest.raises(InputError, match="dataset: the films do not show the same pictures"):
        alignment.align(black, black)
