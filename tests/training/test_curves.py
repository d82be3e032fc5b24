import math

import pytest

from vs_hdrtv.training import curves


def test_rows_and_columns(tmp_path):
    path = tmp_path / "curve.csv"
    curves.append(path, 10, {"l1": 0.5})
    curves.append(path, 20, {"l1": 0.25})
    assert path.read_text().splitlines() == ["step,l1", "10,0.500000", "20,0.250000"]
    # A run of before goes on with one more column, and without it again.
    curves.append(path, 30, {"l1": 0.125, "flow": 2})
    curves.append(path, 40, {"l1": 0.1})
    assert path.read_text().splitlines() == [
        "step,l1,flow",
        "10,0.500000,",
        "20,0.250000,",
        "30,0.125000,2.000000",
        "40,0.100000,",
    ]


def test_what_is_reported_again_is_forgotten(tmp_path):
    path = tmp_path / "curve.csv"
    curves.forget_after(path, 5)
    assert not path.exists()
    for step in (10, 20, 30):
        curves.append(path, step, {"l1": step})
    curves.forget_after(path, 20)
    assert path.read_text().splitlines() == ["step,l1", "10,10.000000", "20,20.000000"]


def test_smoothing():
    assert curves.smoothed([3.0] * 4) == pytest.approx([3.0] * 4)
    # 0.9 and 0.1 in the sum, and so in the weight: (0.9 x 0.1 x 1 + 0.1 x 2) / 0.19.
    assert curves.smoothed([1.0, 2.0])[1] == pytest.approx((0.09 + 0.2) / 0.19)
    assert curves.smoothed([math.nan, 1.0, math.inf])[1:] == pytest.approx([1.0, 1.0])


def test_the_picture_has_a_panel_for_each_column(tmp_path, monkeypatch):
    from matplotlib.figure import Figure
    from PIL import Image

    curves.draw(tmp_path)  # nothing to draw
    assert not list(tmp_path.iterdir())
    titles = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: titles.extend(each.get_title() for each in self.axes) or save(self, *a, **k)
    )
    for step in range(1, 9):
        curves.append(tmp_path / "curve.csv", step, {"l1": 1 / step, "adversarial": 0.5})
    curves.append(tmp_path / "metrics.csv", 8, {"psnr_db": 30})
    curves.draw(tmp_path)
    assert titles == ["l1", "adversarial", "psnr_db"]
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 600
    assert (tmp_path / "curve.png").stat().st_size < 200_000
    assert not list(tmp_path.glob("*.partial"))


def test_without_matplotlib(tmp_path, monkeypatch, caplog):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    curves.append(tmp_path / "curve.csv", 1, {"l1": 1})
    curves.draw(tmp_path)
    assert "no matplotlib, so no curve.png" in caplog.text
    assert not (tmp_path / "curve.png").exists()
