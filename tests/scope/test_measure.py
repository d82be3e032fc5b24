import numpy as np
import pytest

from vs_hdrtv.color.gamut import convert
from vs_hdrtv.color.transfer import pq_inverse_eotf, srgb_eotf
from vs_hdrtv.errors import InputError
from vs_hdrtv.scope import figure, measure, sheet


def pq(*light: float) -> np.ndarray:
    """Grey (3, 1, N) PQ picture of luminances in cd/m2."""
    return np.broadcast_to(pq_inverse_eotf(np.array(light)), (3, 1, len(light)))


def pair(height: int = 90, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    sdr = np.random.default_rng(1).random((3, height, width))
    return sdr, pq_inverse_eotf(400 * sdr**2.4)


@pytest.mark.parametrize(("height", "width"), [(90, 160), (160, 90), (33, 65), (1, 1), (40, 800)])
def test_figure_has_four_panels_at_any_aspect(height: int, width: int) -> None:
    picture = figure(*pair(height, width), title="a title")
    assert picture.mode == "RGB"
    assert picture.width == 2 * sheet.PANEL_WIDTH + 3 * sheet.MARGIN
    assert sheet.PANEL_WIDTH < picture.height < 2 * picture.width


def test_figure_is_the_same_each_time() -> None:
    assert figure(*pair()).tobytes() == figure(*pair()).tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1.0, 2.0])
def test_figure_survives_bad_values(value: float) -> None:
    sdr, hdr = pair()
    sdr[:, 3, 4] = hdr[:, 5, 6] = value
    figure(sdr, hdr)


def test_figure_of_black_and_of_white() -> None:
    for value in (0.0, 1.0):
        figure(np.full((3, 20, 30), value), np.full((3, 20, 30), value, dtype=np.float32))


@pytest.mark.parametrize("shapes", [((3, 4, 5), (3, 5, 4)), ((1, 4, 5), (1, 4, 5)), ((4, 5), (4, 5)), ((3, 0, 5),) * 2])
def test_figure_refuses_shapes(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(InputError, match=r"^figure: sdr is \(.*give two \(3, H, W\)"):
        figure(np.zeros(shapes[0]), np.zeros(shapes[1]))


def test_false_color_changes_at_the_ticks() -> None:
    light = np.array(measure.TICKS)
    below, at = measure.false_color(light[None] * 0.9999)[0], measure.false_color(light[None] * 1.0001)[0]
    # Just below an edge the band has its full colour; just above it the next begins, darkened.
    np.testing.assert_allclose(below, measure.BANDS[:-1], atol=1)
    np.testing.assert_allclose(at, measure.SHADE * np.array(measure.BANDS[1:]), atol=1)


def test_false_color_ends() -> None:
    colors = measure.false_color(np.array([[0.0, 10000.0, 1e9]]))[0]
    np.testing.assert_allclose(colors[0], measure.SHADE * np.array(measure.BANDS[0]), atol=1)
    assert tuple(colors[1]) == tuple(colors[2]) == measure.BANDS[-1]


def test_histogram_is_shares_on_a_pq_axis() -> None:
    share = measure.histogram(np.array([0.0, 203.0, 203.0, 10000.0]))
    assert share.sum() == pytest.approx(100)
    # BT.2408-7, table 1: 203 cd/m2 is 58 % PQ (0.5807).
    assert share[int(0.5807 * measure.BINS)] == pytest.approx(50)
    assert share[0] == share[-1] == pytest.approx(25)


def test_tone_map_of_sdr_range_is_sdr() -> None:
    """A picture that does not exceed reference white is shown as its own light."""
    light = np.array([1.0, 20.0, 100.0, 203.0])
    shown = measure.tone_map(pq(*light), peak=203.0)
    np.testing.assert_allclose(203 * srgb_eotf(shown[0, 0]), light, rtol=1e-6)


def test_tone_map_brings_the_peak_to_white_and_keeps_order_and_grey() -> None:
    shown = measure.tone_map(pq(0.0, 1.0, 50.0, 203.0, 500.0, 1000.0), peak=1000.0)
    np.testing.assert_allclose(shown[:, 0, -1], 1.0, atol=1e-6)
    assert (np.diff(shown[0, 0]) > 0).all()
    np.testing.assert_allclose(shown[0], shown[1], atol=1e-4)


def test_tone_map_keeps_hue() -> None:
    """Red, green and blue light keep their proportions under the curve (one gain for the three)."""
    light = np.array([240.0, 120.0, 60.0]).reshape(3, 1, 1)
    shown = srgb_eotf(measure.tone_map(pq_inverse_eotf(convert(light, "bt709", "bt2020")), peak=1000.0))
    np.testing.assert_allclose(shown / shown[0], light / light[0], rtol=1e-6)
