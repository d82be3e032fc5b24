import numpy as np
import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.training import compression


def planes(number=0, height=64, width=96):
    """Waves in all three planes, which move with the number."""
    y, x = np.mgrid[:height, :width]
    luma = 120 + 80 * np.sin((x + 2 * number) / 7) * np.cos(y / 9)
    small = (slice(None, None, 2), slice(None, None, 2))
    chroma = 128 + 40 * np.sin(x / 11 + number / 5)
    return luma.astype(np.uint8), chroma[small].astype(np.uint8), (256 - chroma)[small].astype(np.uint8)


def distance(a, b):
    return np.mean([np.abs(one.astype(float) - other).mean() for one, other in zip(a, b, strict=True)])


@pytest.mark.parametrize("codec", compression.CODECS)
@pytest.mark.parametrize("size", [(64, 96), (32, 32), (98, 70)])
def test_pictures_come_back_about_as_they_were(codec, size):
    original = planes(0, *size)
    best, worst = compression.CODECS[codec].quality
    good, bad = (compression.through_codec([original], codec, quality)[0] for quality in (best, worst))
    assert [plane.shape for plane in good] == [plane.shape for plane in original]
    assert all(plane.dtype == np.uint8 for plane in good)
    assert distance(good, original) < 2.5  # codes of 8 bits
    assert distance(good, original) < distance(bad, original) < 12


@pytest.mark.parametrize("codec", compression.CODECS)
def test_clips_keep_length_and_order(codec):
    original = [planes(number) for number in range(0, 25, 5)]
    found = compression.through_codec(original, codec, compression.CODECS[codec].quality[0])
    assert len(found) == 5
    for number, frame in enumerate(found):
        assert np.argmin([distance(frame, other) for other in original]) == number


@pytest.mark.parametrize("codec", compression.CODECS)
def test_the_same_bytes_every_time(codec):
    original = [planes(number) for number in range(3)]
    first, again = (compression.through_codec(original, codec, 27.5) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))


def test_quantisation_round_trip():
    # What is 8-bit 4:2:0 already comes back code for code.
    rng = np.random.default_rng(0)
    codes = tuple(
        rng.integers(low, high, size).astype(np.uint8)
        for low, high, size in ((90, 140, (8, 12)), (120, 136, (4, 6)), (120, 136, (4, 6)))
    )
    again = compression.to_planes(compression.from_planes(codes))
    assert all((a == b).all() for a, b in zip(codes, again, strict=True))


def test_unknown_codecs_are_refused():
    with pytest.raises(InputError, match="through_codec: unknown codec 'vc1'; choose one of h264, hevc"):
        compression.through_codec([planes()], "vc1", 20)
