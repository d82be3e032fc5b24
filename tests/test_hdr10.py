"""Mastering display and content light level: their forms, and the way back from frame properties."""

import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.hdr10 import SIGNALLING, ContentLight, MasteringDisplay, x265_params


def test_the_default_display_in_x265_form() -> None:
    # The string that x265's documentation and every P3-D65, 1000 cd/m2 disc carry.
    expected = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    assert MasteringDisplay().x265() == expected


def test_frame_properties_are_in_the_order_red_green_blue() -> None:
    properties = MasteringDisplay(max_luminance=4000).frame_properties()
    assert properties["MasteringDisplayPrimariesX"] == [0.680, 0.265, 0.150]
    assert properties["MasteringDisplayPrimariesY"] == [0.320, 0.690, 0.060]
    assert properties["MasteringDisplayMaxLuminance"] == 4000
    assert properties["MasteringDisplayMinLuminance"] == 0.0001


def test_display_comes_back_from_its_properties() -> None:
    display = MasteringDisplay(white=(0.31, 0.33), min_luminance=0.005, max_luminance=600)
    assert MasteringDisplay.from_properties(display.frame_properties()) == display


def test_properties_that_lack_a_value_state_no_display() -> None:
    properties = MasteringDisplay().frame_properties()
    del properties["MasteringDisplayWhitePointY"]
    assert MasteringDisplay.from_properties(properties) is None
    assert MasteringDisplay.from_properties({}) is None


@pytest.mark.parametrize("luminance", [(0.1, 0.1), (-1, 1000), (0, 10001), (0, float("nan"))])
def test_impossible_luminance_is_refused(luminance: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="mastering_display: luminance"):
        MasteringDisplay(min_luminance=luminance[0], max_luminance=luminance[1])


def test_impossible_chromaticity_is_refused() -> None:
    with pytest.raises(InputError, match="mastering_display: chromaticity"):
        MasteringDisplay(white=(0.3127, 0))


def test_content_light_forms_and_way_back() -> None:
    light = ContentLight(1000, 180)
    assert light.x265() == "1000,180"
    assert ContentLight.from_properties(light.frame_properties()) == light


def test_zero_content_light_means_unknown() -> None:
    assert ContentLight.from_properties({"ContentLightLevelMax": 0, "ContentLightLevelAverage": 0}) is None
    assert ContentLight.from_properties({}) is None


def test_measured_light_is_never_stated_too_low() -> None:
    assert ContentLight.measured(202.1, 57.0) == ContentLight(203, 57)


def test_content_light_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="content_light"):
        ContentLight(65536, 0)


def test_signalling_code_points() -> None:
    # H.273 tables 2, 3 and 4: BT.2020 primaries 9, PQ 16, HLG 18, BT.2020 non-constant luminance 9.
    pq, hlg = (SIGNALLING[kind].frame_properties() for kind in ("pq", "hlg"))
    assert (pq["_Primaries"], pq["_Transfer"], pq["_Matrix"], pq["_Range"], pq["_ChromaLocation"]) == (9, 16, 9, 0, 2)
    assert hlg == {**pq, "_Transfer": 18}


def test_x265_parameters_state_only_what_is_known() -> None:
    bare = x265_params(SIGNALLING["pq"], None, None)
    assert "master-display" not in bare and "max-cll" not in bare
    full = x265_params(SIGNALLING["pq"], MasteringDisplay(), ContentLight(400, 80))
    assert full["max-cll"] == "400,80" and full["master-display"].startswith("G(")
    assert "hdr10" not in x265_params(SIGNALLING["hlg"], None, None)
