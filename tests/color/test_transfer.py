"""Expected numbers come from colour-science (named at each) and from the tables of the recommendations."""

import colour
import numpy as np
import pytest
import torch
from colour.models.rgb.transfer_functions.itur_bt_2100 import (
    gamma_function_BT2100_HLG,
    ootf_BT2100_HLG_2,
    ootf_inverse_BT2100_HLG_2,
)
from hypothesis import given
from hypothesis import strategies as st

from vs_hdrtv.color import transfer
from vs_hdrtv.errors import InputError

SIGNAL = np.linspace(0, 1, 1025)
PICTURE = np.random.default_rng(0).random((3, 8, 9))
EOTFS = {
    "pq": transfer.pq_eotf,
    "hlg": transfer.hlg_inverse_oetf,
    "bt1886": transfer.bt1886_eotf,
    "srgb": transfer.srgb_eotf,
}
INVERSES = {
    "pq": transfer.pq_inverse_eotf,
    "hlg": transfer.hlg_oetf,
    "bt1886": transfer.bt1886_inverse_eotf,
    "srgb": transfer.srgb_inverse_eotf,
}
PICTURE_FUNCTIONS = {"hlg_ootf": transfer.hlg_ootf, "hlg_inverse_ootf": transfer.hlg_inverse_ootf}
EVERY = (
    {f"{name}_eotf": function for name, function in EOTFS.items()}
    | {f"{name}_inverse": function for name, function in INVERSES.items()}
    | PICTURE_FUNCTIONS
)


def test_pq_eotf():
    # colour.models.eotf_ST2084 (SMPTE ST 2084:2014), cd/m2.
    np.testing.assert_allclose(transfer.pq_eotf(SIGNAL), colour.models.eotf_ST2084(SIGNAL), rtol=1e-9, atol=1e-12)


def test_pq_inverse_eotf():
    # colour.models.eotf_inverse_ST2084.
    light = np.concatenate([[0.0], np.geomspace(1e-6, 10000, 1000)])
    expected = colour.models.eotf_inverse_ST2084(light, 10000)
    np.testing.assert_allclose(transfer.pq_inverse_eotf(light), expected, rtol=1e-10)


@pytest.mark.parametrize(("light", "percent"), [(100.0, 51), (203.0, 58), (1000.0, 75)])
def test_pq_of_known_levels(light, percent):
    # BT.2408-7, tables 1 and 2: 203 cd/m2 is 58 % PQ; 100 and 1000 cd/m2 are 51 and 75 %.
    assert round(100 * float(transfer.pq_inverse_eotf(np.array(light)))) == percent


@pytest.mark.filterwarnings("ignore:invalid value encountered in log")  # inside colour-science
def test_hlg_oetf():
    # colour.models.oetf_BT2100_HLG, scene light normalised to [0, 1] as in BT.2100-2, table 5.
    np.testing.assert_allclose(transfer.hlg_oetf(SIGNAL), colour.models.oetf_BT2100_HLG(SIGNAL), atol=1e-12)


@pytest.mark.filterwarnings("ignore:invalid value encountered in log")  # inside colour-science
def test_hlg_oetf_as_arib_std_b67():
    # colour.models.oetf_ARIBSTDB67 takes light relative to reference white, the peak being 12; its constants have 8 digits.
    np.testing.assert_allclose(transfer.hlg_oetf(SIGNAL), colour.models.oetf_ARIBSTDB67(12 * SIGNAL), atol=1e-7)


def test_hlg_inverse_oetf():
    # colour.models.oetf_inverse_BT2100_HLG.
    np.testing.assert_allclose(transfer.hlg_inverse_oetf(SIGNAL), colour.models.oetf_inverse_BT2100_HLG(SIGNAL), atol=1e-12)


@pytest.mark.parametrize("peak", [400.0, 1000.0, 1600.0, 2000.0])
def test_hlg_system_gamma_between_400_and_2000(peak):
    # colour-science gamma_function_BT2100_HLG (BT.2100-2, table 5, note 5f).
    assert transfer.hlg_system_gamma(peak) == pytest.approx(gamma_function_BT2100_HLG(peak), abs=1e-12)


@pytest.mark.parametrize(("peak", "gamma"), [(250.0, 0.972), (4000.0, 1.481), (1000 / 2**4, 0.788)])
def test_hlg_system_gamma_outside(peak, gamma):
    # By hand: 1.2 x 1.111^-2 = 0.9722, 1.2 x 1.111^2 = 1.4812, 1.2 x 1.111^-4 = 0.7876 (BT.2390-11, section 6.2).
    assert transfer.hlg_system_gamma(peak) == pytest.approx(gamma, abs=1e-3)


@pytest.mark.parametrize("peak", [0.0, -5.0, float("nan")])
def test_hlg_system_gamma_refuses(peak):
    with pytest.raises(InputError, match="hlg_system_gamma: peak is"):
        transfer.hlg_system_gamma(peak)


@pytest.mark.parametrize("peak", [600.0, 1000.0])
def test_hlg_ootf(peak):
    # colour-science ootf_BT2100_HLG_2 (BT.2100-2, black level 0); its luminance weights have 4 digits, hence 1e-4.
    expected = np.moveaxis(ootf_BT2100_HLG_2(np.moveaxis(PICTURE, 0, -1), peak), -1, 0)
    np.testing.assert_allclose(transfer.hlg_ootf(PICTURE, peak), expected, rtol=1e-4)


@pytest.mark.parametrize("peak", [600.0, 1000.0])
def test_hlg_inverse_ootf(peak):
    # colour-science ootf_inverse_BT2100_HLG_2.
    display = PICTURE * peak
    expected = np.moveaxis(ootf_inverse_BT2100_HLG_2(np.moveaxis(display, 0, -1), peak), -1, 0)
    np.testing.assert_allclose(transfer.hlg_inverse_ootf(display, peak), expected, rtol=1e-4)


def test_hlg_reference_white():
    # BT.2408-7, table 1: 75 % HLG is 203 cd/m2 on a 1000 cd/m2 display.
    scene = transfer.hlg_inverse_oetf(np.full((3, 1, 1), 0.75))
    np.testing.assert_allclose(transfer.hlg_ootf(scene), 203.0, atol=0.5)


@pytest.mark.parametrize("peak", [100.0, 300.0, 1000.0, 4000.0])
def test_hlg_ootf_round_trip_and_black(peak):
    scene = np.concatenate([PICTURE, np.zeros((3, 1, 9))], axis=1)
    display = transfer.hlg_ootf(scene, peak)
    # The system gamma is below 1 under 301 cd/m2: black to a negative power must still be black.
    np.testing.assert_array_equal(display[:, -1], 0)
    np.testing.assert_allclose(transfer.hlg_inverse_ootf(display, peak), scene, rtol=1e-9)


@pytest.mark.parametrize("black", [0.0, 0.001, 0.01])
def test_bt1886(black):
    # colour.models.eotf_BT1886 and eotf_inverse_BT1886 with L_W = 1, L_B = black.
    light = colour.models.eotf_BT1886(SIGNAL, L_B=black, L_W=1)
    np.testing.assert_allclose(transfer.bt1886_eotf(SIGNAL, black), light, atol=1e-12)
    expected = colour.models.eotf_inverse_BT1886(light, L_B=black, L_W=1)
    np.testing.assert_allclose(transfer.bt1886_inverse_eotf(light, black), expected, atol=1e-12)


def test_srgb():
    # colour.models.eotf_sRGB and eotf_inverse_sRGB (IEC 61966-2-1:1999).
    np.testing.assert_allclose(transfer.srgb_eotf(SIGNAL), colour.models.eotf_sRGB(SIGNAL), atol=1e-12)
    np.testing.assert_allclose(transfer.srgb_inverse_eotf(SIGNAL), colour.models.eotf_inverse_sRGB(SIGNAL), atol=1e-12)


@pytest.mark.parametrize("name", EOTFS)
@given(signal=st.floats(0, 1))
def test_round_trip(name, signal):
    # In float64; PQ loses digits near black, where 1e-7 of the signal is 1e-9 cd/m2.
    again = INVERSES[name](EOTFS[name](np.array([signal])))
    np.testing.assert_allclose(again, signal, atol=1e-6 if name == "pq" else 1e-7)


@pytest.mark.parametrize("name", EOTFS)
@given(signals=st.tuples(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5)))
def test_monotone(name, signals):
    low, high = EOTFS[name](np.array(sorted(signals)))
    assert low <= high
    low, high = INVERSES[name](np.array(sorted(signals)))
    # sRGB's two pieces miss each other by 4e-8 of white in the standard's own rounded constants.
    assert low <= high + 1e-7


@pytest.mark.parametrize("name", EVERY)
def test_bad_values(name):
    bad = np.broadcast_to(np.array([np.nan, -np.inf, -0.25, 0.0, np.inf]), (3, 1, 5)).copy()
    with np.errstate(all="raise"):
        result = EVERY[name](bad)
    assert not np.isnan(result).any()
    np.testing.assert_array_equal(result[..., :3], result[..., 3:4] * np.ones(3))  # NaN and negatives are black
    peak = {"pq_eotf": 10000.0, "pq_inverse": 1.0}.get(name, np.inf)
    np.testing.assert_array_equal(result[..., 4], peak)


@pytest.mark.parametrize("name", EOTFS)
def test_black_is_black(name):
    assert EOTFS[name](np.zeros(1))[0] == 0


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_numpy_and_torch_agree_and_keep_the_type(name, dtype, tolerance):
    picture = (PICTURE * (1000 if name in ("pq_inverse", "hlg_inverse_ootf") else 1)).astype(dtype)
    expected, result = EVERY[name](picture), EVERY[name](torch.from_numpy(picture))
    assert expected.dtype == dtype
    assert result.dtype == torch.from_numpy(picture).dtype
    # PQ light in float32 is compared as signal: one rounding of the signal is worth up to 2e-5 of the light.
    relative = 1e-4 if name == "pq_eotf" and dtype == np.float32 else tolerance
    np.testing.assert_allclose(result.numpy(), expected, rtol=relative, atol=tolerance)
