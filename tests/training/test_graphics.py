"""Drawings as pairs."""

import numpy as np
import pytest

from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.training import graphics, material, pairs


@pytest.mark.parametrize("seed", range(8))
def test_a_drawing_and_its_hdr_version(seed):
    sdr, hdr = graphics.draw(32, np.random.default_rng(seed))
    assert sdr.shape == hdr.shape == (3, 32, 32)
    assert sdr.min() >= 0
    assert sdr.max() <= 1
    np.testing.assert_array_equal(hdr, bt2408(sdr))
    again, _ = graphics.draw(32, np.random.default_rng(seed))
    np.testing.assert_array_equal(sdr, again)


def test_drawings_differ_and_have_black_and_white():
    drawn = [graphics.draw(32, np.random.default_rng(seed))[0] for seed in range(40)]
    assert len({picture.tobytes() for picture in drawn}) == 40
    assert min(picture.min() for picture in drawn) == 0
    assert max(picture.max() for picture in drawn) == 1


def test_their_share_of_pairs(data):
    loaded = material.find(data, "train").load()
    always = pairs.Variety(graphics=1.0)
    pair = loaded.draw(32, np.random.default_rng(0), variety=always)
    assert pair.operator == "graphics"
    # 8 bits and 4:2:0 on the SDR side: luma is near what was drawn, and not it; thin strokes lose their chroma.
    rng = np.random.default_rng(0)
    rng.random()
    sdr, hdr = graphics.draw(32, rng)
    np.testing.assert_allclose(pair.hdr, hdr, atol=1e-6)
    luma = np.array([0.2126, 0.7152, 0.0722])
    assert 0 < np.abs(np.tensordot(luma, pair.sdr - sdr, axes=1)).mean() < 0.02
    plain = loaded.draw(32, np.random.default_rng(0))
    assert plain.operator != "graphics"
