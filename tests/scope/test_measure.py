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


LIGHT = measure.FrameLight(0, 0.0, 0.0, 0.0)


def linear(*rgb: float, primaries: str = "bt2020") -> np.ndarray:
    """A (3, 6, 8) PQ picture of one colour given as light of `primaries` in cd/m2, rounded to 10-bit full codes."""
    light = convert(np.array(rgb).reshape(3, 1, 1), primaries, "bt2020")
    return np.broadcast_to(np.rint(1023 * pq_inverse_eotf(light)) / 1023, (3, 6, 8))


@pytest.mark.parametrize("light", [2.0, 20.0, 200.0, 2000.0])
@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize(
    ("primaries", "outside"),
    [("bt709", (0, 0)), ("p3_d65", (100, 0)), ("bt2020", (100, 100))],  # a primary lies in no smaller triangle
)
def test_gamut_shares_of_primaries(light: float, channel: int, primaries: str, outside: tuple[float, float]) -> None:
    rgb = [0.0, 0.0, 0.0]
    rgb[channel] = light
    found = measure.measure(linear(*rgb, primaries=primaries), LIGHT)
    if (primaries, channel) == ("p3_d65", 2):
        outside = (0, 0)  # SMPTE EG 432-1: the blue of P3 is that of BT.709
    assert (found.share("bt709"), found.share("p3_d65")) == outside


def test_grey_is_in_every_gamut_and_black_is_not_counted() -> None:
    picture = linear(50, 50, 50).copy()
    picture[:, :3] = linear(0.5, 0.0, 0.0)[:, :3]  # half of it: red beyond P3, but darker than BLACK
    found = measure.measure(picture, LIGHT)
    assert found.counted == 24
    assert found.share("bt709") == found.share("p3_d65") == 0
    assert measure.measure(linear(0, 0, 0), LIGHT).share("bt709") is None


def test_gamut_share_is_of_pixels() -> None:
    picture = linear(100, 100, 100).copy()
    picture[:, :, :2] = linear(100, 0, 0)[:, :, :2]
    assert measure.measure(picture, LIGHT).share("p3_d65") == pytest.approx(25)


def test_waveform_of_a_ramp_is_its_diagonal() -> None:
    ramp = np.broadcast_to((np.arange(64) + 0.5) / 64, (1, 5, 64))
    np.testing.assert_array_equal(measure.waveform(ramp, rows=64, columns=64)[0], np.fliplr(np.eye(64)))


def test_waveform_columns_add_up_to_one() -> None:
    signal = np.random.default_rng(2).random((4, 33, 101))
    shares = measure.waveform(signal, rows=50, columns=20)
    assert shares.shape == (4, 50, 20)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert measure.waveform(signal[:, :, :7]).shape == (4, measure.WAVE_ROWS, 7)


def test_luminance_numbers_of_a_known_picture() -> None:
    picture = np.broadcast_to(pq_inverse_eotf(np.array([10.0, 150.0, 300.0, 2000.0])), (3, 8, 4))
    found = measure.measure(picture, LIGHT)
    assert found.mean == pytest.approx((10 + 150 + 300 + 2000) / 4, rel=1e-4)
    assert found.above == {100.0: 75.0, 203.0: 50.0, 1000.0: 25.0}
    assert found.luminance[50.0] == pytest.approx((150 + 300) / 2, rel=1e-4)


def test_white_has_the_chromaticity_of_d65() -> None:
    shares = measure.measure(linear(100, 100, 100), LIGHT).chromaticities
    row, column = np.argwhere(shares)[0]
    assert shares[row, column] == 1
    # CIE 15: D65 has u' = 0.1978, v' = 0.4683.
    cell = measure.PLANE_SIDE / measure.PLANE
    assert (column * cell, (measure.PLANE - 1 - row) * cell) == pytest.approx((0.1978, 0.4683), abs=cell)
    np.testing.assert_allclose(measure.uv(np.array([0.3127, 0.3290])), (0.1978, 0.4683), atol=5e-5)


def test_delta_colors_change_at_the_ticks() -> None:
    ticks = np.array(measure.DELTA_TICKS)
    np.testing.assert_allclose(measure.delta_color(ticks[None] * 0.9999)[0], measure.DELTA_BANDS[:-1], atol=1)
    assert tuple(measure.delta_color(np.array([[1e9]]))[0, 0]) == measure.DELTA_BANDS[-1]


def test_shrink_keeps_the_mean_and_the_limit() -> None:
    picture = np.random.default_rng(3).random((3, 90, 160))
    small = measure.shrink(picture, 60)
    assert small.shape == (3, 30, 53)
    assert small.mean() == pytest.approx(picture[:, :, :159].mean(), rel=1e-5)
    np.testing.assert_allclose(measure.shrink(picture, 160), picture, rtol=1e-6)
