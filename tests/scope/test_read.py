"""Light and colour of files of known patches."""

import numpy as np
import pytest

from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.color.transfer import hlg_inverse_oetf, hlg_ootf, pq_eotf, pq_inverse_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.scope import read, report

COLOURS = [(0.2, 0.5, 0.7), (0.75, 0.75, 0.75), (0.6, 0.1, 0.1), (0.0, 0.0, 0.0), (0.4, 0.4, 0.1)]


def middle(video: read.Video, number: int) -> np.ndarray:
    return video.picture(number)[0][:, 20, 30]


@pytest.mark.parametrize(
    ("transfer", "primaries", "matrix", "kind"), [(16, 9, 9, "PQ"), (18, 9, 9, "HLG"), (1, 1, 1, "SDR")], ids=["PQ", "HLG", "SDR"]
)
def test_every_kind_becomes_pq(patch_file, transfer, primaries, matrix, kind) -> None:
    video = read.open_video(patch_file(COLOURS, transfer=transfer, primaries=primaries, matrix=matrix), "test")
    assert video.kind == kind
    # BT.2100-2, table 5 (HLG, 1000 cd/m2); BT.2408-7, section 5.1.3 (SDR).
    mapping = {"PQ": lambda x: x, "HLG": lambda x: pq_inverse_eotf(hlg_ootf(hlg_inverse_oetf(x))), "SDR": bt2408}[kind]
    for number, colour in enumerate(COLOURS):
        expected = mapping(np.array(colour).reshape(3, 1, 1))[:, 0, 0]
        # Rounding of Y', Cb and Cr to 10 bits is worth up to 2 codes of R', G', B'; more in the dark, where PQ is finer.
        tolerance = 2 / 876 if min(colour) > 0.05 else 0.04
        np.testing.assert_allclose(middle(video, number), expected, atol=tolerance * (1 if kind == "PQ" else 1.6))


def test_light_of_patches(patch_file) -> None:
    greys = [50.0, 1000.0, 203.0, 400.0, 10.0, 100.0]
    video = read.open_video(patch_file([[float(pq_inverse_eotf(np.array([light]))[0])] * 3 for light in greys]), "test")
    curve = video.curve(range(6))
    # One 10-bit code is 1.2 % of the light at 203 cd/m2 and 2 % at 10 (ST 2084).
    assert [light.max_rgb for light in curve] == pytest.approx(greys, rel=0.02)
    assert [light.average for light in curve] == pytest.approx(greys, rel=0.02)
    assert [light.seconds for light in curve] == pytest.approx([n / 24 for n in range(6)], abs=1e-3)
    found = report.scope(video, range(6), [1, 2], 2)
    assert [light.number for light in found.curve] == [0, 1, 2, 4]
    assert not found.complete
    assert (found.found.max, found.brightest) == (pytest.approx(1000, rel=0.02), 0)
    assert found.claim("max") == "not stated"


def test_brightest_channel_counts_not_luminance(patch_file) -> None:
    blue = [0.1, 0.1, 0.7]
    video = read.open_video(patch_file([blue] * 3), "test")
    # CTA-861.3, annex P: max(R, G, B).
    assert video.curve(range(1))[0].max_rgb == pytest.approx(float(pq_eotf(np.array([0.7]))[0]), rel=0.02)


def test_frames_are_the_middles_of_equal_parts() -> None:
    assert read.evenly(range(0, 100), 4) == [12, 37, 62, 87]
    assert read.evenly(range(10, 14), 9) == [10, 11, 12, 13]
    assert read.evenly(range(7, 8), 1) == [7]
    assert len(set(read.evenly(range(0, 25), 24))) == 24


@pytest.mark.parametrize(("frames", "every"), [(1, 1), (240, 1), (241, 2), (172800, 720)])
def test_stride_ends_soon(frames: int, every: int) -> None:
    assert read.stride(range(frames)) == every


def test_times_of_a_variable_rate(patch_file) -> None:
    video = read.open_video(patch_file(COLOURS, times=[0, 40, 500, 540, 2000]), "test")
    assert list(video.times) == pytest.approx([0, 0.04, 0.5, 0.54, 2.0])
    assert video.at([0.0, 0.499, 0.5, 1.9], range(5)) == [0, 1, 2, 3]
    with pytest.raises(InputError, match=r"^test: --at 60 is outside .*; give seconds from 0 to below 2\.500$"):
        video.at([60.0], range(5))
    with pytest.raises(InputError, match=r"^test: --at 0 is frame 0, outside --start 1 and --end 3$"):
        video.at([0.0], range(1, 3))


def test_hlg_of_other_primaries_is_refused(patch_file) -> None:
    with pytest.raises(InputError, match=r"^test: .* is HLG, but not BT\.2020"):
        read.open_video(patch_file(COLOURS, transfer=18, primaries=1), "test")
