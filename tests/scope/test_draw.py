import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from vs_hdrtv.scope import draw, measure


def test_locus_is_that_of_the_standard_observer() -> None:
    colour = pytest.importorskip("colour")
    observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    for wavelength, xy in draw.LOCUS.items():
        xyz = observer[wavelength]
        assert xy == pytest.approx(xyz[:2] / xyz.sum(), abs=1e-4)


@pytest.mark.parametrize("line", ["short", "a very long name of a file " * 9 + "end.mp4"])
def test_a_line_is_shortened_to_its_place(line: str) -> None:
    found = draw.shorten(line, 16, 200)
    assert ImageFont.load_default(16).getlength(found) <= 200
    assert found == line or ("..." in found and found.endswith("end.mp4"))


def test_picture_keeps_its_aspect_inside_its_box() -> None:
    canvas = Image.new("RGB", (300, 200))
    left, top, right, bottom = draw.fit(canvas, np.full((50, 20, 3), 200, np.uint8), (10, 20, 210, 120))
    assert (bottom - top, right - left) == (100, 40)
    assert left - 10 == 210 - right


def test_waveform_shines_where_the_pixels_are() -> None:
    planes = measure.waveform(np.full((1, 4, 10), 0.5), rows=8, columns=10)
    pixels = draw.waveform_pixels(planes, draw.WAVES[3:])
    lit = np.argwhere(pixels.sum(axis=2) > 600)
    assert set(lit[:, 0]) == {3}  # rows are counted from the highest signal
    assert len(lit) == 10
    assert draw.parade_pixels(np.repeat(planes, 3, axis=0)).shape[0] == 8


def test_plane_shows_chromaticities_in_their_own_colour() -> None:
    shares = np.zeros((measure.PLANE, measure.PLANE), np.float32)
    u, v = measure.uv(np.array([0.64, 0.33]))  # BT.709 red
    row, column = measure.PLANE - 1 - int(v / measure.PLANE_SIDE * measure.PLANE), int(u / measure.PLANE_SIDE * measure.PLANE)
    shares[row, column] = 1
    pixels = draw.plane_pixels(shares)
    assert pixels[row, column, 3] == 255 and pixels[..., 3].astype(int).sum() == 255
    assert pixels[row, column, 0] == 255 and pixels[row, column, 1:3].max() < 60


def test_light_curve_of_one_frame_and_of_none_of_light() -> None:
    canvas = Image.new("RGB", (400, 200))
    draw.light_curve(ImageDraw.Draw(canvas), (0, 0, 400, 160), [0.0], [([0.0], draw.ORANGE)], [], 0.0)
    assert canvas.getpixel((200, 159)) == draw.ORANGE
