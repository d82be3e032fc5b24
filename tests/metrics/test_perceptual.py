import math

import numpy as np
import pytest
import torch

from vs_hdrtv.color.transfer import pq_eotf, pq_inverse_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import perceptual
from vs_hdrtv.metrics.perceptual import color_video_vdp, pu21_encode, pu21_psnr, pu21_ssim

RNG = np.random.default_rng(0)
REFERENCE = np.kron(RNG.random((3, 4, 4)), np.ones((8, 8))) * 0.6
NOISE = RNG.normal(0, 1, REFERENCE.shape)


def noisy(strength):
    return np.clip(REFERENCE + strength * NOISE, 0, 1)


def flat(light, size=16):
    return np.full((3, size, size), float(pq_inverse_eotf(np.array([light]))[0]))


def test_pu21_as_its_authors_package():
    pycvvdp_utils = pytest.importorskip("pycvvdp.utils")
    light = np.geomspace(0.001, 20000, 200)
    expected = pycvvdp_utils.PU(type="banding_glare")._encode_direct(light)
    np.testing.assert_allclose(pu21_encode(light), expected, rtol=1e-9, atol=1e-9)


def test_pu21_is_made_for_eight_bits():
    # Mantiuk and Azimi 2021: 0.005 cd/m2 becomes 0 and 100 cd/m2 about 256.
    values = pu21_encode(np.array([0.0, 0.005, 100.0, 10000.0, 1e6]))
    assert values[0] == values[1] == pytest.approx(0, abs=1e-6)
    assert values[2] == pytest.approx(256, abs=0.5)
    assert values[3] == values[4]


def test_pu21_psnr_of_flat_pictures():
    # By definition: the two values' difference against 256.
    a, b = pu21_encode(np.array([50.0, 203.0]))
    assert pu21_psnr(flat(50), flat(203)) == pytest.approx(20 * math.log10(256 / (b - a)), abs=1e-4)
    assert pu21_psnr(REFERENCE, REFERENCE) == math.inf


def test_pu21_ssim_of_flat_pictures():
    # SSIM of flat pictures by hand (Wang et al. 2004), dynamic range 256 as in the authors' pu21_metric.m, above 256 too.
    for first, second in ((50.0, 203.0), (203.0, 4000.0)):
        a, b = pu21_encode(np.array([first, second]))
        c1 = (0.01 * 256) ** 2
        expected = (2 * a * b + c1) / (a**2 + b**2 + c1)
        assert pu21_ssim(flat(first), flat(second)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("function", [pu21_psnr, pu21_ssim])
def test_more_noise_is_worse_in_arrays_and_tensors(function):
    values = [function(noisy(strength), REFERENCE) for strength in (0.01, 0.03, 0.1)]
    assert values == sorted(values, reverse=True)
    tensors = function(torch.from_numpy(noisy(0.03)), torch.from_numpy(REFERENCE))
    assert tensors == pytest.approx(values[1], abs=1e-4)


def test_color_video_vdp_of_pictures_and_clips():
    pycvvdp = pytest.importorskip("pycvvdp")
    values = [color_video_vdp(noisy(strength), REFERENCE) for strength in (0, 0.02, 0.06)]
    assert values[0] == pytest.approx(10, abs=1e-3)
    assert values == sorted(values, reverse=True)
    # The package called as its manual has it.
    display = pycvvdp.cvvdp(display_name="standard_hdr_pq", device=torch.device("cpu"), quiet=True)
    assert display.pix_per_deg == pytest.approx(perceptual.PIXELS_PER_DEGREE, abs=0.05)
    pictures = [torch.from_numpy(x.astype(np.float32)) for x in (noisy(0.06), REFERENCE)]
    assert values[2] == pytest.approx(float(display.predict(*pictures, dim_order="CHW")[0]), abs=1e-4)

    still = np.stack([REFERENCE] * 4)
    flickering = pq_inverse_eotf(pq_eotf(still) * np.array([1, 1.3, 1, 1.3])[:, None, None, None])
    steady = color_video_vdp(still, still, 24)
    assert steady == pytest.approx(10, abs=1e-3)
    assert color_video_vdp(flickering, still, 24) < steady - 0.05


@pytest.mark.parametrize(
    ("function", "name", "smallest"), [(pu21_ssim, "pu21_ssim", 11), (color_video_vdp, "cvvdp", perceptual.VDP_SMALLEST)]
)
def test_small_pictures_are_refused(function, name, smallest):
    with pytest.raises(InputError, match=f"{name}: .* it needs {smallest} pixels"):
        function(np.zeros((3, smallest - 1, 40)), np.zeros((3, smallest - 1, 40)))


@pytest.mark.parametrize(("function", "name"), [(pu21_psnr, "pu21_psnr"), (pu21_ssim, "pu21_ssim"), (color_video_vdp, "cvvdp")])
def test_shapes_that_do_not_fit_are_refused(function, name):
    with pytest.raises(InputError, match=f"{name}: pictures are"):
        function(np.zeros((3, 20, 20)), np.zeros((3, 20, 21)))
