"""Plans without VapourSynth: windows, offsets at the ends of a scene, each value computed once."""

import gc
import threading
import weakref

import numpy as np
import pytest

from vs_hdrtv.pipeline import Memo, Source, Step, build, compute, cuts_of, spans, windows
from vs_hdrtv.stages import Stage


def window_sum(calls):
    def run(*arrays):
        calls.append(len(arrays))
        return sum(arrays)

    return run


def calls_of(step):
    found = {step.stage: step.stage.function}
    for node in step.inputs.values():
        if isinstance(node, Step):
            found |= calls_of(node)
    return found


def chain(calls):
    source = Source("sdr")
    inner = Step(Stage(name="inner", reads={"sdr": (-1, 0, 1)}, writes="features", function=window_sum(calls)), {"sdr": source})
    outer = Step(
        Stage(name="outer", reads={"features": (-1, 0, 1)}, writes="hdr", function=window_sum(calls)),
        {"features": inner},
    )
    return source, outer


def test_windows_add_up_along_a_chain():
    source, outer = chain([])
    assert windows(outer) == {source: (-2, 2)}


def test_offsets_outside_the_scene_become_its_nearest_frame():
    source, outer = chain([])
    asked = []

    def fetch(wanted, frame):
        assert wanted is source
        asked.append(frame)
        return np.asarray(10.0**frame)

    # Frame 3 of a scene 3..9: inner(3) = f3 + f3 + f4, inner(4) = f3 + f4 + f5; outer = inner(3) + inner(3) + inner(4).
    assert compute(outer, 3, (3, 9), calls_of(outer), fetch) == 5e3 + 3e4 + 1e5
    assert sorted(asked) == [3, 4, 5]


def test_each_intermediate_is_computed_once_a_frame():
    calls = []
    _, outer = chain(calls)
    compute(outer, 5, (0, 9), calls_of(outer), lambda _, frame: np.asarray(float(frame)))
    assert len(calls) == 4  # three inner values, one outer


def test_a_plan_may_read_two_sources():
    first, second = Source("hdr"), Source("sdr")
    stage = Stage(name="both", reads={"hdr": (0,), "sdr": (0, 1)}, writes="hdr", function=lambda a, b, c: (a, b, c))
    step = Step(stage, {"hdr": first, "sdr": second})
    assert windows(step) == {first: (0, 0), second: (0, 1)}
    values = {first: 100, second: 200}
    assert compute(step, 3, (0, 9), calls_of(step), lambda source, frame: values[source] + frame) == (103, 203, 204)


def test_the_arrays_of_a_frame_are_gone_with_it():
    # At 2160p they are gigabytes: they must not wait for the garbage collector.
    source = Source("sdr")
    stage = Stage(name="double", reads={"sdr": (-1, 0)}, writes="hdr", function=lambda before, now: before + now)
    alive = []

    class Counted(np.ndarray):
        pass

    def fetch(node, at):
        array = np.full((1, 3, 2, 2), float(at)).view(Counted)
        alive.append(weakref.ref(array))
        return array

    gc.disable()
    try:
        result = compute(Step(stage, {"sdr": source}), 3, (0, 9), {stage: stage.function}, fetch)
        assert result.max() == 5
        assert [reference() for reference in alive] == [None, None]
    finally:
        gc.enable()


def test_sources_come_in_the_order_of_the_inputs():
    first, second = Source("sdr"), Source("mask")
    inner = Stage(name="inner", reads={"sdr": (0,)}, writes="hdr", function=lambda x: x)
    outer = Stage(name="outer", reads={"hdr": (0,), "mask": (0,)}, writes="hdr", function=lambda x, y: x)
    assert list(windows(Step(outer, {"hdr": Step(inner, {"sdr": first}), "mask": second}))) == [first, second]


def with_cuts():
    """The chain of two stages, both of which stop at cuts."""
    source, cuts = Source("sdr"), Source("cuts")
    inner = Stage(name="inner", reads={"sdr": (-1, 0, 1)}, writes="features", function=window_sum([]))
    outer = Stage(name="outer", reads={"features": (-1, 0, 1)}, writes="hdr", function=window_sum([]))
    return source, cuts, Step(outer, {"features": Step(inner, {"sdr": source}, cuts)}, cuts)


def test_cuts_are_read_where_windows_could_cross_them_and_come_last():
    source, cuts, outer = with_cuts()
    assert windows(outer) == {source: (-2, 2), cuts: (-1, 2)}
    assert list(windows(outer)) == [source, cuts]
    assert cuts_of(outer) is cuts
    assert cuts_of(chain([])[1]) is None
    mapping = Stage(name="map", reads={"hdr": (0,)}, writes="packed", function=lambda x: x)
    assert cuts_of(Step(mapping, {"hdr": outer})) is cuts
    forward = Stage(name="forward", reads={"sdr": (0, 3)}, writes="hdr", function=window_sum([]))
    assert windows(Step(forward, {"sdr": source}, cuts)) == {source: (0, 3), cuts: (0, 3)}
    behind = Stage(name="behind", reads={"sdr": (-3, -2)}, writes="sdr", function=window_sum([]))
    once = Step(behind, {"sdr": source}, cuts)
    assert windows(once) == {source: (-3, 0), cuts: (-2, 0)}
    assert windows(Step(behind, {"sdr": once}, cuts)) == {source: (-6, 0), cuts: (-5, 0)}
    ahead = Stage(name="ahead", reads={"sdr": (0, 1)}, writes="sdr", function=window_sum([]))
    # At a cut `behind` reads frame 0 of `ahead`, which reads frame 1.
    assert windows(Step(behind, {"sdr": Step(ahead, {"sdr": source}, cuts)}, cuts)) == {source: (-3, 1), cuts: (-2, 1)}


def test_nothing_is_read_beyond_a_cut():
    _source, cuts, outer = with_cuts()
    flags_asked = []

    def is_cut(wanted, frame):
        assert wanted is cuts
        flags_asked.append(frame)
        return frame in (4, 6)

    def value(frame):
        return compute(outer, frame, (0, 9), calls_of(outer), lambda _, at: np.asarray(10.0**at), is_cut)

    # Frames 4 and 5 are a scene: inner(4) = 2 f4 + f5, inner(5) = f4 + 2 f5.
    assert value(4) == 2 * (2e4 + 1e5) + (1e4 + 2e5)
    assert value(5) == (2e4 + 1e5) + 2 * (1e4 + 2e5)
    assert min(flags_asked) >= 3
    assert max(flags_asked) <= 7


def counting(memo_frames=None, memo_bytes=None):
    """The chain, its memo, and what it calls."""
    calls = []
    _, outer = chain(calls)
    return outer, Memo(outer, memo_frames, memo_bytes), calls


@pytest.mark.parametrize(
    ("frames", "size", "runs"),
    [(None, None, 20), (1, 1 << 20, 20), (0, 1 << 20, 38), (64, 0, 38), (64, 8 * 8, 20)],  # 10 outer; 10, or 10 * 3 - 2 inner
)
def test_a_memo_bounds_frames_and_bytes_and_changes_no_value(frames, size, runs):
    outer, memo, calls = counting(frames, size)
    for frame in range(10):
        arguments = (outer, frame, (0, 9), calls_of(outer), lambda _, at: np.asarray(at, dtype=np.float64) ** 3)
        assert compute(*arguments, memo=memo) == compute(*arguments)
        windows_of_both = sum(high - low + 1 for node, (low, high) in spans(outer).items() if node is not outer)
        assert len(memo) <= (windows_of_both + 2 * (16 if frames is None else frames) if frames != 0 else 0)
        assert memo.bytes == 8 * len(memo)
        assert memo.bytes <= (1 << 30 if size is None else size)
    assert len(calls) - 38 == runs  # without a memo it is 38


def test_a_memo_holds_only_what_several_frames_are_made_of():
    source, outer = chain([])
    last = Step(Stage(name="last", reads={"hdr": (0,)}, writes="packed", function=lambda x: x), {"hdr": outer})
    memo = Memo(last)
    assert [memo.holds(node) for node in (source, outer.inputs["features"], outer, last)] == [True, True, False, False]


def test_a_part_that_one_held_part_alone_reads_is_not_held():
    source = Source("sdr")
    first, second = (Stage(name=name, reads={"sdr": (0,)}, writes="sdr", function=lambda x: x) for name in ("first", "second"))
    around = Stage(name="around", reads={"sdr": (-1, 0, 1)}, writes="hdr", function=lambda *arrays: sum(arrays))
    features = Step(first, {"sdr": source})
    last = Step(second, {"sdr": features})
    memo = Memo(Step(around, {"sdr": last}))
    assert [memo.holds(node) for node in (source, features, last)] == [False, False, True]


@pytest.mark.parametrize("steady", [1, 8, 32])
def test_statistics_are_made_once_a_frame_whatever_pictures_take(steady):
    source, made = Source("sdr"), []
    own = Stage(name="own", reads={"sdr": (0,)}, writes="statistics", function=lambda x: made.append(1) or x[:1])
    mean = Stage(
        name="mean",
        reads={"statistics": tuple(range(-steady, steady + 1))},
        writes="statistics",
        function=lambda *arrays: sum(arrays) / len(arrays),
        inner={"statistics": own},
    )
    last = Stage(
        name="last",
        reads={"sdr": (0,), "statistics": (0,)},
        writes="hdr",
        function=lambda x, statistics: x + statistics,
        inner={"statistics": mean},
    )
    step = build(last, {"sdr": source})
    memo = Memo(step, size=1 << 12)  # of pictures: three
    calls = calls_of(step)
    for frame in range(40):
        compute(step, frame, (0, 39), calls, lambda _, at: np.full(128, float(at)), memo=memo)
    assert len(made) == 40
    assert memo.bytes <= 1 << 12


def test_two_threads_that_want_one_value_compute_it_once():
    outer, memo, _ = counting()
    key = (outer.inputs["features"], 3)
    begun, go_on = threading.Event(), threading.Event()
    calls, found = [], []

    def slow(node, at):
        calls.append(at)
        begun.set()
        assert go_on.wait(30)
        return np.asarray(7.0)

    threads = [threading.Thread(target=lambda: found.append(memo.get(key, slow))) for _ in range(4)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert calls == [3]
    assert found == [7.0] * 4


def test_a_value_that_failed_is_not_remembered():
    outer, memo, _ = counting()
    key = (outer.inputs["features"], 3)
    begun, go_on = threading.Event(), threading.Event()
    found = []

    def fail(node, at):
        begun.set()
        assert go_on.wait(30)
        raise ValueError("no")

    def first():
        with pytest.raises(ValueError, match="no"):
            memo.get(key, fail)
        found.append("failed")

    threads = [threading.Thread(target=first)]
    threads[0].start()
    assert begun.wait(30)
    threads.append(threading.Thread(target=lambda: found.append(memo.get(key, lambda node, at: np.asarray(2.0)))))
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert sorted(map(str, found)) == ["2.0", "failed"]
    assert memo.get(key, fail) == 2
