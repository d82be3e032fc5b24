"""What a segment reads and gives, with numbers for pictures."""

from __future__ import annotations

import numpy as np
import pytest

from vs_hdrtv.color.transfer import bt1886_eotf
from vs_hdrtv.keyframes.grid import Grid, scene_of
from vs_hdrtv.keyframes.reading import Made, parts_of, propagate

GRID = Grid(3, 1, 2)
CUTS = frozenset({5, 14})
FRAMES = 20


def parts(block):
    return parts_of(block, 8, 2, FRAMES, GRID, CUTS.__contains__)


class Spy:
    """Takes the place of FCPM: the number of the frame, and what it was given."""

    def propagate(self, frames, keyframes, sources, keys_of):
        numbers = ([int(picture[0]) for picture in each] for each in (frames, keyframes, sources))
        self.given = *numbers, keys_of
        return iter(frames)


def test_blocks_give_every_frame_once_and_key_frames_of_their_scene():
    given = []
    for block in range(3):
        for part in parts(block):
            given += range(part.segment.first, part.segment.last + 1)
            for n, keys in part.nearest.items():
                scene = scene_of(n, CUTS.__contains__, 0, FRAMES - 1)
                assert keys == GRID.nearest_keys(n, scene) and all(scene[0] <= key <= scene[1] for key in keys)
            assert set(part.nearest) == set(part.segment.frames)
            assert part.keys == tuple(sorted({key for keys in part.nearest.values() for key in keys}))
    assert given == list(range(FRAMES))


def test_a_segment_without_its_overlap():
    part, spy = parts(1)[0], Spy()
    sdr, light = (lambda n: np.float32([n])), (lambda n: np.float32([100 + n]))
    found = list(propagate(part, spy, sdr, light, lambda key: 1))
    assert [(n, int(picture[0])) for n, picture in found] == [(n, n) for n in range(8, 14)]
    frames, keys, sources, keys_of = spy.given
    assert frames == list(part.segment.frames) == list(range(6, 14))
    assert [key - 100 for key in keys] == sources == list(part.keys)
    assert [[part.keys[index] for index in each] for each in keys_of] == [list(part.nearest[n]) for n in frames]


@pytest.mark.parametrize("having", [None, 7])
def test_own_light_where_no_key_frame_had_a_reference(having):
    part, spy = parts(1)[0], Spy()
    found = list(propagate(part, spy, lambda n: np.float32([n / 20]), lambda n: np.float32([1]), lambda key: int(key == having)))
    assert hasattr(spy, "given") == (having in part.keys)
    expected = np.float32([10 / 20]) if having in part.keys else bt1886_eotf(np.float32([10 / 20]))
    assert found[2][0] == 10 and np.array_equal(found[2][1], expected)


def test_made_pictures_are_a_sequence():
    made = Made(3, lambda index: np.float32([index]))
    assert [float(each[0]) for each in made] == [0, 1, 2] and len(made) == 3
    with pytest.raises(IndexError):
        made[3]
