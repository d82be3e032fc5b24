import numpy as np
import pytest
import torch

from vs_hdrtv.color.arrays import constant, mix_channels, non_negative, unit

BAD = np.array([np.nan, np.inf, -np.inf, -1.0, 0.0, 0.5, 2.0])
KINDS = [np.asarray, torch.from_numpy]


@pytest.mark.parametrize("kind", KINDS)
def test_non_negative_replaces_negatives_and_nan(kind):
    result = non_negative(kind(BAD))
    assert type(result) is type(kind(BAD))
    np.testing.assert_array_equal(np.asarray(result), [0, np.inf, 0, 0, 0, 0.5, 2])


@pytest.mark.parametrize("kind", KINDS)
def test_unit_clips_and_replaces_nan(kind):
    np.testing.assert_array_equal(np.asarray(unit(kind(BAD))), [0, 1, 0, 0, 0, 0.5, 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_follows_the_other_array(kind, dtype):
    like = kind(np.zeros(1, dtype))
    result = constant([1, 2], like)
    assert type(result) is type(like)
    assert result.dtype == like.dtype


def test_mix_channels_is_a_matrix_product_over_channels():
    rng = np.random.default_rng(1)
    matrix, picture = rng.normal(size=(2, 3)), rng.random((4, 3, 5, 7))
    np.testing.assert_allclose(mix_channels(matrix, picture), np.einsum("mc,nchw->nmhw", matrix, picture), atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_mix_channels_of_a_pixel_does_not_depend_on_the_size_of_its_picture(kind):
    rng = np.random.default_rng(2)
    matrix, picture = rng.normal(size=(3, 3)), rng.random((3, 67, 129)).astype(np.float32)
    whole = np.asarray(mix_channels(matrix, kind(picture)))
    part = np.asarray(mix_channels(matrix, kind(np.ascontiguousarray(picture[:, 5:6, 7:9]))))
    np.testing.assert_array_equal(whole[:, 5:6, 7:9], part)


def test_what_is_not_an_array_is_refused():
    with pytest.raises(TypeError):
        unit("signal")
