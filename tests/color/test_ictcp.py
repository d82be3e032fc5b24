"""Expected numbers come from colour-science."""

import colour
import numpy as np
import pytest
import torch

from vs_hdrtv.color.ictcp import pq_to_ictcp
from vs_hdrtv.color.transfer import pq_eotf

SIGNAL = np.random.default_rng(0).random((3, 6, 7))


def test_as_colour_science():
    # colour.RGB_to_ICtCp(method="ITU-R BT.2100-2 PQ", L_p=10000) on BT.2020 light in cd/m2.
    light = np.moveaxis(pq_eotf(SIGNAL), 0, -1)
    expected = colour.RGB_to_ICtCp(light, method="ITU-R BT.2100-2 PQ", L_p=10000)
    np.testing.assert_allclose(np.moveaxis(pq_to_ictcp(SIGNAL), 0, -1), expected, atol=1e-9)


def test_grey_has_no_chroma_and_keeps_its_signal():
    # The rows of BT.2100-2's matrices sum to 1 (LMS), and to 1, 0 and 0.
    grey = np.broadcast_to(np.linspace(0, 1, 11), (3, 1, 11))
    intensity, tritan, protan = pq_to_ictcp(grey)
    np.testing.assert_allclose(intensity, grey[0], atol=1e-6)
    np.testing.assert_allclose([tritan, protan], 0, atol=1e-9)


def test_nan_is_black():
    bad = np.full((3, 1, 1), np.nan)
    np.testing.assert_array_equal(pq_to_ictcp(bad), pq_to_ictcp(np.zeros((3, 1, 1))))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_numpy_and_torch_agree_and_keep_the_type(dtype, tolerance):
    signal = SIGNAL.astype(dtype)
    expected, result = pq_to_ictcp(signal), pq_to_ictcp(torch.from_numpy(signal))
    assert expected.dtype == dtype
    assert result.dtype == torch.from_numpy(signal).dtype
    # Ct multiplies the rounding of PQ in float32 by up to 4.3 (17933 / 4096).
    np.testing.assert_allclose(result.numpy(), expected, atol=tolerance * (4.4 if dtype == np.float32 else 1))
