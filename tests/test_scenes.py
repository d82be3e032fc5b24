"""Scene cuts: whose word is taken, what is found, and stages that read several frames on both sides of one."""

import gc
import itertools
import random
import runpy
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import vapoursynth as vs

from vs_hdrtv import graph, pipeline, scenes, to_hdr10
from vs_hdrtv.color.tone_curves import bt2408
from vs_hdrtv.errors import InputError
from vs_hdrtv.stages import Stage

AT = 7
"""Where the second scene of `two_scenes` begins."""


def mean_stage(name="mean", reads="sdr", writes="sdr", radius=1):
    """A stage that reads 2 radius + 1 frames, each with its own weight, so that any wrong one shows."""

    def function(*arrays):
        weights = np.linspace(1, 2, len(arrays), dtype=np.float32)
        return sum(weight * array for weight, array in zip(weights, arrays, strict=True)) / weights.sum()

    return Stage(name=name, reads={reads: tuple(range(-radius, radius + 1))}, writes=writes, function=function)


FIRST = mean_stage("first")
SECOND = mean_stage("second", radius=2)
MAPPING = Stage(name="map", reads={"sdr": (0,)}, writes="hdr", function=bt2408)


def chain(clip, scenes="auto", breaks=()):
    """Two stages in time, a mapping and packing; a `Trim` of nothing standing before the steps in `breaks`."""
    for index, stage in enumerate((FIRST, SECOND, MAPPING)):
        if index in breaks:
            clip = clip.std.Trim(0)
        clip = graph.apply(stage, {stage_signal(stage): clip}, scenes=scenes if index == 0 else "auto")
    return to_hdr10(clip)


def stage_signal(stage):
    (signal,) = stage.reads
    return signal


@pytest.fixture
def scene():
    """A function that makes a scene: a smooth picture of its own that drifts, with noise; the same at every call."""

    def make(seed, length, video_format=vs.YUV420P8, **props):
        blank = vs.core.std.BlankClip(format=vs.GRAYS, width=64, height=48, length=length, keep=True)

        def fill(n, f):
            out = f.copy()
            rng = np.random.default_rng(seed)
            y, x = np.mgrid[:48, :64] / 16
            waves = sum(
                np.sin(rng.uniform(-2, 2) * (x + 0.02 * n) + rng.uniform(-2, 2) * y + rng.uniform(0, 6)) for _ in range(5)
            )
            noise = np.random.default_rng((seed, n)).normal(0, 0.01, (48, 64))
            np.asarray(out[0])[...] = np.clip(0.5 + 0.12 * waves + noise, 0, 1)
            return out

        grey = blank.std.ModifyFrame(blank, fill)
        rgb = vs.core.std.ShufflePlanes([grey] * 3, [0, 0, 0], vs.RGB)
        clip = rgb if video_format == vs.RGBS else rgb.resize.Bicubic(format=video_format, matrix=1, range=0)
        return clip.std.SetFrameProps(_Transfer=1, _Primaries=1, **props)

    return make


@pytest.fixture
def two_scenes(scene):
    return lambda **props: scene(1, AT, **props) + scene(2, 6, **props)


def cuts(clip, choice="auto"):
    flags = scenes.cut_clip("test", clip, choice)
    assert (flags.width, flags.height, flags.num_frames) == (1, 1, clip.num_frames)
    return [n for n, frame in enumerate(flags.frames(close=True)) if frame.props[scenes.CUT]]


def tagged(clip, **frames):
    """`clip` with properties that are 1 on the frames named and 0 on all others."""

    def write(n, f):
        out = f.copy()
        for key, ones in frames.items():
            out.props[key] = int(n in ones)
        return out

    return clip.std.ModifyFrame(clip, write)


# What is believed and what is found.


@pytest.mark.parametrize("video_format", [vs.YUV420P8, vs.YUV444P16, vs.RGBS])
def test_a_cut_is_found_without_any_detector(scene, video_format):
    clip = scene(1, 5, video_format) + scene(2, 4, video_format) + scene(3, 5, video_format)
    assert cuts(clip) == [5, 9]


def test_a_flash_a_fade_and_a_change_of_exposure_are_no_cuts(scene):
    clip = scene(4, 16, vs.RGBS)
    lit = {5: "x 0.7 * 0.3 +", 9: "x 0 * 1 +", 10: "x 4 * 1 min"}  # some of it white, all of it, for two frames
    flashes = vs.core.std.Splice([clip[n].std.Expr(lit.get(n, "")) for n in range(16)])
    fade = vs.core.std.Splice([clip[n].std.Expr(f"x {max(0, 8 - n) / 8} *") for n in range(16)])
    exposure = vs.core.std.Splice([clip[n].std.Expr(f"x {1 + n / 10} * 1 min") for n in range(16)])
    assert [cuts(each) for each in (flashes, fade, exposure)] == [[], [], []]


def test_black_and_flat_cards_are_scenes_of_their_own(scene):
    black = vs.core.std.BlankClip(scene(1, 4, vs.RGBS), keep=True)
    white = black.std.Expr("x 1 +")
    assert cuts(scene(1, 4, vs.RGBS) + black + scene(2, 4, vs.RGBS) + black + white) == [4, 8, 12, 16]


def test_begins_scene_looks_at_its_window_alone(scene):
    rng = np.random.default_rng(0)
    one, other = (np.tile(rng.integers(0, 256, (1, scenes.HEIGHT, scenes.WIDTH), np.uint8), (6, 1, 1)) for _ in range(2))
    for at in range(1, 6):
        joined = np.concatenate([one[:at], other[at:]])
        assert scenes.begins_scene(joined) is (at == scenes.REACH)


@pytest.mark.parametrize(
    "properties",
    [
        {"_SceneChangePrev": (0, 3, 9)},  # scxvid
        {"_SceneChangeNext": (2, 8)},  # mvtools, vectors to the frame after
        {"_SceneChangePrev": (3, 9), "_SceneChangeNext": (2, 8)},
        {"Scenechange": (3, 9)},  # wwxd
    ],
)
@pytest.mark.parametrize("choice", ["auto", "props"])
def test_the_users_detector_is_believed(two_scenes, properties, choice):
    found = cuts(tagged(two_scenes(), **properties), choice)
    assert [n for n in found if n] == [3, 9]


def test_frames_that_say_nothing_are_looked_at(scene):
    clip = scene(1, 5, _SceneChangePrev=0) + scene(2, 5, _SceneChangePrev=0) + scene(3, 5) + scene(4, 5)
    assert cuts(clip) == [10, 15]
    assert cuts(clip, "props") == []


def test_none_and_a_list(two_scenes):
    clip = tagged(two_scenes(), _SceneChangePrev=(2,))
    assert cuts(clip, "none") == []
    assert cuts(clip, [4, 9, 4]) == [4, 9]
    assert scenes.cut_clip("test", clip, (4, 9)) is scenes.cut_clip("test", clip, [4, 9])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("xvid", "predict: unknown scenes 'xvid'; give auto, props, none or a list of the frames that begin scenes"),
        ("props", "predict: scenes is 'props' but frame 0 has no _SceneChangePrev or _SceneChangeNext, which every frame needs"),
        ([3, 40], "predict: scenes names frame 40; the clip has frames 0 to 12"),
        ([-1], "predict: scenes names frame -1; the clip has frames 0 to 12"),
        ([1.5], "predict: scenes is [1.5]; give auto, props, none or a list"),
        (None, "predict: scenes is None; give auto, props, none or a list"),
    ],
)
def test_what_makes_no_sense_is_refused(two_scenes, choice, message):
    with pytest.raises(InputError) as caught:
        scenes.cut_clip("predict", two_scenes(), choice)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


# Stages that read several frames.


def test_a_cut_in_the_middle_gives_each_scene_as_if_alone(scene, bytes_of):
    alone = bytes_of(chain(scene(1, AT))) + bytes_of(chain(scene(2, 6)))
    joined = scene(1, AT) + scene(2, 6)
    assert bytes_of(chain(joined)) == alone
    assert bytes_of(chain(joined, [AT])) == alone
    across = bytes_of(chain(joined, "none"))
    assert [n for n in range(13) if across[n] != alone[n]] == [4, 5, 6, 7, 8, 9]  # three frames on either side


def test_the_users_cuts_decide(scene, bytes_of):
    whole = scene(1, 12)
    alone = bytes_of(chain(whole[:5])) + bytes_of(chain(whole[5:]))
    assert bytes_of(chain(whole)) != alone
    assert bytes_of(chain(tagged(whole, _SceneChangePrev=(5,)))) == alone
    assert bytes_of(chain(tagged(whole, _SceneChangeNext=(4,)))) == alone


def test_scenes_shorter_than_the_window(scene, bytes_of):
    clip = scene(1, 12)
    firsts = [1, 2, 4, 11]
    edges = [0, *firsts, 12]
    alone = [frame for first, last in itertools.pairwise(edges) for frame in bytes_of(chain(clip[first:last]))]
    assert bytes_of(chain(clip, firsts)) == alone


@pytest.mark.parametrize("choice", ["auto", "none", [2, 5]])
def test_fused_equals_broken(two_scenes, bytes_of, choice):
    fused = chain(two_scenes(), choice)
    plan = graph.plan_of(fused)
    assert [source.signal for source in plan.sources] == ["sdr", "cuts"]
    expected = bytes_of(fused)
    for breaks in ({1}, {2}, {1, 2}):
        assert bytes_of(chain(two_scenes(), choice, breaks)) == expected
    assert all((frame.props[scenes.CUT] == 1) == (n in cuts(two_scenes(), choice)) for n, frame in enumerate(fused.frames()))


def test_stages_on_both_ways_from_one_source_share_its_cuts(two_scenes):
    clip = two_scenes()
    both = Stage(name="both", reads={"sdr": (-1, 0), "features": (0, 1)}, writes="hdr", function=lambda a, b, c, d: a + b + c + d)
    features = graph.apply(mean_stage(writes="features"), {"sdr": clip})
    plan = graph.plan_of(graph.apply(both, {"sdr": clip, "features": features}))
    assert sorted(source.signal for source in plan.sources) == ["cuts", "sdr"]
    assert plan.step.cuts is plan.step.inputs["features"].cuts


def test_a_stage_may_have_scenes_of_its_own(scene, bytes_of):
    clip = scene(1, 10)

    def two(clip, first, second, broken=False):
        middle = graph.apply(FIRST, {"sdr": clip}, scenes=first)
        return graph.apply(SECOND, {"sdr": middle.std.Trim(0) if broken else middle}, scenes=second)

    expected = bytes_of(two(clip, [4], [7], broken=True))
    assert bytes_of(two(clip, [4], [7])) == expected
    assert len({tuple(bytes_of(two(clip, *pair))) for pair in (([4], [7]), ([7], [4]), ([4], "auto"))}) == 3


@pytest.mark.parametrize("choice", ["none", [3]])
def test_later_stages_follow_the_first_past_a_break_also_where_they_read_the_source(two_scenes, bytes_of, choice):
    both = Stage(name="both", reads={"sdr": (0,), "linear": (-2, 1)}, writes="hdr", function=lambda a, b, c: a + b / 3 + c / 5)
    clip = two_scenes()
    features = graph.apply(mean_stage(writes="linear"), {"sdr": clip}, scenes=choice)
    fused, broken = (graph.apply(both, {"sdr": clip, "linear": each}) for each in (features, features.std.Trim(0)))
    assert bytes_of(fused) == bytes_of(broken)
    assert bytes_of(fused) != bytes_of(graph.apply(both, {"sdr": clip, "linear": features}, scenes=[AT]))


def test_clips_shorter_than_the_window(scene, bytes_of):
    for length in (1, 2, 3):
        clip = chain(scene(1, length))
        assert len(set(bytes_of(clip))) == length


# The same bytes, whatever was asked before and whatever is remembered.


@pytest.fixture(params=[(0, 1 << 30), (1, 1 << 30), (3, 1 << 30), (64, 1 << 30), (64, 40_000), (64, 0)], ids=str)
def memo_size(request, monkeypatch):
    frames, size = request.param
    monkeypatch.setattr(pipeline, "MEMO_FRAMES", frames)
    monkeypatch.setattr(pipeline, "MEMO_BYTES", size)


@pytest.fixture(scope="module")
def expected():
    return {}


def test_no_order_thread_count_or_memo_changes_a_byte(two_scenes, bytes_of, memo_size, expected):
    whole = bytes_of(chain(two_scenes()))
    assert whole == expected.setdefault("bytes", whole)  # of the first size
    assert len(set(whole)) == 13
    for order in (list(reversed(range(13))), random.Random(2).sample(range(13), 13), [6, 7, 6, 7, *range(13)]):
        assert bytes_of(chain(two_scenes()), order) == whole
    before = vs.core.num_threads
    try:
        for threads in (1, 2, 3, 8):
            vs.core.num_threads = threads
            clip = chain(two_scenes())
            frames = clip.frames(prefetch=2 * threads, close=False)
            assert [b"".join(np.asarray(f[p]).tobytes() for p in range(3)) for f in frames] == whole
    finally:
        vs.core.num_threads = before


def test_chunks_of_the_result_equal_the_whole(two_scenes, bytes_of):
    whole = bytes_of(chain(two_scenes()))
    for edges in ((0, 4, 13), (0, 6, 7, 8, 13), (0, 12, 13)):
        parts = itertools.pairwise(edges)
        assert [frame for first, last in parts for frame in bytes_of(chain(two_scenes())[first:last])] == whole


def test_the_memo_saves_work_and_goes_with_its_clip(scene, monkeypatch):
    memos, calls = [], []

    class Watched(pipeline.Memo):
        def __init__(self, step):
            super().__init__(step)
            memos.append(weakref.ref(self))

    monkeypatch.setattr(graph, "Memo", Watched)

    def counted(array, *others):
        calls.append(1)
        return array + sum(others)

    inner = Stage(name="inner", reads={"sdr": (-1, 0, 1)}, writes="features", function=counted)
    outer = Stage(name="outer", reads={"features": (-2, -1, 0, 1, 2)}, writes="hdr", function=sum_of)
    source = scene(1, 12)
    clip = graph.apply(outer, {"features": graph.apply(inner, {"sdr": source}, scenes="none")})
    for frame in clip.frames(close=True):
        del frame
    assert len(calls) == 12
    memo = memos[-1]()
    assert 0 < len(memo) <= 2 * (7 + pipeline.MEMO_FRAMES)
    assert memo.bytes == len(memo) * 64 * 48 * 3 * 4
    del clip, memo
    gc.collect()
    assert [each() for each in memos] == [None] * len(memos)


def sum_of(*arrays):
    return sum(arrays)


def test_nothing_is_left_of_a_script_that_was_run_again_and_again(scene):
    gc.collect()
    before = len(graph._PLANS), len(scenes._CLIPS)
    for _ in range(3):
        clip = chain(scene(1, 6))
        clip.get_frame(3).close()
        del clip
        gc.collect()
    assert (len(graph._PLANS), len(scenes._CLIPS)) == before


def test_vspipe_from_any_frame_to_any_gives_the_bytes_of_the_whole(tmp_path, bytes_of):
    vspipe = Path(sys.executable).with_name("vspipe")
    if not vspipe.exists():
        pytest.skip("no vspipe")
    script = tmp_path / "temporal.vpy"
    script.write_text(
        "import vapoursynth as vs\n"
        "from vs_hdrtv import graph, to_hdr10\n"
        "from vs_hdrtv.color.tone_curves import bt2408\n"
        "from vs_hdrtv.stages import Stage\n"
        "def ramp(n, f):\n"
        "    out = f.copy()\n"
        "    import numpy as np\n"
        "    y, x = np.mgrid[:32, :32] / 32\n"
        "    np.asarray(out[0])[...] = (200 * abs(np.sin(9 * (x if n < 4 else y * y) + 0.1 * n))).astype(np.uint8) + 20\n"
        "    return out\n"
        "clip = vs.core.std.BlankClip(width=32, height=32, format=vs.YUV420P8, length=8, color=[0, 128, 128])\n"
        "clip = clip.std.ModifyFrame(clip, ramp).std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1, _Range=0)\n"
        "mean = Stage(name='mean', reads={'sdr': (-2, 0, 1)}, writes='sdr', function=lambda a, b, c: (a + b + b + c) / 4)\n"
        "hdr = Stage(name='map', reads={'sdr': (-1, 0)}, writes='hdr', function=lambda a, b: bt2408((a + b + b) / 3))\n"
        "to_hdr10(graph.apply(hdr, {'sdr': graph.apply(mean, {'sdr': clip})})).set_output()\n"
    )

    try:
        runpy.run_path(str(script))
        whole = b"".join(bytes_of(vs.get_output(0).clip))
    finally:
        vs.clear_output(0)
    parts = (("-s", "0", "-e", "2"), ("-s", "3", "-e", "7", "-r", "5"))
    piped = [subprocess.run([vspipe, *part, script, "-"], check=True, capture_output=True).stdout for part in parts]
    assert b"".join(piped) == whole


@pytest.mark.parametrize(("width", "height"), [(64, 48), (201, 133), (24, 17)])
def test_a_signature_of_an_array_is_that_of_a_clip(moving_clip, width, height):
    clip = moving_clip(vs.GRAY8, width, height, 2)
    small = scenes.signatures_of(clip)
    for n in range(2):
        expected = np.asarray(small.get_frame(n)[0]).astype(int)
        found = scenes.signature(np.asarray(clip.get_frame(n)[0])).astype(int)
        assert np.abs(found - expected).max() <= 1
