"""Key-frame filters on a runner that is a few array operations: which frames they read, and that nothing else counts."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import (
    align_reference,
    estimate_flow,
    feature_map,
    inverse_tone_map,
    merge_highlights,
    propagate_keyframes,
    recover_keyframes,
    to_hdr10,
)
from vs_hdrtv.color.highlights import blend
from vs_hdrtv.color.overexposure import overexposure_mask
from vs_hdrtv.color.transfer import bt1886_eotf
from vs_hdrtv.filters import key_frames
from vs_hdrtv.keyframes import nodes
from vs_hdrtv.keyframes.grid import Grid, scene_of, segments

CPU = {"engine": "cpu", "threads": 1}
SIZE = 20, 15


class FakeRecovery:
    """Light of the frame, then that of each reference, the earlier the more: the order counts."""

    calls = 0
    lock = threading.Lock()

    def recover(self, current, references):
        with self.lock:
            FakeRecovery.calls += 1
        total, weight = bt1886_eotf(current), 1.0
        used = 0
        for each in references:
            used += 1
            weight /= 2
            total = total + np.float32(weight) * bt1886_eotf(each)
        return total, used

    def flow(self, current, reference):
        return np.concatenate([current[:, :1], reference[:, 1:2]], axis=1)

    def align(self, current, reference):
        return reference, current[:, :1]


class FakePropagation:
    """A frame's own light, those of its key frames, and a running sum both ways: where a segment begins and ends counts."""

    calls = 0

    def propagate(self, frames, keyframes, sources, keys_of):
        FakePropagation.calls += 1
        assert len(keyframes) == len(sources)
        assert len(frames) == len(keys_of)
        each = []
        for frame, keys in zip(frames, keys_of, strict=True):
            weights = [np.float32(0.5**place) for place in range(len(keys))]
            each.append(frame + sum(w * (keyframes[key] - 0.3 * sources[key]) for w, key in zip(weights, keys, strict=True)))
        forward, backward = [], []
        for picture in each:
            forward.append(picture + (np.float32(0.5) * forward[-1] if forward else 0))
        for picture in reversed(each):
            backward.append(picture + (np.float32(0.3) * backward[-1] if backward else 0))
        return [one + other for one, other in zip(forward, reversed(backward), strict=True)]


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    monkeypatch.setattr(key_frames, "make_recovery", lambda engine, flow, model: FakeRecovery())
    monkeypatch.setattr(key_frames, "make_propagation", lambda engine, recovery, model: FakePropagation())
    FakeRecovery.calls = FakePropagation.calls = 0


@pytest.fixture
def clip(moving_clip):
    """A function that makes an RGBS clip of noise that is over-exposed in places."""

    def make(length=50, size=SIZE, video_format=vs.RGBS):
        return moving_clip(video_format, *size, length).std.Expr("x 1.3 * 1 min" if video_format == vs.RGBS else "x")

    return make


def arrays(clip, order=None):
    """Frames as float32 arrays (1, C, H, W), asked for in the order given."""
    found = {}
    for n in range(clip.num_frames) if order is None else order:
        with clip.get_frame(n) as frame:
            found[n] = np.stack([np.asarray(frame[plane]) for plane in range(frame.format.num_planes)])[None].copy()
    return [found[n] for n in sorted(found)]


def expected_keys(clip, grid, cuts=frozenset()):
    """Frame by frame what `recover_keyframes` must give, and which frame is its key."""
    sdr, last, known = arrays(clip), clip.num_frames - 1, {}
    result = []
    for n in range(clip.num_frames):
        scene = scene_of(n, cuts.__contains__, 0, last)
        key = grid.key(n, scene)
        if key not in known:
            references = grid.references_of(key, scene)
            known[key], _ = FakeRecovery().recover(sdr[key], [sdr[at] for at in references])
        result.append((key, known[key]))
    return result


def expected_light(clip, grid, segment, overlap, cuts=frozenset()):
    sdr, last = arrays(clip), clip.num_frames - 1
    keys = dict(expected_keys(clip, grid, cuts))
    result = []
    for block in range(-(-clip.num_frames // segment)):
        for part in segments(block, segment, overlap, clip.num_frames, cuts.__contains__):
            nearest = [grid.nearest_keys(n, scene_of(n, cuts.__contains__, 0, last)) for n in part.frames]
            own = sorted({key for each in nearest for key in each})
            indices = [tuple(own.index(key) for key in each) for each in nearest]
            frames = [sdr[n] for n in part.frames]
            if any(grid.references_of(k, scene_of(k, cuts.__contains__, 0, last)) for k in own):
                found = FakePropagation().propagate(frames, [keys[k] for k in own], [sdr[k] for k in own], indices)
            else:
                found = [bt1886_eotf(each) for each in frames]
            result += found[part.first - part.low : part.last - part.low + 1]
    return [blend(frame, each, overexposure_mask(frame)) for frame, each in zip(sdr, result, strict=True)]


GRIDS = {"plain": Grid(6, 2, 4), "every frame": Grid(1, 1, 3), "no references": Grid(6, 0, 15), "twelve": Grid(4, 12, 2)}


def recovered(clip, grid, **more):
    return recover_keyframes(clip, grid.stride, grid.references, grid.reference_stride, **CPU, **more)


# Which frames.


@pytest.mark.parametrize("cuts", [[], [17], [1, 2, 20, 49]], ids=str)
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_each_frame_is_the_key_frame_of_its_group(clip, grid, cuts):
    source = clip()
    result = recovered(source, grid, scenes=cuts)
    assert (result.format.id, result.num_frames, result.fps) == (vs.RGBS, 50, source.fps)
    expected = expected_keys(source, grid, frozenset(cuts))
    for n, (found, (key, light)) in enumerate(zip(arrays(result), expected, strict=True)):
        assert np.array_equal(found, light), n
        with result.get_frame(n) as frame:
            assert frame.props["_HdrtvKeyFrame"] == key
            assert frame.props["frame_number"] == n  # of the source's frame n
            assert frame.props["_HdrtvCut"] == (n in cuts)
            assert [frame.props[name] for name in ("_Matrix", "_Transfer", "_Primaries", "_Range")] == [0, 8, 1, 1]


@pytest.mark.parametrize("length", range(1, 21))
def test_lengths_that_the_stride_does_not_divide(clip, length):
    source, grid = clip(length), Grid(6, 2, 4)
    keys = recovered(source, grid, scenes="none")
    light = propagate_keyframes(source, keys, segment=8, overlap=3)
    expected = expected_keys(source, grid)
    assert all(np.array_equal(found, key) for found, (_, key) in zip(arrays(keys), expected, strict=True))
    assert all(map(np.array_equal, arrays(light), expected_light(source, grid, 8, 3)))
    assert (keys.num_frames, light.num_frames) == (length, length)


@pytest.mark.parametrize("cuts", [[], [17], [1, 2, 20, 49]], ids=str)
@pytest.mark.parametrize(("segment", "overlap"), [(24, 4), (1, 0), (7, 9)])
def test_propagation_by_segments(clip, cuts, segment, overlap):
    source, grid = clip(), Grid(6, 2, 4)
    keys = recovered(source, grid, scenes=cuts)
    light = propagate_keyframes(source, keys, segment=segment, overlap=overlap)
    expected = expected_light(source, grid, segment, overlap, frozenset(cuts))
    for n, (found, wanted) in enumerate(zip(arrays(light), expected, strict=True)):
        assert np.array_equal(found, wanted), n
    with light.get_frame(30) as frame:
        assert frame.props["frame_number"] == 30
        assert frame.props["_Transfer"] == vs.TRANSFER_LINEAR


def test_a_scene_is_what_it_is_alone(clip, bytes_of):
    """Where it begins on the grid, byte for byte; and the scene before a cut wherever that is."""
    source, grid = clip(), Grid(6, 2, 4)

    def whole(clip, **more):
        keys = recovered(clip, grid, **more)
        return bytes_of(keys), bytes_of(propagate_keyframes(clip, keys, segment=12, overlap=4))

    for cut in (24, 29):
        joined = whole(source, scenes=[cut])
        before, after = whole(source[:cut], scenes="none"), whole(source[cut:], scenes="none")
        for together, first, second in zip(joined, before, after, strict=True):
            assert together[:cut] == first
            assert (together[cut:] == second) == (cut % 12 == 0)


# What does not count.


@pytest.fixture
def chain(clip):
    """A function: the whole chain, with a cut that a property tells."""
    source = clip()
    cut = source.std.SetFrameProps(_SceneChangePrev=1)
    source = source.std.SetFrameProps(_SceneChangePrev=0)
    source = source[:20] + cut[20] + source[21:]

    def make():
        return propagate_keyframes(source, recovered(source, Grid(6, 3, 5)), segment=9, overlap=2)

    return make


def test_any_order_of_access(chain, bytes_of):
    expected = bytes_of(chain())
    order = np.random.default_rng(3).permutation(50).tolist()
    assert bytes_of(chain(), order) == expected
    assert bytes_of(chain(), [49, 20]) == [expected[20], expected[49]]
    assert bytes_of(chain()[15:31]) == expected[15:31]


def test_any_number_of_vapoursynth_threads(chain, bytes_of):
    expected, before = bytes_of(chain()), vs.core.num_threads
    try:
        vs.core.num_threads = 6
        asked = chain()
        futures = [asked.get_frame_async(n) for n in range(50)]
        frames = [future.result() for future in futures]
        found = [b"".join(np.asarray(frame[plane]).tobytes() for plane in range(3)) for frame in frames]
    finally:
        vs.core.num_threads = before
    assert found == expected


def test_any_cache(chain, bytes_of, monkeypatch):
    expected = bytes_of(chain())
    for name in ("KEY_FRAMES", "SEGMENTS", "CUT_RUNS", "REFERENCE_BYTES"):
        monkeypatch.setattr(nodes, name, 1)
    assert bytes_of(chain()) == expected
    assert bytes_of(chain(), list(range(49, -1, -1))) == expected


def test_each_key_frame_and_each_segment_is_computed_once(chain, bytes_of):
    bytes_of(chain())
    assert FakeRecovery.calls == 10  # 9 runs of 6 frames, one of them with a cut
    assert FakePropagation.calls == 7  # 6 segments of 9 frames, one of them with a cut


def test_what_is_found_in_pictures_and_what_properties_say(clip, bytes_of):
    source = clip()
    both = source[:24] + source.std.Expr("x 0.01 * 0.02 +")[24:]
    grid = Grid(6, 2, 4)
    assert bytes_of(recovered(both, grid)) == bytes_of(recovered(both, grid, scenes=[24]))
    assert bytes_of(recovered(both, grid)) != bytes_of(recovered(both, grid, scenes="none"))


def test_every_format_and_odd_sizes(clip, moving_clip):
    for video_format, size in ((vs.YUV420P8, (34, 18)), (vs.RGBS, (33, 17)), (vs.YUV444P16, (33, 17)), (vs.GRAY8, (5, 3))):
        source = moving_clip(video_format, *size, length=9)
        light = propagate_keyframes(source, recovered(source, Grid(4, 1, 2)))
        assert (light.width, light.height) == size
        assert all(np.isfinite(each).all() for each in arrays(light))


# Into HDR.


def test_merged_where_it_is_over_exposed_alone(clip):
    source = clip(12)
    hdr = inverse_tone_map(source, "bt2408")
    result = merge_highlights(hdr, source, propagate_keyframes(source, recovered(source, Grid(6, 2, 4))))
    for before, after, sdr in zip(arrays(hdr), arrays(result), arrays(source), strict=True):
        outside = np.broadcast_to(overexposure_mask(sdr) == 0, before.shape)
        assert np.array_equal(before[outside], after[outside])
        assert (after[~outside] > before[~outside]).mean() > 0.5
    assert to_hdr10(result).get_frame(3).props["MasteringDisplayMaxLuminance"] == 1000


def test_well_exposed_clips_and_those_without_anything_brighter_stay(clip, bytes_of, monkeypatch):
    dark = clip(12).std.Expr("x 0.9 *")
    hdr = inverse_tone_map(dark, "bt2446a")
    light = propagate_keyframes(dark, recovered(dark, Grid(6, 2, 4)))
    assert bytes_of(merge_highlights(hdr, dark, light)) == bytes_of(hdr)
    assert all(map(np.array_equal, arrays(light), [bt1886_eotf(each) for each in arrays(dark)]))
    monkeypatch.setattr(FakePropagation, "propagate", lambda self, frames, *_: [bt1886_eotf(each) for each in frames])
    bright = clip(12)
    hdr = inverse_tone_map(bright, "bt2446a")
    assert bytes_of(merge_highlights(hdr, bright, propagate_keyframes(bright, recovered(bright, Grid())))) == bytes_of(hdr)


@pytest.mark.parametrize(("length", "references"), [(15, 6), (1, 6), (30, 0)], ids=["short scene", "one frame", "none wanted"])
def test_without_a_reference_nothing_is_recovered(clip, bytes_of, length, references):
    bright = clip(length)
    light = propagate_keyframes(bright, recovered(bright, Grid(6, references, 15)))
    assert all(map(np.array_equal, arrays(light), [bt1886_eotf(each) for each in arrays(bright)]))
    hdr = inverse_tone_map(bright, "bt2446a")
    assert bytes_of(merge_highlights(hdr, bright, light)) == bytes_of(hdr)
    assert FakePropagation.calls == 0


def test_something_between(clip, bytes_of):
    source = clip(30)
    keys = recovered(source, Grid(5, 2, 4), scenes=[13])
    expected = bytes_of(propagate_keyframes(source, keys))
    assert bytes_of(propagate_keyframes(source, keys.std.Expr("x"), stride=5, scenes=[13], **CPU)) == expected
    hdr = inverse_tone_map(source)
    light = propagate_keyframes(source, keys)
    merged = bytes_of(merge_highlights(hdr, source, light))
    assert bytes_of(merge_highlights(hdr.std.Expr("x"), source, light.std.Expr("x"))) == merged


# Flow and alignment.


def test_flow_as_a_clip(clip):
    source = clip(6)
    other = source[2:] + source[-1] * 2
    flow = estimate_flow(source, other, **CPU)
    assert (flow.format.id, flow.width, flow.height) == (vs.GRAYS, SIZE[0], 2 * SIZE[1])
    with flow.get_frame(1) as frame:
        assert frame.props["_HdrtvChannels"] == 2
        assert frame.props["frame_number"] == 1
        found = np.asarray(frame[0]).reshape(2, SIZE[1], SIZE[0])
    np.testing.assert_array_equal(found[0], arrays(source)[1][0, 0])
    np.testing.assert_array_equal(found[1], arrays(source)[3][0, 1])


def test_aligned_reference_and_its_alpha(clip):
    source = clip(6)
    aligned = align_reference(source, source[2:] + source[-1] * 2, **CPU)
    assert np.array_equal(arrays(aligned)[1], arrays(source)[3])
    with aligned.get_frame(1) as frame:
        assert frame.props["_Transfer"] == vs.TRANSFER_BT709
        assert np.array_equal(np.asarray(frame.props["_Alpha"][0]), arrays(source)[1][0, 0])
    with feature_map(aligned, **CPU).get_frame(1) as frame:
        assert frame.props["_Transfer"] == vs.TRANSFER_ST2084


# What is refused.


def test_bad_arguments(clip):
    source = clip(12)
    keys = recover_keyframes(source, **CPU)
    for arguments, message in (
        ({"stride": 0}, r"recover_keyframes: stride is 0; give 1 to 60"),
        ({"stride": 1.5}, r"recover_keyframes: stride is 1.5; give a whole number"),
        ({"references": 13}, r"recover_keyframes: references is 13; give 0 to 12"),
        ({"references": 12, "reference_stride": 50}, r"recover_keyframes: 12 references every 50 frames reach 600 frames far"),
        ({"scenes": [12]}, r"recover_keyframes: scenes names frame 12; the clip has frames 0 to 11"),
        ({"matrix": "x"}, r"recover_keyframes: unknown matrix 'x'"),
    ):
        with pytest.raises(vs.Error, match=message):
            recover_keyframes(source, **CPU, **arguments)
    for arguments, message in (
        ({"segment": 0}, r"propagate_keyframes: segment is 0; give 1 to 120"),
        ({"overlap": -1}, r"propagate_keyframes: overlap is -1; give 0 to 60"),
        ({"stride": 61}, r"propagate_keyframes: stride is 61; give 1 to 60"),
    ):
        with pytest.raises(vs.Error, match=message):
            propagate_keyframes(source, keys, **arguments)
    with pytest.raises(
        vs.Error, match=r"propagate_keyframes: clips differ \(clip 20x15, 11 frames and keyframes 20x15, 12 frames"
    ):
        propagate_keyframes(source[1:], keys)
    with pytest.raises(vs.Error, match=r"propagate_keyframes: keyframes has key frame 2 at frame 1, which is one here; give"):
        propagate_keyframes(source, keys, stride=3).get_frame(0)
    with pytest.raises(
        vs.Error, match=r"propagate_keyframes: clip is not linear light at frame 2 \(_Transfer=1\); give the result"
    ):
        propagate_keyframes(source, source, **CPU).get_frame(0)
    with pytest.raises(vs.Error, match=r"propagate_keyframes: clip is YUV444P8; give linear light in RGBS"):
        propagate_keyframes(source, source.resize.Bicubic(format=vs.YUV444P8, matrix=1))
    with pytest.raises(vs.Error, match=r"recover_keyframes: clip is hdr, the result of inverse_tone_map; it reads sdr: give it"):
        recover_keyframes(inverse_tone_map(source))
    with pytest.raises(vs.Error, match=r"recover_keyframes: clip is interlaced \(_FieldBased=2\)"):
        recover_keyframes(source.std.SetFrameProps(_FieldBased=2))
    late = source[:5] + source.std.SetFrameProps(_FieldBased=2)[5:]
    with pytest.raises(vs.Error, match=r"recover_keyframes: clip is interlaced at frame 8"):
        recover_keyframes(late, scenes="none", **CPU).get_frame(6)
    with pytest.raises(vs.Error, match=r"merge_highlights: peak is 10; give 100 to 10000 cd/m2"):
        merge_highlights(inverse_tone_map(source), source, keys, 10)
    with pytest.raises(vs.Error, match=r"estimate_flow: clips differ \(clip 20x15, 12 frames and reference 20x15, 10 frames"):
        estimate_flow(source, source[2:])


def test_memory_does_not_grow_with_the_length(clip):
    """Neither the frames that VapourSynth holds nor the nodes that are made for a key frame and go again."""
    source = clip(48) * 6
    light = propagate_keyframes(source, recovered(source, Grid(6, 2, 6), scenes="none"), segment=12)
    held, nodes_alive = [], []
    for n in range(288):
        light.get_frame(n).close()
        if n in (143, 287):
            gc.collect()
            held.append(vs.core.used_cache_size)
            nodes_alive.append(sum(isinstance(each, vs.VideoNode) for each in gc.get_objects()))
    assert held[1] < 1.3 * held[0]
    assert nodes_alive[1] <= nodes_alive[0] + 20
