"""Plans without VapourSynth: windows, offsets at the ends of a scene, each value computed once."""

import gc
import weakref

import numpy as np

from vs_hdrtv.pipeline import Source, Step, compute, windows
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
