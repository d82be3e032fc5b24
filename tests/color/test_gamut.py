"""Expected numbers come from colour-science and from zimg (`core.resize`)."""

import colour
import numpy as np
import pytest
import torch

from vs_hdrtv.color import gamut
from vs_hdrtv.errors import InputError

NAMES = {
    "bt709": "ITU-R BT.709",
    "bt601_625": "ITU-R BT.470 - 625",
    "bt601_525": "SMPTE C",
    "bt2020": "ITU-R BT.2020",
    "p3_d65": "P3-D65",
}
PICTURE = np.random.default_rng(0).random((3, 4, 5))


@pytest.mark.parametrize("primaries", NAMES)
def test_primaries_and_white(primaries):
    # colour.RGB_COLOURSPACES.
    space = colour.RGB_COLOURSPACES[NAMES[primaries]]
    np.testing.assert_allclose(gamut.PRIMARIES[primaries], space.primaries, atol=1e-12)
    np.testing.assert_allclose(gamut.D65, space.whitepoint, atol=1e-12)


@pytest.mark.parametrize("primaries", NAMES)
def test_rgb_to_xyz(primaries):
    # colour.normalised_primary_matrix (SMPTE RP 177).
    space = colour.RGB_COLOURSPACES[NAMES[primaries]]
    expected = colour.normalised_primary_matrix(space.primaries, space.whitepoint)
    np.testing.assert_allclose(gamut.rgb_to_xyz(primaries), expected, atol=1e-12)


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_conversion_matrix(source, target):
    # colour.matrix_RGB_to_RGB without chromatic adaptation: every white is D65. Its matrices carry published digits.
    spaces = [colour.RGB_COLOURSPACES[NAMES[name]].copy() for name in (source, target)]
    for space in spaces:
        space.use_derived_transformation_matrices(True)
    expected = colour.matrix_RGB_to_RGB(*spaces, chromatic_adaptation_transform=None)
    np.testing.assert_allclose(gamut.conversion_matrix(source, target), expected, atol=1e-10)


def test_bt709_to_bt2020_as_published():
    # BT.2087-0, section 2, M2 (four digits).
    expected = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    np.testing.assert_allclose(gamut.conversion_matrix("bt709", "bt2020"), expected, atol=5.1e-5)


@pytest.mark.parametrize("source", NAMES)
def test_convert_there_and_back_keeps_light_and_white(source):
    there = gamut.convert(PICTURE, source, "bt2020")
    np.testing.assert_allclose(gamut.convert(there, "bt2020", source), PICTURE, atol=1e-12)
    np.testing.assert_allclose(gamut.luminance(there, "bt2020"), gamut.luminance(PICTURE, source), atol=1e-12)
    np.testing.assert_allclose(gamut.convert(np.ones((3, 1, 1)), source, "bt2020"), 1, atol=1e-12)


def test_convert_to_the_same_primaries_is_the_same_array():
    assert gamut.convert(PICTURE, "bt709", "bt709") is PICTURE


def test_luminance_weights():
    # BT.709-6 item 3.2 and BT.2020-2 table 4 give four digits of the second row of the matrix.
    np.testing.assert_allclose(gamut.rgb_to_xyz("bt709")[1], [0.2126, 0.7152, 0.0722], atol=5e-5)
    np.testing.assert_allclose(gamut.rgb_to_xyz("bt2020")[1], [0.2627, 0.6780, 0.0593], atol=5e-5)


@pytest.mark.parametrize(("matrix", "name"), [("bt709", "ITU-R BT.709"), ("bt601", "ITU-R BT.601"), ("bt2020", "ITU-R BT.2020")])
def test_ycbcr_matrix(matrix, name):
    # colour.matrix_YCbCr gives Y'CbCr to R'G'B'.
    expected = np.linalg.inv(colour.matrix_YCbCr(colour.WEIGHTS_YCBCR[name]))
    np.testing.assert_allclose(gamut.ycbcr_matrix(matrix), expected, atol=1e-12)


@pytest.mark.parametrize("function", [gamut.rgb_to_xyz, gamut.ycbcr_matrix])
def test_unknown_names_are_refused(function):
    with pytest.raises(InputError, match=f"{function.__name__}: unknown .*'bt999'; choose one of"):
        function("bt999")


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_numpy_and_torch_agree_and_keep_the_type(dtype, tolerance):
    picture = PICTURE.astype(dtype)
    for function in (
        lambda x: gamut.convert(x, "bt709", "bt2020"),
        lambda x: gamut.convert(x, "bt2020", "p3_d65"),
        lambda x: gamut.luminance(x, "bt2020"),
    ):
        expected, result = function(picture), function(torch.from_numpy(picture))
        assert expected.dtype == dtype
        assert result.dtype == torch.from_numpy(picture).dtype
        np.testing.assert_allclose(result.numpy(), expected, atol=tolerance)


def test_zimg_agrees_on_linear_conversion():
    # zimg (core.resize), BT.709 to BT.2020 in linear light, float32.
    vs = pytest.importorskip("vapoursynth")
    colour_values = [0.9, 0.2, 0.05]
    clip = vs.core.std.BlankClip(width=16, height=16, format=vs.RGBS, length=1, color=colour_values)
    clip = vs.core.resize.Bicubic(clip, primaries_in=1, transfer_in=8, matrix_in=0, primaries=9, transfer=8)
    with clip.get_frame(0) as frame:
        expected = [np.asarray(frame[plane])[0, 0] for plane in range(3)]
    result = gamut.convert(np.array(colour_values).reshape(3, 1, 1), "bt709", "bt2020")
    np.testing.assert_allclose(result.ravel(), expected, atol=2e-6)
