"""Over formats, sizes, ranges and chains drawn at random: fused equals unfused, and no order, chunk or thread changes a byte."""

import contextlib
import os

import hypothesis.strategies as st
import numpy as np
import pytest
import vapoursynth as vs
from hypothesis import HealthCheck, example, given, settings

from vs_hdrtv import blend, feature_map, grade, graph, inverse_tone_map, limit, sdr_to_hdr, to_hdr10, to_hlg
from vs_hdrtv.color.tone_curves import INVERSE_TONE_MAPS
from vs_hdrtv.stages import PACKINGS, Stage

LENGTH = 5

EXAMPLES = int(os.environ.get("EXAMPLES", "20"))
"""Drawn for each property; `EXAMPLES=1000 make test PYTEST=tests/test_properties.py` before a release."""

# Fixtures give functions that make the same clip at every call, so that sharing them between examples is no matter.
prop = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def formats(draw):
    family = draw(st.sampled_from([vs.YUV, vs.RGB, vs.GRAY]))
    sampling = draw(st.sampled_from([(0, 0), (1, 0), (1, 1), (2, 0), (0, 1), (2, 2)])) if family == vs.YUV else (0, 0)
    sample_type, depth = draw(st.sampled_from([*((vs.INTEGER, bits) for bits in range(8, 17)), (vs.FLOAT, 16), (vs.FLOAT, 32)]))
    return vs.core.query_video_format(family, sample_type, depth, *sampling)


@st.composite
def sources(draw):
    """Format, size and tags of a clip."""
    fmt = draw(formats())
    width = draw(st.integers(1, 40)) << fmt.subsampling_w
    height = draw(st.integers(1, 40)) << fmt.subsampling_h
    tags = {"_Transfer": draw(st.sampled_from([1, 6, 13, 14])), "_Primaries": draw(st.sampled_from([1, 5, 6, 9]))}
    tags["_Range"] = 1 if fmt.color_family == vs.RGB else draw(st.sampled_from([0, 1]))
    tags["_Matrix"] = 0 if fmt.color_family == vs.RGB else draw(st.sampled_from([1, 5, 6, 9]))
    if fmt.subsampling_w or fmt.subsampling_h:
        tags["_ChromaLocation"] = draw(st.integers(0, 3))
    return fmt, width, height, tags


def make(source):
    """Random pixels in legal codes, other ones in every frame, the same at every call."""
    fmt, width, height, tags = source
    blank = vs.core.std.BlankClip(format=fmt.id, width=width, height=height, length=LENGTH, keep=True)

    def fill(n, f):
        out = f.copy()
        random = np.random.default_rng(n)
        for index in range(fmt.num_planes):
            plane = np.asarray(out[index])
            if fmt.sample_type == vs.INTEGER:
                plane[...] = random.integers(0, 1 << fmt.bits_per_sample, plane.shape)
            else:
                low = -0.5 if index and fmt.color_family == vs.YUV else 0.0
                plane[...] = random.random(plane.shape) + low
        return out

    return blank.std.ModifyFrame(blank, fill).std.SetFrameProps(**tags)


mappings = st.sampled_from(sorted(INVERSE_TONE_MAPS)).map(lambda method: ("map", method))
times = st.one_of(st.just("auto"), st.just("none"), st.lists(st.integers(0, LENGTH - 1), max_size=LENGTH).map(tuple)).flatmap(
    lambda scenes: st.tuples(st.just("time"), st.sets(st.integers(-3, 3), min_size=2).map(sorted).map(tuple), st.just(scenes))
)
middles = st.lists(
    st.one_of(
        times,
        st.floats(0, 1).map(lambda strength: ("blend", strength)),
        st.tuples(st.just("grade"), st.floats(100, 400), st.floats(0.5, 2), st.floats(0, 1.5)),
        st.tuples(st.just("limit"), st.floats(50, 500), st.integers(0, 30), st.integers(6, 30)),
        st.just(("mask",)),
    ),
    max_size=3,
)
ends = st.one_of(
    st.tuples(st.just("hdr10"), st.floats(100, 4000), st.sampled_from(sorted(PACKINGS))),
    st.tuples(st.just("hlg"), st.sampled_from(sorted(PACKINGS))),
)
chains = st.tuples(mappings, middles, ends).map(lambda parts: [parts[0], *parts[1], parts[2]])


def weighted(*arrays):
    """Each array with a weight of its own, so that no wrong one goes unseen."""
    weights = np.linspace(1, 2, len(arrays), dtype=np.float32)
    return sum(weight * array for weight, array in zip(weights, arrays, strict=True)) / weights.sum()


def apply(step, clip, sdr):
    name, *values = step
    if name == "time":
        stage = Stage(name="time", reads={"hdr": values[0], "sdr": (0,)}, writes="hdr", function=lambda *all: weighted(*all[:-1]))
        return graph.apply(stage, {"hdr": clip, "sdr": sdr}, scenes=values[1])
    if name == "map":
        return inverse_tone_map(sdr, values[0])
    if name == "blend":
        return blend(clip, sdr, values[0])
    if name == "grade":
        return grade(clip, *values)
    if name == "limit":
        left = min(values[1], sdr.width - 1)
        return limit(clip, values[0], [(left, 0, min(values[2], sdr.width - left), min(12, sdr.height))])
    if name == "mask":
        mask = vs.core.std.BlankClip(
            format=vs.GRAY8, width=sdr.width, height=sdr.height, length=sdr.num_frames, color=100, keep=True
        )
        return limit(clip, 150, mask=mask)
    return to_hdr10(clip, values[0], format=values[1]) if name == "hdr10" else to_hlg(clip, format=values[0])


def run(chain, sdr, breaks=()):
    """The chain's clip, a `Trim` of nothing standing before the steps in `breaks`."""
    clip = None
    for index, step in enumerate(chain):
        if clip is not None and index in breaks:
            clip = clip.std.Trim(0)
        clip = apply(step, clip, sdr)
    return clip


@contextlib.contextmanager
def threads(count):
    before = vs.core.num_threads
    vs.core.num_threads = count
    try:
        yield
    finally:
        vs.core.num_threads = before


@prop
@given(source=sources(), chain=chains, breaks=st.sets(st.integers(1, 5)))
def test_fused_equals_unfused_byte_for_byte(bytes_of, source, chain, breaks):
    sdr = make(source)
    fused = run(chain, sdr)
    assert all(clip.raw is sdr or clip.signal in ("mask", "cuts") for clip in graph.plan_of(fused).sources.values())
    assert bytes_of(run(chain, sdr, breaks)) == bytes_of(fused)


@prop
@given(
    source=sources(), chain=chains, order=st.permutations(range(LENGTH)), count=st.integers(1, 8), cut=st.integers(1, LENGTH - 1)
)
def test_orders_threads_and_chunks_give_the_same_bytes(bytes_of, source, chain, order, count, cut):
    expected = bytes_of(run(chain, make(source)))
    assert bytes_of(run(chain, make(source)), order) == expected
    with threads(count):
        clip = run(chain, make(source))
        parallel = [b"".join(np.asarray(f[p]).tobytes() for p in range(3)) for f in clip.frames(prefetch=count, close=False)]
    assert parallel == expected
    whole = run(chain, make(source))
    assert bytes_of(whole[cut:]) + bytes_of(whole[:cut]) == expected[cut:] + expected[:cut]
    if not any(step[0] == "time" for step in chain):  # such a step sees less in a shorter clip
        assert bytes_of(run(chain, make(source)[cut:])) == expected[cut:]


@prop
@given(source=sources(), chain=chains)
@example(
    source=(vs.core.query_video_format(vs.YUV, vs.INTEGER, 8, 2, 0), 4, 1, {"_Matrix": 6, "_Transfer": 1, "_Primaries": 6}),
    chain=[("map", "bt2408"), ("hdr10", 1000.0, "yuv420p10")],
)
def test_every_source_becomes_a_tagged_clip_of_legal_codes(source, chain):
    _, width, height, _ = source
    clip = run(chain, make(source))
    packing = PACKINGS[chain[-1][-1]]
    fmt = clip.format
    assert (fmt.color_family, fmt.sample_type, fmt.bits_per_sample) == (vs.YUV, vs.INTEGER, packing.depth)
    assert clip.width == width + (width % 2 if fmt.subsampling_w else 0)
    assert clip.height == height + (height % 2 if fmt.subsampling_h else 0)
    frame = clip.get_frame(LENGTH - 1)
    props = frame.props
    assert (props["_Transfer"], props["_Primaries"], props["_Matrix"], props["_Range"]) == (
        16 if "hdr10" in chain[-1] else 18,
        9,
        9,
        0,
    )
    assert ("_ChromaLocation" in props) == (packing.sampling != "444")
    # H.273: the lowest and highest codes are for timing (0 to 3 and 1020 to 1023 with 10 bits).
    reserved = 1 << (packing.depth - 8)
    for plane in range(3):
        samples = np.asarray(frame[plane])
        assert reserved <= samples.min() <= samples.max() <= (1 << packing.depth) - 1 - reserved


@settings(parent=prop, max_examples=8)
@given(source=sources(), order=st.permutations(range(LENGTH)), break_it=st.booleans())
def test_the_network_too(bytes_of, source, order, break_it):
    def chain(sdr):
        hdr = feature_map(sdr, engine="cpu", letterbox=(2, 1, 0, 1) if min(sdr.width, sdr.height) > 8 else None)
        return to_hdr10(blend(hdr.std.Trim(0) if break_it else hdr, sdr, 0.7))

    sdr = make(source)
    assert bytes_of(chain(make(source)), order[:3]) == bytes_of(chain(sdr), sorted(order[:3]))


@pytest.mark.parametrize("strength", [0, 1])
def test_the_ends_of_strength_are_byte_equal_to_what_they_name(moving_clip, bytes_of, strength):
    clip = moving_clip(length=2)
    expected = sdr_to_hdr(clip, "bt2408") if strength == 0 else sdr_to_hdr(clip, engine="cpu")
    assert bytes_of(sdr_to_hdr(clip, engine="cpu", strength=strength)) == bytes_of(expected)
