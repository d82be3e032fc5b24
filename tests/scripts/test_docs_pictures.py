"""The documentation's scene, and what the shipped weights make of it."""

import numpy as np

from vs_hdrtv import engines, weights
from vs_hdrtv.color.transfer import pq_eotf


def test_thin_clipped_lines_are_no_brighter_than_the_sun(script):
    """Earlier weights gave single lines in the water 7809 cd/m2, where nothing else passed 1000."""
    engine = engines.create("cpu")
    network = engine.load(weights.find("hdcfm"))
    sdr = script.sdr_of(0.5).astype(np.float32) / 255
    hdr = pq_eotf(engine.download(network(engine.upload(sdr[None])))[0])  # (3, H, W) cd/m2
    assert hdr.max() > 400  # the sun
    water = hdr[:, round(script.HORIZON * script.HEIGHT) :]
    assert water.max() < 1000
    assert np.isfinite(hdr).all()
