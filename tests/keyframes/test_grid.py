"""The absolute grid of key frames: what holds for any clip, any cuts and any grid."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vs_hdrtv.errors import InputError
from vs_hdrtv.keyframes.grid import MAX_REACH, NEAREST, Grid, Segment, scene_of, segments


@st.composite
def clips(draw):
    """Number of frames, and the set of those that begin scenes."""
    frames = draw(st.integers(1, 80))
    return frames, frozenset(draw(st.sets(st.integers(0, frames - 1), max_size=6)))


GRIDS = st.builds(Grid, st.integers(1, 9), st.integers(0, 4), st.integers(1, 20))


def scenes(frames, cuts):
    """Scene of every frame."""
    return [scene_of(n, cuts.__contains__, 0, frames - 1) for n in range(frames)]


def cut_off(scene, n, reach, frames):
    """What is known of a scene within `reach` of frame n."""
    return max(scene[0], n - reach), min(scene[1], n + reach)


@given(clips())
def test_scenes_follow_one_another(clip):
    frames, cuts = clip
    found = scenes(frames, cuts)
    for n, (first, last) in enumerate(found):
        assert first <= n <= last
        assert found[first] == found[last] == (first, last)
    starts = {first for first, _ in found}
    assert starts == {0} | set(cuts)


@given(clips(), GRIDS)
def test_each_frame_is_in_one_group_whose_key_is_in_its_scene(clip, grid):
    frames, cuts = clip
    known = scenes(frames, cuts)
    groups = [grid.group(n, known[n]) for n in range(frames)]
    assert [at for first, last in dict.fromkeys(groups) for at in range(first, last + 1)] == list(range(frames))
    for n, (first, last) in enumerate(groups):
        assert first <= n <= last < first + grid.stride
        assert first // grid.stride == last // grid.stride
        key = grid.key(n, known[n])
        assert first <= key <= last
        assert known[key] == known[n]
        assert grid.key(key, known[n]) == key


@given(clips(), GRIDS)
def test_references_lie_in_the_scene_nearest_first(clip, grid):
    frames, cuts = clip
    for n, scene in enumerate(scenes(frames, cuts)):
        references = grid.references_of(n, scene)
        away = [abs(at - n) for at in references]
        assert away == sorted(away)
        assert all(scene[0] <= at <= scene[1] and at != n for at in references)
        assert len(set(references)) == len(references)
        expected = {n + step * grid.reference_stride for step in range(-grid.references, grid.references + 1) if step}
        assert set(references) == {at for at in expected if scene[0] <= at <= scene[1]}


@given(clips(), GRIDS)
def test_nearest_keys_are_the_nearest_of_all_in_the_scene(clip, grid):
    frames, cuts = clip
    known = scenes(frames, cuts)
    keys = {grid.key(n, known[n]) for n in range(frames)}
    for n, scene in enumerate(known):
        own = sorted((key for key in keys if known[key] == scene), key=lambda key: (abs(key - n), key))[:NEAREST]
        expected = tuple(itertools.islice(itertools.cycle(own), NEAREST))
        assert grid.nearest_keys(n, scene) == expected


@given(clips(), GRIDS)
def test_nothing_depends_on_what_lies_beyond_the_reach(clip, grid):
    frames, cuts = clip
    for n, scene in enumerate(scenes(frames, cuts)):
        assert grid.key(n, cut_off(scene, n, grid.group_reach, frames)) == grid.key(n, scene)
        near = cut_off(scene, n, grid.reference_reach, frames)
        assert grid.references_of(n, near) == grid.references_of(n, scene)
        near = cut_off(scene, n, grid.nearest_reach, frames)
        assert grid.nearest_keys(n, near) == grid.nearest_keys(n, scene)


@given(clips(), st.integers(1, 30), st.integers(0, 9))
def test_segments_tile_the_clip_and_overlap_inside_scenes(clip, length, overlap):
    frames, cuts = clip
    known = scenes(frames, cuts)
    asked = []

    def is_cut(at):
        asked.append(at)
        return at in cuts

    tiles = []
    for block in range(-(-frames // length)):
        asked.clear()
        found = segments(block, length, overlap, frames, is_cut)
        assert not asked or (block * length - overlap < min(asked) and max(asked) < (block + 1) * length + overlap)
        for segment in found:
            assert known[segment.low] == known[segment.first] == known[segment.last] == known[segment.high]
            first, last = known[segment.first]
            assert segment.low == max(segment.first - overlap, first)
            assert segment.high == min(segment.last + overlap, last)
            assert segment.frames == range(segment.low, segment.high + 1)
            tiles += range(segment.first, segment.last + 1)
    assert tiles == list(range(frames))


def test_by_hand():
    grid = Grid(stride=6, references=2, reference_stride=15)
    assert [grid.key(n, (0, 13)) for n in range(14)] == [2] * 6 + [8] * 6 + [12] * 2
    assert grid.references_of(32, (0, 60)) == (17, 47, 2)
    assert grid.references_of(2, (0, 0)) == ()
    assert grid.nearest_keys(8, (0, 60)) == (8, 2, 14, 20, 26)
    assert grid.nearest_keys(8, (7, 10)) == (8,) * 5
    assert segments(0, 12, 4, 30, {5}.__contains__) == (Segment(0, 4, 0, 4), Segment(5, 11, 5, 15))
    assert segments(1, 12, 4, 30, {5}.__contains__) == (Segment(12, 23, 8, 27),)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid(stride=0), r"f: stride is 0; give 1 to 60"),
        (Grid(references=13), r"f: references is 13; give 0 to 12"),
        (Grid(reference_stride=0), r"f: reference_stride is 0; give 1 to 300"),
        (Grid(references=12, reference_stride=30), rf"f: 12 references every 30 frames reach 360 .* at most {MAX_REACH}"),
    ],
)
def test_what_makes_no_grid(grid, message):
    with pytest.raises(InputError, match=message):
        grid.check("f")
