"""The pages and the sheets, of files of known patches."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.scope import page, read, report, sheet

COLOURS = [(0.5, 0.5, 0.5), (0.7, 0.1, 0.1), (0.3, 0.4, 0.6), (0.2, 0.2, 0.2)]
VOID = {"meta", "link", "img", "input", "br"}


class Reader(HTMLParser):
    """Collects what a page would fetch, and elements that are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "poster", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(text: str) -> dict:
    """Refuse a page that needs anything else; its data."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    assert reader.fetched and all(address.startswith("data:") for address in reader.fetched)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", text)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    found = json.loads(data)
    assert all(value.startswith("data:image/webp;base64,") for frame in found["frames"] for value in [frame["thumb"]])
    return found


@pytest.fixture
def video(patch_file) -> read.Video:
    return read.open_video(patch_file(COLOURS, name="<b>&'.mkv"), "test")


def test_page_of_a_file_needs_nothing_else(video) -> None:
    found = report.scope(video, range(4), [0, 1, 3], 1, [("video", "<i>facts</i> 5 cd/m2")])
    text = page.scope_page(found)
    data = check(text)
    assert "<b>" not in text and "<i>" not in text
    assert [frame["number"] for frame in data["frames"]] == [0, 1, 3]
    assert len(data["light"]["max"]) == 4
    assert data["first"] == found.brightest
    # Frame 1 is a BT.2020 red beyond P3; the others are greys or soft.
    assert [frame["gamut"] for frame in data["frames"]] == [["0 %", "0 %"], ["100 %", "100 %"], ["0 %", "0 %"]]


def test_every_id_of_the_scripts_is_in_the_page(video) -> None:
    scope_text = page.scope_page(report.scope(video, range(4), [0], 1))
    compare_text = page.compare_page(report.compare(video, video, [0], video.size))
    assets = Path(page.__file__).with_name("assets")
    shared = re.findall(r'byId\("([\w-]+)"\)', (assets / "page.js").read_text())
    for text, name in ((scope_text, "scope.js"), (compare_text, "compare.js")):
        wanted = {*shared, *re.findall(r'byId\("([\w-]+)"\)', (assets / name).read_text())}
        assert len(wanted) > 5
        assert wanted <= set(re.findall(r'id="([\w-]+)"', text))


def test_page_of_equal_files_says_equal(video) -> None:
    found = report.compare(video, video, [0, 2], video.size)
    assert found.pairs[0].delta == 0 and found.pairs[0].ratio == 1
    data = check(page.compare_page(found))
    assert data["frames"][0]["cells"][:4] == ["equal", "0.00", "0.00", "1.000"]


def test_difference_of_known_greys(patch_file) -> None:
    a = read.open_video(patch_file([(0.5,) * 3] * 3, name="a.mkv"), "test")
    b = read.open_video(patch_file([(0.6,) * 3] * 3, name="b.mkv"), "test")
    (pair,) = report.compare(a, b, [1], a.size).pairs
    # Greys differ in I alone, by as much as in PQ: 720 times that (BT.2124-0, annex 1); PSNR = -20 log10(0.1).
    assert pair.delta == pytest.approx(72, rel=0.02)
    assert pair.delta_95 == pytest.approx(pair.delta, rel=1e-3)
    assert pair.psnr == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("index", [None, 0])
def test_sheets_have_their_size(video, index) -> None:
    scope_sheet = sheet.scope_sheet(report.scope(video, range(4), [0, 1], 1), index)
    compare_sheet = sheet.compare_sheet(report.compare(video, video, [0, 1], video.size), index)
    assert (scope_sheet.width, compare_sheet.width) == (1920, 1920)
    assert 1200 < scope_sheet.height < 1500 and 800 < compare_sheet.height < 1100
    assert len(np.unique(np.asarray(scope_sheet).reshape(-1, 3), axis=0)) > 100


def test_common_frames_and_sizes(video, patch_file) -> None:
    shorter = read.open_video(patch_file(COLOURS[:3], name="b.mkv"), "test")
    notes: list[str] = []
    assert report.common(video, shorter, 1, notes) == (range(1, 4), (64, 48))
    assert notes == ["frame 0 of B is compared with frame 1 of A"]
    notes.clear()
    assert report.common(video, shorter, 0, notes)[0] == range(0, 3)
    assert notes == ["A has 4 frames and B 3: frames 0 to 2 of A are compared"]
    with pytest.raises(InputError, match=r"^compare: --offset is 4; .* has frames 0 to 3$"):
        report.common(video, shorter, 4, [])
