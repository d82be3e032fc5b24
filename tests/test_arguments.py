"""Values of a wrong type are one line that names the argument; NumPy's values are taken as Python's."""

import inspect

import numpy as np
import pytest
import vapoursynth as vs

import vs_hdrtv
from vs_hdrtv import filters, presets

WRONG = (None, "x", b"x", 1.5, [], [None], {}, object(), np.array([1.5]), 1j, vs.core)


@pytest.fixture
def sdr(moving_clip):
    return moving_clip(length=2)


@pytest.mark.parametrize("name", [*filters.__all__, "sdr_to_hdr"])
def test_any_value_of_any_argument_is_taken_or_is_one_line(sdr, name):
    function = getattr(vs_hdrtv, name)
    names = list(inspect.signature(function).parameters)
    tried = 0
    for argument in names:
        for value in WRONG:
            given = {"clip": sdr} | ({"sdr": sdr} if "sdr" in names else {}) | {argument: value}
            try:
                function(**given)
            except vs.Error as error:
                assert "\n" not in str(error)
                assert ": " in str(error)
            tried += 1
    assert tried == len(names) * len(WRONG)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": "0.5"}, "sdr_to_hdr: strength is '0.5'; give a number"),
        ({"threads": True}, "sdr_to_hdr: threads is True; give a whole number or None"),
        ({"preset": None}, "sdr_to_hdr: preset is a NoneType; give text"),
        ({"ceiling": 203, "ceiling_areas": [1, 2]}, r"sdr_to_hdr: ceiling_areas is \[1, 2\]; give a list, each a list of whole"),
        ({"letterbox": 140}, "sdr_to_hdr: letterbox is 140; give a vs_hdrtv.letterbox.Letterbox or a list of whole numbers"),
        ({"matrix": float("nan")}, "sdr_to_hdr: matrix is nan; give text or a whole number or None"),
    ],
)
def test_the_line_names_argument_value_and_type(sdr, options, message):
    with pytest.raises(vs.Error, match=f"^{message}"):
        presets.sdr_to_hdr(sdr, **({"preset": "bt2408"} | options))


def test_numpys_values_are_pythons(sdr, bytes_of):
    plain = {"strength": 0.5, "ceiling": 203, "ceiling_areas": [[1, 2, 30, 20]], "letterbox": [4, 4, 0, 0]}
    numpys = {
        "strength": np.float32(0.5),
        "ceiling": np.int64(203),
        "ceiling_areas": np.array([[1, 2, 30, 20]]),
        "letterbox": np.array([4, 4, 0, 0]),
    }
    assert bytes_of(presets.sdr_to_hdr(sdr, "bt2408", **numpys)) == bytes_of(presets.sdr_to_hdr(sdr, "bt2408", **plain))
