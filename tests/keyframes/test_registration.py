"""The camera's motion between far frames, and what tells whether they show the same."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.keyframes import registration

cv2 = pytest.importorskip("cv2")


def picture(height=180, width=240, seed=0):
    rng = np.random.default_rng(seed)
    found = sum(cv2.resize(rng.random((cells, 2 * cells)), (width, height)) for cells in (6, 15, 40))
    return np.rint(85 * found).astype(np.uint8)


@pytest.mark.parametrize("size", [(90, 120), (180, 240), (700, 900)])  # enlarged, enlarged, reduced
def test_a_known_homography_is_found_at_any_size(size):
    height, width = size
    light = picture(height, width)
    truth = np.array([[1.04, 0.03, 0.1 * width], [-0.02, 0.98, 0.05 * height], [0.05 / width, 0.02 / height, 1]])
    reference = cv2.warpPerspective(light, truth, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    with registration.opencv() as library:
        found = registration.homography(library, light, reference)
        wanted = registration.displacement(truth, height, width)
        flow = registration.displacement(found, height, width)
        assert np.abs(flow - wanted)[:, : height // 2, : width // 2].max() < 0.01 * width
        assert registration.agreement(library, light, reference, flow) > 0.95
        assert registration.agreement(library, light, reference, np.zeros_like(flow)) < 0.5


def test_a_flat_picture_has_no_homography():
    with registration.opencv() as library:
        assert registration.homography(library, np.full((64, 64), 90, np.uint8), picture(64, 64)) is None


def test_displacement_of_a_shift_and_behind_the_camera():
    flow = registration.displacement(np.array([[1.0, 0, 5], [0, 1, -3], [0, 0, 1]]), 4, 6)
    assert (flow[0] == 5).all()
    assert (flow[1] == -3).all()
    behind = registration.displacement(np.array([[1.0, 0, 0], [0, 1, 0], [-1, 0, 3]]), 4, 6)  # w = 3 - x
    assert np.isfinite(behind).all()
    assert (behind[:, :, 3:] == 24).all()


def test_agreement_by_hand_and_without_evidence():
    flow = np.zeros((2, 300, 300), np.float32)
    with registration.opencv() as library:
        one = picture(300, 300)
        assert registration.agreement(library, one, one, flow) > 0.999
        assert abs(registration.agreement(library, one, picture(300, 300, seed=1), flow)) < 0.3
        # Brighter throughout is not different: what is compared are variations.
        assert registration.agreement(library, one // 2, one // 2 + 60, flow) > 0.999
        white = np.full((300, 300), 255, np.uint8)
        assert np.isnan(registration.agreement(library, white, white, flow))
        assert np.isnan(registration.agreement(library, 0 * one, 0 * one, flow))
        assert np.isnan(registration.agreement(library, one, one, flow + 290))


def test_black_bars_are_no_evidence():
    flow = np.zeros((2, 200, 300), np.float32)
    one, other = picture(200, 300), picture(200, 300, seed=1)
    bars = [each.copy() for each in (one, other)]
    for each in bars:
        each[:40] = each[-40:] = 0
    with registration.opencv() as library:
        plain = registration.agreement(library, one, other, flow)
        assert abs(registration.agreement(library, *bars, flow) - plain) < 0.15
        assert registration.agreement(library, bars[0], bars[0], flow) > 0.999


def test_opencv_is_one_line_when_missing_and_keeps_the_number_of_threads(monkeypatch):
    before = cv2.getNumThreads()
    with registration.opencv() as library:
        assert library.getNumThreads() == 1
    assert cv2.getNumThreads() == before
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"^dis: OpenCV is not installed"), registration.opencv():
        pass
