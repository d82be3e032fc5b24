import colour
import numpy as np
import pytest

from vs_hdrtv.color.ictcp import ictcp_to_pq, pq_to_ictcp
from vs_hdrtv.color.tone_curves import bt2408, bt2446a
from vs_hdrtv.color.transfer import bt1886_eotf, pq_eotf, pq_inverse_eotf, srgb_inverse_eotf
from vs_hdrtv.metrics import conversion
from vs_hdrtv.metrics.conversion import banding, banding_ratio, grey_ramp, hue_shift, memory_color_chart


def turned(degrees):
    """BT.2408, its hues turned in the ITP plane."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))

    def method(sdr):
        i, ct, cp = pq_to_ictcp(bt2408(sdr.astype(np.float64)))
        t = ct / 2
        return ictcp_to_pq(np.stack([i, 2 * (cosine * t - sine * cp), sine * t + cosine * cp]))

    return method


def test_memory_colours_are_those_of_the_colour_checker():
    # colour-science: the chart of McCamy et al. 1976, adapted to D65; its maker rounds and averages a little differently.
    checker = colour.CCS_COLOURCHECKERS["ColorChecker 1976"]
    for name, published in conversion.MEMORY_COLORS.items():
        xyz = colour.xyY_to_XYZ(checker.data[name])
        measured = 255 * colour.XYZ_to_sRGB(xyz, checker.illuminant)
        np.testing.assert_allclose(published, measured, atol=3, err_msg=name)


def test_chart_shows_the_colours_as_published():
    chart = memory_color_chart()
    assert chart.shape == (3, 128, 128)
    assert chart.min() >= 0
    assert chart.max() <= 1
    # Second row: the published light. From BT.1886 back to sRGB codes.
    row = srgb_inverse_eotf(bt1886_eotf(chart[:, 48, 16::32].astype(np.float64))) * 255
    np.testing.assert_allclose(row.T, list(conversion.MEMORY_COLORS.values()), atol=1e-3)


@pytest.mark.parametrize("degrees", [-7.0, 3.0, 20.0])
def test_hue_shift_of_a_known_turn(degrees):
    # Turning hue in ITP moves luminance a little, and with it the angle that it is compared with.
    assert hue_shift(turned(degrees)) == pytest.approx(abs(degrees), abs=0.25)


def test_hue_shift_of_what_keeps_chromaticity_is_nothing():
    assert hue_shift(bt2408) < 0.01
    gain = lambda sdr: pq_inverse_eotf(2.5 * pq_eotf(bt2408(sdr)))  # noqa: E731
    assert hue_shift(gain) < 0.01
    # BT.2446 A scales colour differences, so that its hues move, but hardly.
    assert 0.01 < hue_shift(bt2446a) < 1


def test_ramp_has_every_code_once_and_ends_to_spare():
    ramp = grey_ramp()
    assert ramp.shape == (3, 64, 320)
    np.testing.assert_array_equal(np.rint(255 * ramp[1, 5, 32:-32]), np.arange(256))
    assert (ramp[..., :32] == 0).all()
    assert (ramp[..., -32:] == 1).all()


def test_banding_of_known_steps():
    # A straight line has no second difference; one code that is 0.01 too high has -2 x 0.01.
    assert banding(lambda sdr: sdr * 0.75) == pytest.approx(0, abs=1e-3)

    def bump(sdr):
        return 0.5 * sdr + 0.01 * (np.rint(255 * sdr) == 100)

    assert banding(bump) == pytest.approx(0.02 * 1023, rel=1e-4)


def test_fewer_levels_band_more():
    values = [banding(lambda sdr, n=n: np.rint(bt2408(sdr) * n) / n) for n in (4095, 511, 127)]
    assert values == sorted(values)
    assert banding_ratio(bt2408) == 1
    assert banding_ratio(lambda sdr: np.rint(bt2408(sdr) * 127) / 127) > 2
