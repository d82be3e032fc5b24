import math

import numpy as np
import pytest
import torch

from vs_hdrtv.errors import InputError
from vs_hdrtv.metrics import overexposed
from vs_hdrtv.metrics.difference import delta_e_itp_map
from vs_hdrtv.metrics.perceptual import pu21_psnr
from vs_hdrtv.metrics.registry import METRICS, NETWORK, OVEREXPOSED, choose, measure

REFERENCE = np.full((3, 48, 48), 0.5, np.float32)
SDR = np.full((3, 48, 48), 0.4, np.float32)
SDR[1, 8:24, 8:24] = 1.0  # the largest channel counts
MASKED = [METRICS[name] for name in OVEREXPOSED]


def changed(inside, outside):
    hdr = REFERENCE + np.float32(outside)
    hdr[:, 8:24, 8:24] = 0.5 + np.float32(inside)
    return hdr


def test_values_by_hand():
    mask = overexposed.mask(SDR)
    assert mask.shape == (1, 48, 48)
    assert mask.sum() == 16 * 16
    hdr = changed(0.1, 0.3)
    assert overexposed.psnr(hdr, REFERENCE, mask) == pytest.approx(20, abs=1e-4)  # 20 log10(1 / 0.1)
    # A grey differs in intensity alone: 720 times 0.1 of PQ.
    assert overexposed.delta_e_itp(hdr, REFERENCE, mask) == pytest.approx(72, rel=1e-4)
    assert overexposed.share(hdr, REFERENCE, mask) == pytest.approx(100 * 256 / 48**2)
    half = changed(0.1, 0.0)
    half[:, 8:16, 8:24] = 0.5
    assert overexposed.psnr(half, REFERENCE, mask) == pytest.approx(20 + 10 * math.log10(2), abs=1e-4)
    assert overexposed.psnr(REFERENCE, REFERENCE, mask) == math.inf
    whole = np.ones((1, 48, 48), bool)
    assert overexposed.delta_e_itp(half, REFERENCE, whole) == pytest.approx(float(np.mean(delta_e_itp_map(half, REFERENCE))))


def test_pu21_inside_is_that_of_a_picture_that_is_all_inside():
    mask, hdr = overexposed.mask(SDR), changed(0.1, 0.3)
    inside = (slice(None), slice(8, 24), slice(8, 24))
    assert overexposed.pu21_psnr(hdr, REFERENCE, mask) == pytest.approx(pu21_psnr(hdr[inside], REFERENCE[inside]), rel=1e-6)
    assert overexposed.pu21_psnr(REFERENCE, REFERENCE, mask) == math.inf
    assert math.isnan(overexposed.pu21_psnr(hdr, REFERENCE, np.zeros_like(mask)))


def test_the_mask_begins_above_the_threshold():
    sdr = np.full((3, 1, 3), 0.2)
    sdr[0] = [0.95, 0.951, np.nan]
    assert overexposed.mask(sdr).ravel().tolist() == [False, True, False]


@pytest.mark.parametrize("metric", MASKED, ids=lambda metric: metric.name)
def test_only_what_is_inside_counts(metric):
    mask = overexposed.mask(SDR)
    values = [metric.function(changed(0.05, outside), REFERENCE, mask) for outside in (0.0, 0.2)]
    assert values[0] == values[1]
    assert math.isnan(metric.function(changed(0.05, 0.2), REFERENCE, np.zeros_like(mask)))


@pytest.mark.parametrize("metric", MASKED[:4], ids=lambda metric: metric.name)
def test_direction_is_that_of_more_noise_inside(metric):
    noise = np.random.default_rng(1).normal(0, 1, REFERENCE.shape).astype(np.float32)
    mask = overexposed.mask(SDR)
    little, much = (metric.function(REFERENCE + np.float32(size) * noise, REFERENCE, mask) for size in (0.01, 0.1))
    assert (little > much) == metric.higher_is_better
    assert little != much


def test_equal_pictures_have_no_distance():
    mask = overexposed.mask(SDR)
    assert overexposed.mdsi(REFERENCE, REFERENCE, mask) == 0
    assert overexposed.vdp(REFERENCE, REFERENCE, mask) == 10


def test_arrays_and_tensors_agree():
    hdr = changed(0.1, 0.3)
    tensors = [torch.from_numpy(array) for array in (hdr, REFERENCE)]
    mask = overexposed.mask(torch.from_numpy(SDR))
    for function in (overexposed.psnr, overexposed.delta_e_itp, overexposed.share):
        assert function(*tensors, mask) == pytest.approx(function(hdr, REFERENCE, overexposed.mask(SDR)), rel=1e-5)


def test_features_of_a_given_network():
    def network(result, target):
        assert result.shape == target.shape == (1, 3, 48, 48)
        return (result - target).abs().sum()

    (metric,) = choose([NETWORK], network=network)
    found = measure([metric], changed(0.1, 0.3), REFERENCE, sdr=SDR)
    assert found[NETWORK] == pytest.approx(0.1 * 3 * 256, rel=1e-4)
    assert math.isnan(measure([metric], changed(0.1, 0.3), REFERENCE, sdr=0 * SDR)[NETWORK])
    with pytest.raises(InputError, match=f"{NETWORK} needs a network; give --perceptual"):
        choose([NETWORK])


def test_measured_with_sdr_alone_and_frame_by_frame():
    metrics = [METRICS["psnr_overexposed"], METRICS["overexposed_share"]]
    assert measure(metrics, changed(0.1, 0.0), REFERENCE) == {}
    clip, reference = np.stack([changed(0.1, 0.0), changed(0.01, 0.0)]), np.stack([REFERENCE] * 2)
    # The second frame has nothing over-exposed and counts in no mean.
    found = measure(metrics, clip, reference, 24.0, np.stack([SDR, 0 * SDR]))
    assert found["psnr_overexposed"] == pytest.approx(20, abs=1e-4)
    assert found["overexposed_share"] == pytest.approx(100 * 256 / 48**2)
    assert all(math.isnan(value) for value in measure(metrics, clip, reference, 24.0, np.stack([0 * SDR] * 2)).values())


def test_pictures_of_other_shapes_are_refused():
    mask = overexposed.mask(SDR)
    for metric in MASKED[:4]:
        with pytest.raises(InputError, match="give two of the same shape"):
            metric.function(REFERENCE[:, :40], REFERENCE, mask)
