"""Pieces of a frame: they cover it, begin where networks shrink alike, and stretch maps as the whole does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from vs_hdrtv.errors import InputError
from vs_hdrtv.networks import blocks
from vs_hdrtv.networks.windows import TooFarError, check_reach, inside, windows


@pytest.mark.parametrize(("side", "halo", "step"), [(128, 64, 32), (150, 42, 1), (130, 271, 8), (1000, 64, 32), (16, 5, 32)])
@pytest.mark.parametrize("size", [(33, 700), (419, 333), (256, 1), (1080, 129)])
def test_pieces_cover_the_frame_once(size, side, halo, step):
    kept, shapes = np.zeros(size, int), set()
    for window in windows(*size, side, halo, step):
        for span, length in ((window.rows, size[0]), (window.columns, size[1])):
            assert span.length == length and 0 <= span.start <= span.first < span.last <= span.stop <= length
            assert span.last - span.first <= max(side, step)
            assert span.start % step == span.first % step == 0
            assert span.start in (0, span.first - (-(-halo // step) * step)) or span.start == 0
            assert span.stop == length or span.stop >= span.last + halo
            assert span.stop == length or span.stop % step == 0
        piece = window.cut(np.zeros((1, 1, *size)))
        shapes.add(piece.shape)
        frame = np.zeros((1, 1, *size))
        window.paste(frame, piece + 1)
        kept += frame[0, 0].astype(int)
    assert (kept == 1).all()
    assert len(shapes) <= 9


def test_many_pieces_have_few_sizes():
    found = windows(2160, 3840, 512, 64, 32)
    assert len(found) == 40 and len({(w.rows.stop - w.rows.start, w.columns.stop - w.columns.start) for w in found}) <= 4


def test_what_is_kept_of_a_shrunk_map():
    frame = torch.arange(419.0 * 333).reshape(1, 1, 419, 333)
    shrunk = frame[:, :, ::8, ::8]
    found = torch.zeros_like(shrunk)
    for window in windows(419, 333, 96, 20, 8):
        piece = window.cut(frame)[:, :, ::8, ::8]
        rows, columns = (slice(-(-span.first // 8), -(-span.last // 8)) for span in (window.rows, window.columns))
        found[:, :, rows, columns] += window.kept(piece)
    assert torch.equal(found, shrunk)


@pytest.mark.parametrize("size", [(419, 333), (1080, 160), (544, 513)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_maps_are_stretched_as_in_the_whole_frame(size, mode):
    shrunk = torch.rand(1, 2, *(-(-side // 32) for side in size), generator=torch.Generator().manual_seed(1))
    whole = blocks.stretched(shrunk, size, 32, mode)
    assert torch.equal(whole, functional.interpolate(shrunk, size=size, mode=mode))
    for window in windows(*size, 128, 64, 32):
        rows, columns = (slice(span.start // 32, -(-span.stop // 32)) for span in (window.rows, window.columns))
        shape = (window.rows.stop - window.rows.start, window.columns.stop - window.columns.start)
        with inside(window):
            piece = blocks.stretched(shrunk[:, :, rows, columns], shape, 32, mode)
        torch.testing.assert_close(
            window.kept(piece), window.kept(window.cut(whole)), rtol=0, atol=0 if mode == "nearest" else 1e-5
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_reach_is_one_line(bad):
    window = windows(128, 512, 128, 32, 32)[1]
    offsets = window.cut(torch.full((1, 2, 128, 512), 29.5))
    with inside(window):
        check_reach(offsets, beyond=2)
        with pytest.raises(TooFarError, match="looked 34 pixels far"):
            check_reach(offsets + 2, beyond=2)
        with pytest.raises(InputError, match=r"^tile: the network looks (nan|inf) pixels far; give frames without NaN"):
            check_reach(offsets + bad, beyond=2)
