"""Expected numbers come from colour-science and from worked-out cases."""

import math

import colour
import numpy as np
import pytest
import torch

from vs_hdrtv.color.transfer import pq_eotf, pq_inverse_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics.difference import delta_e_itp, exposure_match, psnr

RNG = np.random.default_rng(0)
REFERENCE = RNG.random((3, 40, 50)) * 0.7
OTHER = np.clip(REFERENCE + RNG.normal(0, 0.02, REFERENCE.shape), 0, 1)
KINDS = [np.asarray, torch.from_numpy]


def test_psnr_of_a_known_error():
    # By definition: an error of 0.01 everywhere is -20 log10(0.01) = 40 dB.
    assert psnr(REFERENCE + 0.01, REFERENCE) == pytest.approx(40.0, abs=1e-9)
    assert psnr(REFERENCE, REFERENCE) == math.inf


def test_psnr_clips_what_a_display_would():
    assert psnr(np.full((3, 2, 2), 1.7), np.ones((3, 2, 2))) == math.inf
    assert psnr(np.full((3, 2, 2), np.nan), np.zeros((3, 2, 2))) == math.inf


def test_delta_e_itp_as_colour_science():
    # colour.delta_E(method="ITP") on colour.RGB_to_ICtCp(method="ITU-R BT.2100-2 PQ", L_p=10000).
    first, second = (
        colour.RGB_to_ICtCp(np.moveaxis(pq_eotf(x), 0, -1), method="ITU-R BT.2100-2 PQ", L_p=10000) for x in (OTHER, REFERENCE)
    )
    expected = colour.delta_E(first, second, method="ITP").mean()
    assert delta_e_itp(OTHER, REFERENCE) == pytest.approx(expected, rel=1e-6)


def test_delta_e_itp_of_equal_pictures_and_of_greys():
    assert delta_e_itp(REFERENCE, REFERENCE) == 0
    # By hand: greys differ in I alone, 720 x 0.01.
    assert delta_e_itp(np.full((3, 2, 2), 0.51), np.full((3, 2, 2), 0.5)) == pytest.approx(7.2, rel=1e-5)


@pytest.mark.parametrize("stops", [-6.3, -1.0, 0.0, 0.37, 4.2])
def test_exposure_match_finds_a_gain(stops):
    light = pq_eotf(REFERENCE * 0.8)
    darker = pq_inverse_eotf(np.clip(light * 2.0**stops, 0, 9000))
    matched = exposure_match(darker, pq_inverse_eotf(light))
    unclipped = light * 2.0**stops < 9000
    # The search ends within 0.001 stop, about 1e-5 of PQ. A clipped picture keeps its clipping.
    tolerance = 1e-4 if unclipped.all() else 5e-3
    np.testing.assert_allclose(matched[unclipped], pq_inverse_eotf(light)[unclipped], atol=tolerance)


def test_exposure_match_never_raises_the_error():
    for gain in (0.3, 1.0, 3.0):
        hdr = pq_inverse_eotf(pq_eotf(OTHER) * gain)
        assert psnr(exposure_match(hdr, REFERENCE), REFERENCE) >= psnr(hdr, REFERENCE) - 1e-3


def test_exposure_match_is_the_minimum():
    from scipy.optimize import minimize_scalar

    # scipy.optimize.minimize_scalar, bounded, on the definition.
    hdr = pq_inverse_eotf(pq_eotf(OTHER) * 2.5 + 3)
    light = pq_eotf(hdr)
    error = lambda stops: np.mean((pq_inverse_eotf(light * 2.0**stops) - REFERENCE) ** 2)  # noqa: E731
    best = minimize_scalar(error, bounds=(-8, 8), method="bounded", options={"xatol": 1e-6})
    assert psnr(exposure_match(hdr, REFERENCE), REFERENCE) == pytest.approx(-10 * np.log10(best.fun), abs=1e-4)


def test_exposure_match_leaves_black_black():
    black = np.zeros((3, 4, 4))
    np.testing.assert_allclose(exposure_match(black, REFERENCE[:, :4, :4]), 0, atol=1e-6)
    assert np.isfinite(exposure_match(REFERENCE[:, :4, :4], black)).all()


def test_exposure_match_of_a_larger_picture_uses_every_pixel_in_the_end():
    # The coarse search skips pixels: the rows that it does not see are the only bright ones.
    reference = np.full((3, 400, 400), 0.1)
    reference[:, 1::3] = 0.6
    hdr = pq_inverse_eotf(pq_eotf(reference) * 0.7)
    np.testing.assert_allclose(exposure_match(hdr, reference), reference, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_and_torch_agree(kind, dtype):
    hdr, reference = kind(OTHER.astype(dtype)), kind(REFERENCE.astype(dtype))
    assert psnr(hdr, reference) == pytest.approx(psnr(OTHER, REFERENCE), abs=1e-3)
    assert delta_e_itp(hdr, reference) == pytest.approx(delta_e_itp(OTHER, REFERENCE), rel=1e-4)
    matched = exposure_match(hdr, reference)
    assert type(matched) is type(hdr)
    assert matched.dtype == hdr.dtype
    np.testing.assert_allclose(np.asarray(matched), exposure_match(OTHER, REFERENCE), atol=1e-4)


@pytest.mark.parametrize("function", [psnr, delta_e_itp, exposure_match])
@pytest.mark.parametrize("shapes", [((3, 4, 4), (3, 4, 5)), ((4, 4), (4, 4)), ((1, 4, 4), (1, 4, 4)), ((3, 0, 4),) * 2])
def test_shapes_that_do_not_fit_are_refused(function, shapes):
    with pytest.raises(InputError, match=f"{function.__name__}: pictures are"):
        function(np.zeros(shapes[0]), np.zeros(shapes[1]))
