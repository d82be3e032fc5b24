"""Mastering display and content light level: their forms, and the way back from frame properties."""

import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.hdr10 import ENCODER_ARGUMENTS, SIGNALLING, ContentLight, MasteringDisplay, x265_params
from vs_hdrtv.output import hevc


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


def test_payloads_of_h265_and_the_iso_boxes() -> None:
    # The SEI messages that x265 4.x writes for --master-display "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)
    # L(10000000,1)" --max-cll "1000,400"; H.265, D.2.28 and D.2.35.
    assert MasteringDisplay().coded().hex() == "33c286c41d4c0bb884d03e803d1340420098968000000001"
    assert ContentLight(1000, 400).coded().hex() == "03e80190"


def test_payload_of_av1() -> None:
    # The metadata OBU that SVT-AV1 4.2 writes for the same display; AV1 specification, 5.8.4: red first, 0.16, 24.8 and 18.14.
    assert MasteringDisplay().av1().hex() == "ae1451ec43d7b0a426660f5c500d54390003e80000000002"


def test_svt_av1_takes_plain_numbers() -> None:
    assert MasteringDisplay().svt_av1() == "G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.0001)"


def test_arguments_say_all_that_y4m_does_not() -> None:
    facts = SIGNALLING["pq"], MasteringDisplay(), ContentLight(1000, 400), Fraction(4, 3)
    x265, svt_av1, nvenc = (" ".join(ENCODER_ARGUMENTS[name](*facts)) for name in ("x265", "svt-av1", "nvenc"))
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    # x265 documentation, "VUI" and "SEI"; SVT-AV1 user guide, appendix A.2; NVEncC options.
    for word in ("--colorprim bt2020", "--transfer smpte2084", "--colormatrix bt2020nc", "--chromaloc 2", "--repeat-headers"):
        assert word in x265 and word in nvenc
    assert "--range limited" in x265 and "--colorrange limited" in nvenc
    assert f"--master-display {display}" in x265 and f"--master-display {display}" in nvenc
    assert "--max-cll 1000,400" in x265 and "--max-cll 1000,400" in nvenc
    assert "--sar 4:3" in x265 and "--sar 4:3" in nvenc
    assert "--color-primaries 9 --transfer-characteristics 16 --matrix-coefficients 9 --color-range 0" in svt_av1
    assert "--chroma-sample-position topleft" in svt_av1
    assert f"--mastering-display {MasteringDisplay().svt_av1()} --content-light 1000,400" in svt_av1


@pytest.mark.parametrize("encoder", ENCODER_ARGUMENTS)
def test_hlg_arguments_state_no_light(encoder: str) -> None:
    words = ENCODER_ARGUMENTS[encoder](SIGNALLING["hlg"], None, None)
    assert "18" in words or "arib-std-b67" in words
    assert not [word for word in words if "display" in word or "light" in word or "cll" in word or "sar" in word]


def test_full_range_and_left_chroma_are_said() -> None:
    said = replace(SIGNALLING["pq"], full_range=True, chroma_location=0)
    words = {name: ENCODER_ARGUMENTS[name](said, None, None) for name in ENCODER_ARGUMENTS}
    assert "full" in words["x265"] and "full" in words["nvenc"]
    assert words["svt-av1"][words["svt-av1"].index("--color-range") + 1] == "1"
    assert words["svt-av1"][-1] == "left"
    assert said.frame_properties()["_Range"] == 1


@pytest.mark.parametrize(("name", "binary"), [("x265", "x265"), ("svt-av1", "SvtAv1EncApp")])
def test_the_encoders_take_these_arguments(name: str, binary: str, tmp_path: Path) -> None:
    program = shutil.which(binary)
    if program is None:
        pytest.skip(f"{binary} is not on PATH")
    (tmp_path / "in.y4m").write_bytes(b"YUV4MPEG2 W64 H64 F25:1 C420p10\n" + (b"FRAME\n" + bytes(64 * 64 * 3)) * 3)
    display, light = MasteringDisplay(max_luminance=600), ContentLight(777, 123)
    options = {
        "x265": ["--y4m", "--input", "in.y4m", "--preset", "ultrafast", "--output", "out"],
        "svt-av1": ["-i", "in.y4m", "--preset", "12", "-b", "out"],
    }
    said = ENCODER_ARGUMENTS[name](SIGNALLING["pq"], display, light)
    done = subprocess.run([program, *options[name], *said], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "out").read_bytes()
    assert (hevc.escape(display.coded()) if name == "x265" else display.av1()) in written
    assert light.coded() in written
