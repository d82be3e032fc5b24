"""Expected numbers come from the reports (worked out in the open here, step by step as they are printed) and from zimg."""

import math

import colour
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vs_hdrtv.color import tone_curves
from vs_hdrtv.color.gamut import convert, luminance
from vs_hdrtv.color.transfer import bt1886_eotf, bt1886_inverse_eotf, pq_eotf, pq_inverse_eotf
from vs_hdrtv.errors import InputError

SDR = np.random.default_rng(0).random((3, 8, 9))
FROM_SDR = tone_curves.INVERSE_TONE_MAPS
TO_SDR = {
    "bt2446a_to_sdr": tone_curves.bt2446a_to_sdr,
    "bt2446c_to_sdr": tone_curves.bt2446c_to_sdr,
    "bt2390_eetf": lambda hdr: tone_curves.bt2390_eetf(hdr, 600.0),
}
EVERY = FROM_SDR | TO_SDR


def grey(values):
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (3, 1, np.size(values)))


# SDR to HDR


@pytest.mark.parametrize(
    ("method", "signal", "light"),
    [
        # BT.2446-1, table 4, by hand: 127.5 ** 1.20367 / 1000 = 0.3422, ** 2.4 = 0.0762; 255 ** 1.24656 = 1000.
        ("bt2446a", 0.5, 76.2),
        ("bt2446a", 1.0, 1000.0),
        # BT.2446-1, table 7, by hand: 69.849 (exp((100 - 78.99439) / 15.09968) + 0.74204) = 332.6.
        ("bt2446c", 1.0, 332.6),
        # BT.2446-1, section 6.1.4: 96 % SDR is the 203 cd/m2 of HDR Reference White.
        ("bt2446c", 0.96, 203.0),
        # BT.2408-7, section 5.1.3: SDR white at HDR Reference White.
        ("bt2408", 1.0, 203.0),
        ("bt2408", 0.5, 203 * 0.5**2.4),
        ("bt2446a", 0.0, 0.0),
        ("bt2446c", 0.0, 0.0),
        ("bt2408", 0.0, 0.0),
    ],
)
def test_levels_of_grey(method, signal, light):
    np.testing.assert_allclose(pq_eotf(FROM_SDR[method](grey(signal))), light, rtol=2e-3, atol=1e-9)


def method_a_from_sdr(sdr):
    """BT.2446-1, section 4.3, one pixel at a time as the Report has it."""
    rgb = np.clip(colour.RGB_to_RGB(sdr**2.4, "ITU-R BT.709", "ITU-R BT.2020", None), 0, None) ** (1 / 2.4)
    y = 0.2627 * rgb[0] + 0.6780 * rgb[1] + 0.0593 * rgb[2]
    cb, cr = (rgb[2] - y) / 1.8814, (rgb[0] - y) / 1.4746
    y2 = 255 * y
    low = 1.8712e-5 * y2**2 - 2.7334e-3 * y2 + 1.3141
    high = 2.8305e-6 * y2**2 - 7.4622e-4 * y2 + 1.2528
    # The exponent's result is on a scale whose white is 1000 and is coded by gamma 2.4.
    y_hdr = y2 ** (low if y2 <= 70 else high) / 1000
    gain = 1.075 * y_hdr / y if y > 0 else 1.0
    cb, cr = cb * gain, cr * gain
    red, blue = y_hdr + 1.4746 * cr, y_hdr + 1.8814 * cb
    green = y_hdr - 0.16455 * cb - 0.57135 * cr  # BT.2020-2: 0.0593 x 1.8814 / 0.6780 and 0.2627 x 1.4746 / 0.6780
    return 1000 * np.clip([red, green, blue], 0, None) ** 2.4


def test_method_a_as_the_report():
    result = pq_eotf(FROM_SDR["bt2446a"](SDR)).reshape(3, -1).T
    expected = np.array([method_a_from_sdr(pixel) for pixel in SDR.reshape(3, -1).T])
    # colour-science's matrices and the coefficients above have four digits.
    np.testing.assert_allclose(result, expected, rtol=2e-3, atol=0.05)


def method_a_to_sdr(hdr):
    """BT.2446-1, section 4.2, on BT.2020 light in cd/m2; the result before the conversion to BT.709."""
    rgb = (hdr / 1000) ** (1 / 2.4)
    y = 0.2627 * rgb[0] + 0.6780 * rgb[1] + 0.0593 * rgb[2]
    rho_hdr, rho_sdr = 1 + 32 * (1000 / 10000) ** (1 / 2.4), 1 + 32 * (100 / 10000) ** (1 / 2.4)
    p = math.log(1 + (rho_hdr - 1) * y) / math.log(rho_hdr)
    if p <= 0.7399:
        c = 1.0770 * p
    elif p < 0.9909:
        c = -1.1510 * p**2 + 2.7811 * p - 0.6302
    else:
        c = 0.5 * p + 0.5
    y_sdr = (rho_sdr**c - 1) / (rho_sdr - 1)
    f = y_sdr / (1.1 * y)
    cb, cr = f * (rgb[2] - y) / 1.8814, f * (rgb[0] - y) / 1.4746
    y_tmo = y_sdr - max(0.1 * cr, 0)
    return np.array([y_tmo + 1.4746 * cr, y_tmo - 0.16455 * cb - 0.57135 * cr, y_tmo + 1.8814 * cb])


def test_method_a_to_sdr_as_the_report():
    light = 1000 * np.random.default_rng(1).random((3, 10, 10)) ** 3
    result = tone_curves.bt2446a_to_sdr(pq_inverse_eotf(light)).reshape(3, -1).T
    coded = np.array([method_a_to_sdr(pixel) for pixel in light.reshape(3, -1).T])
    bt709 = colour.RGB_to_RGB(np.clip(coded, 0, None) ** 2.4, "ITU-R BT.2020", "ITU-R BT.709", None)
    np.testing.assert_allclose(result, np.clip(bt709, 0, 1) ** (1 / 2.4), atol=6e-3)


def test_method_a_there_and_back():
    # The Report's two directions are fits, not exact inverses: within 3 % of the signal on greys, 2/255 in the mean.
    signal = np.linspace(0, 1, 256)
    again = tone_curves.bt2446a_to_sdr(tone_curves.bt2446a(grey(signal)))
    assert np.abs(again - signal).max() < 0.03
    assert np.abs(again - signal).mean() < 2 / 255


def method_c_curve(luminance_hdr):
    """BT.2446-1, section 6.1.4, as it derives its constants: SDR 80 % is the inflection."""
    inflection = 58.535 / 0.83802
    if luminance_hdr < inflection:
        return 0.83802 * luminance_hdr
    return 15.09968 * math.log(luminance_hdr / inflection - 0.74204) + 78.99439


def test_method_c_to_sdr_as_the_report():
    # The Report works in Yxy (section 6.1.3); here by colour.RGB_to_XYZ and colour.xyY_to_XYZ.
    light = 400 * np.random.default_rng(2).random((60, 3)) ** 2
    space = colour.RGB_COLOURSPACES["ITU-R BT.2020"]
    matrix = colour.normalised_primary_matrix(space.primaries, space.whitepoint)
    xyy = colour.XYZ_to_xyY(light @ matrix.T)
    xyy[:, 2] = [method_c_curve(y) for y in xyy[:, 2]]
    bt2020 = colour.xyY_to_XYZ(xyy) @ np.linalg.inv(matrix).T / 100
    bt709 = np.moveaxis(convert(bt2020.T.reshape(3, 1, -1), "bt2020", "bt709"), 0, -1)[0]
    result = tone_curves.bt2446c_to_sdr(pq_inverse_eotf(light.T.reshape(3, 1, -1)))[:, 0].T
    np.testing.assert_allclose(result, np.clip(bt709, 0, 1) ** (1 / 2.4), atol=2e-5)


def test_method_c_constants_meet_at_the_inflection():
    # The curve and its slope are continuous in the Report's derivation; the table's five digits leave 1e-4 of it.
    around = grey(0.8 + np.array([-1e-6, 0, 1e-6]))
    low, middle, high = pq_eotf(tone_curves.bt2446c(around))[0, 0]
    assert low < middle < high
    assert high - low == pytest.approx(2 * (middle - low), rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("crosstalk", [0.0, 0.05, 0.2])
def test_method_c_is_inverted_exactly(crosstalk):
    sdr = 0.02 + 0.96 * SDR
    again = tone_curves.bt2446c_to_sdr(tone_curves.bt2446c(sdr, crosstalk), crosstalk)
    # Up to what PQ and the gap of the rounded constants at the inflection leave.
    np.testing.assert_allclose(again, sdr, atol=1e-4)


@pytest.mark.parametrize("crosstalk", [-0.01, 1 / 3, math.nan])
def test_method_c_refuses_crosstalk(crosstalk):
    with pytest.raises(InputError, match="bt2446c: crosstalk is"):
        tone_curves.bt2446c(SDR, crosstalk)


def test_methods_bt2408_and_c_keep_chromaticity():
    # BT.2446-1, section 6: the curve acts on Y of Yxy; BT.2408-7, section 5.1.3: one gain.
    light = convert(bt1886_eotf(SDR), "bt709", "bt2020")
    for method in ("bt2446c", "bt2408"):
        expanded = pq_eotf(FROM_SDR[method](SDR))
        np.testing.assert_allclose(expanded / luminance(expanded, "bt2020"), light / luminance(light, "bt2020"), rtol=1e-6)


def test_bt2408_as_zimg():
    # zimg (core.resize): BT.709 display light to BT.2020 PQ with nominal_luminance=203, float32.
    vs = pytest.importorskip("vapoursynth")
    for values in ([0.8, 0.3, 0.1], [1.0, 1.0, 1.0], [0.05, 0.5, 0.9]):
        clip = vs.core.std.BlankClip(width=16, height=16, format=vs.RGBS, length=1, color=values)
        clip = vs.core.resize.Bicubic(
            clip, matrix_in=0, transfer_in=1, primaries_in=1, transfer=16, primaries=9, nominal_luminance=203
        )
        with clip.get_frame(0) as frame:
            expected = [np.asarray(frame[plane])[0, 0] for plane in range(3)]
        result = tone_curves.bt2408(np.array(values).reshape(3, 1, 1))
        np.testing.assert_allclose(result.ravel(), expected, atol=2e-4)


@pytest.mark.parametrize("method", FROM_SDR)
@settings(deadline=None)
@given(signals=st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)))
def test_inverse_tone_maps_are_monotone_on_grey(method, signals):
    result = FROM_SDR[method](grey(sorted(signals)))
    assert (result[..., 0] <= result[..., 1] + 1e-6).all()


@pytest.mark.parametrize("method", ["bt2446a_to_sdr", "bt2446c_to_sdr"])
@settings(deadline=None)
@given(signals=st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)))
def test_tone_maps_are_monotone_on_grey(method, signals):
    result = TO_SDR[method](grey(sorted(signals)))
    # Method A's three pieces miss each other by up to 4e-4 in its published digits.
    assert (result[..., 0] <= result[..., 1] + 1e-3).all()
    assert (result >= 0).all()
    assert (result <= 1).all()


# BT.2390 EETF


def eetf(e, lw, lmax, lb, lmin):
    """BT.2390-11, section 5.4.1, steps 1 to 5, PQ by colour.models.eotf_inverse_ST2084."""
    lb, lw, lmin, lmax = (float(colour.models.eotf_inverse_ST2084(value, 10000)) for value in (lb, lw, lmin, lmax))
    e1 = (e - lb) / (lw - lb)
    min_lum, max_lum = (lmin - lb) / (lw - lb), (lmax - lb) / (lw - lb)
    ks = 1.5 * max_lum - 0.5
    e2 = e1
    if e1 >= ks:
        t = (e1 - ks) / (1 - ks)
        e2 = (2 * t**3 - 3 * t**2 + 1) * ks + (t**3 - 2 * t**2 + t) * (1 - ks) + (-2 * t**3 + 3 * t**2) * max_lum
    return (e2 + min_lum * (1 - e2) ** 4) * (lw - lb) + lb


@pytest.mark.parametrize(
    ("source", "peak", "source_black", "black"),
    [(10000.0, 1000.0, 0.0, 0.0), (4000.0, 600.0, 0.005, 0.05), (1000.0, 100.0, 0.0, 0.1)],
)
def test_eetf_as_the_report(source, peak, source_black, black):
    low, high = (float(pq_inverse_eotf(np.array(value))) for value in (source_black, source))
    signal = np.linspace(low, high, 200)
    expected = [eetf(e, source, peak, source_black, black) for e in signal]
    np.testing.assert_allclose(tone_curves.bt2390_eetf(signal, peak, source, black, source_black), expected, atol=1e-9)


def test_eetf_of_equal_peaks_is_the_identity():
    signal = np.linspace(0, float(pq_inverse_eotf(np.array(1000.0))), 100)
    np.testing.assert_allclose(tone_curves.bt2390_eetf(signal, 1000.0, 1000.0), signal, atol=1e-6)
    np.testing.assert_allclose(tone_curves.bt2390_eetf(signal, 4000.0, 1000.0), signal, atol=1e-6)


def test_eetf_end_points_and_knee():
    # Peak goes to peak, black to black, and below KS = 1.5 maxLum - 0.5 nothing changes.
    ends = pq_inverse_eotf(np.array([0.005, 4000.0]))
    result = pq_eotf(tone_curves.bt2390_eetf(ends, 600.0, 4000.0, 0.05, 0.005))
    # The Report's black lift, b (1 - E2)^4, still raises a peak of E2 < 1 a little: 600.5 cd/m2 here.
    np.testing.assert_allclose(result, [0.05, 600.0], rtol=1e-3)
    top, target = (float(pq_inverse_eotf(np.array(value))) for value in (10000.0, 1000.0))
    knee = (1.5 * target / top - 0.5) * top
    below = np.linspace(0, knee, 50)
    np.testing.assert_allclose(tone_curves.bt2390_eetf(below, 1000.0), below, atol=1e-6)
    above = np.linspace(knee + 1e-3, 1, 50)
    assert (tone_curves.bt2390_eetf(above, 1000.0) < above).all()


@given(
    signals=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    peak=st.floats(50, 10000),
    source=st.floats(50, 10000),
    black=st.floats(0, 0.4),  # of a source of 50 cd/m2 a quarter of its signal, up to which BT.2390's lift rises
)
def test_eetf_is_monotone_and_inside_the_display(signals, peak, source, black):
    low, high = tone_curves.bt2390_eetf(np.array(sorted(signals)), peak, source, black)
    assert low <= high + 1e-12
    brightest = tone_curves.bt2390_eetf(np.array([max(signals)]), peak, source)
    assert brightest[0] <= pq_inverse_eotf(np.array(min(peak, source))) + 1e-9


def test_eetf_acts_on_any_shape_and_clips_above_the_source():
    assert tone_curves.bt2390_eetf(np.ones(3), 500.0, 1000.0) == pytest.approx(pq_inverse_eotf(np.array(500.0)))


@pytest.mark.parametrize("peaks", [(0.0, 1000.0, 0.0), (100.0, 1000.0, 200.0), (float("nan"), 1000.0, 0.0)])
def test_eetf_refuses_peaks_under_black(peaks):
    peak, source, black = peaks
    with pytest.raises(InputError, match="bt2390_eetf: peak"):
        tone_curves.bt2390_eetf(np.zeros(1), peak, source, black)


# Both


@pytest.mark.parametrize("name", EVERY)
def test_bad_values(name):
    # NaN and negatives are black, infinity is the brightest there is: never NaN, never black.
    bad = grey([np.nan, -np.inf, -0.25, 0.0, np.inf])
    one = np.stack([bad[0], np.full((1, 5), 0.3), np.full((1, 5), 0.3)])
    with np.errstate(invalid="raise", divide="raise"):
        result, mixed = EVERY[name](bad), EVERY[name](one)
    np.testing.assert_array_equal(result[..., :3], result[..., 3:4] * np.ones(3))
    # The display's peak where the function has one.
    top = {"bt2390_eetf": float(pq_inverse_eotf(np.array(600.0)))}.get(name, 1.0)
    np.testing.assert_allclose(result[..., 4], top, atol=1e-9)
    assert np.isfinite(mixed).all()
    assert mixed[0, 0, 4] > mixed[0, 0, 3] + 0.1


@pytest.mark.parametrize("name", EVERY)
def test_inputs_are_left_alone(name):
    picture = SDR.copy()
    EVERY[name](picture)
    np.testing.assert_array_equal(picture, SDR)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_numpy_and_torch_agree_and_keep_the_type(name, dtype, tolerance):
    picture = SDR.astype(dtype)
    expected, result = EVERY[name](picture), EVERY[name](torch.from_numpy(picture))
    assert expected.dtype == dtype
    assert result.dtype == torch.from_numpy(picture).dtype
    if name.endswith("to_sdr"):
        # Gamma has no bounded slope at black, so SDR made of PQ is compared as light.
        expected, result = bt1886_eotf(expected), bt1886_eotf(result)
    np.testing.assert_allclose(result.numpy(), expected, atol=tolerance)


def test_gradients_are_finite():
    # Losses run through these curves: black must not give NaN gradients.
    for function in FROM_SDR.values():
        signal = torch.rand(3, 4, 4, dtype=torch.float64) * 0.9 + 0.05
        signal.requires_grad_()
        function(signal).sum().backward()
        assert torch.isfinite(signal.grad).all()


def test_inverse_of_bt1886_is_what_sdr_is_coded_with():
    # By hand: 18 % grey is 0.18 ** (1 / 2.4) = 0.4895 of the signal (BT.1886, annex 1).
    assert bt1886_inverse_eotf(np.array(0.18)) == pytest.approx(0.4895, abs=1e-4)
