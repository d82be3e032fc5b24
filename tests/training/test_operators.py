import numpy as np
import pytest

from vs_hdrtv.color import tone_curves
from vs_hdrtv.color.transfer import bt1886_inverse_eotf
from vs_hdrtv.training import operators

SEEDS = range(12)
RAMP = np.concatenate([[0.0], np.geomspace(1e-5, 50, 400)])
GREY = np.broadcast_to(RAMP, (3, 1, RAMP.size)).copy()
COLOURS = np.random.default_rng(0).lognormal(-1.5, 1.5, (3, 24, 24))


def test_sets_are_apart():
    names = [*operators.SEEN, *operators.ANALYTIC, *operators.UNSEEN]
    assert len(names) == len(set(names)) == len(operators.OPERATORS)
    assert set(operators.TRAINED) == {*operators.SEEN, *operators.ANALYTIC}
    # Held out for good (design of the data): training must never draw them.
    assert set(operators.UNSEEN) == {"hable", "bt2390_gamut_mapped"}


@pytest.mark.parametrize("name", operators.OPERATORS)
@pytest.mark.parametrize("light", [GREY, COLOURS, np.zeros((3, 4, 4)), COLOURS * 1e4], ids=["grey", "colours", "black", "bright"])
def test_range(name, light):
    for seed in SEEDS:
        result = operators.OPERATORS[name](light, np.random.default_rng(seed))
        assert result.shape == light.shape
        assert np.isfinite(result).all()
        assert result.min() >= 0
        assert result.max() <= 1 + 1e-12


@pytest.mark.parametrize("name", operators.OPERATORS)
def test_monotone_on_grey_and_neutral(name):
    for seed in SEEDS:
        result = operators.OPERATORS[name](GREY, np.random.default_rng(seed))
        # As signal: what an 8-bit step (4e-3) could show. BT.2446 A's published pieces miss each other by less.
        steps = np.diff(np.asarray(bt1886_inverse_eotf(result)), axis=-1)
        assert steps.min() > -1e-3, seed
        np.testing.assert_allclose(result[0], result[1], atol=1e-6)
        np.testing.assert_allclose(result[2], result[1], atol=1e-6)


@pytest.mark.parametrize("name", operators.OPERATORS)
def test_a_function_of_light_and_seed(name):
    before = COLOURS.copy()
    first = operators.OPERATORS[name](COLOURS, np.random.default_rng(3))
    np.testing.assert_array_equal(COLOURS, before)
    np.testing.assert_array_equal(operators.OPERATORS[name](COLOURS, np.random.default_rng(3)), first)
    assert not np.array_equal(operators.OPERATORS[name](COLOURS, np.random.default_rng(4)), first) or name == "bt2446a"


@pytest.mark.parametrize("name", operators.OPERATORS)
def test_middle_grey_lands_near_middle_grey(name):
    # 0.18 of scene light is a face in the shade: no operator may bury it or blow it out.
    grey = np.full((3, 2, 2), 0.18)
    grey[:, 0, 0] = 3.0  # a highlight: some operators look at the picture's peak
    values = [operators.OPERATORS[name](grey, np.random.default_rng(seed))[1, 1, 1] for seed in SEEDS]
    assert 0.04 < np.median(values) < 0.6


@pytest.mark.parametrize(("name", "inverse"), [("bt2446a", tone_curves.bt2446a), ("bt2446c", tone_curves.bt2446c)])
def test_round_trip_of_the_analytic_operators(name, inverse):
    # BT.2446-1 states both directions: what the inverse maps its own SDR to is what it came from, up to white of the master.
    light = np.broadcast_to(np.geomspace(0.01, 0.9, 64), (3, 1, 64)).copy()
    master = operators._master(light)
    rng = np.random.default_rng(0)
    crosstalk = np.random.default_rng(0).uniform(0.0, 0.1)
    sdr = np.asarray(bt1886_inverse_eotf(operators.OPERATORS[name](light, rng)))
    arguments = {"crosstalk": crosstalk} if name == "bt2446c" else {}
    np.testing.assert_allclose(inverse(sdr, **arguments), master, atol=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_round_trip_of_camera_clip(seed):
    # A gain and a clip: below it, dividing by the gain of the same draw gives the light back.
    gain = np.random.default_rng(seed).uniform(0.8, 1.3)
    result = operators.camera_clip(COLOURS, np.random.default_rng(seed))
    kept = result < 1
    np.testing.assert_allclose(result[kept] / gain, COLOURS[kept], rtol=1e-12)


@pytest.mark.parametrize("name", sorted(set(operators.OPERATORS) - {"local_tone_map"}))
def test_curves_can_be_inverted_on_greys(name):
    # Strictly rising below clipping: a table of the curve, read backwards, gives the light back.
    for seed in SEEDS:
        result = operators.OPERATORS[name](GREY, np.random.default_rng(seed))[1, 0]
        usable = (result > 1e-4) & (result < 0.97 * result.max()) & (np.gradient(result, RAMP) > 1e-3)
        order = np.maximum.accumulate(result)
        back = np.interp(result[usable], order, RAMP)
        np.testing.assert_allclose(back, RAMP[usable], rtol=0.1)
