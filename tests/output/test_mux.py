"""When frames are shown and decoded."""

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vs_hdrtv import output, sdr_to_hdr
from vs_hdrtv.errors import InputError
from vs_hdrtv.output.mux import Timeline, even, time_base
from vs_hdrtv.output.pictures import Facts
from vs_hdrtv.output.segments import Packet, Segment


def segment(start, order, durations):
    return Segment(
        start=start,
        end=start + len(order),
        facts=Facts(64, 48, {}),
        extradata=b"",
        size=0,
        packets=tuple(Packet(frame, not place) for place, frame in enumerate(order)),
        durations=tuple(durations),
        light=(),
    )


def test_a_pyramid_of_b_frames():
    found = Timeline.of([segment(0, [0, 4, 2, 1, 3], [Fraction(1, 25)] * 5)], Fraction(25), decode_times=True)
    assert found.clock == Fraction(1, 90000)
    assert found.shown == (0, 3600, 7200, 10800, 14400, 18000)
    assert found.decoded == (-7200, -3600, 0, 3600, 7200)  # frame 1 comes two places late


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine is no fault
@given(
    st.lists(st.permutations(range(5)).map(lambda order: [0, *(n + 1 for n in order)]), min_size=1, max_size=4),
    st.lists(st.fractions(Fraction(1, 240), Fraction(1, 2), max_denominator=1000), min_size=24, max_size=24),
    st.booleans(),
)
def test_frames_are_decoded_one_after_another_and_before_they_are_shown(orders, durations, decode_times):
    parts = [segment(6 * n, order, durations[6 * n : 6 * n + 6]) for n, order in enumerate(orders)]
    found = Timeline.of(parts, Fraction(0), decode_times)
    steps = [b - a for a, b in zip(found.decoded, found.decoded[1:], strict=False)]
    assert min(steps) > 0 if decode_times else min(steps) >= 0 and found.decoded[0] == 0
    assert all(dts <= found.shown[frame] for dts, frame in zip(found.decoded, found.order, strict=True))
    assert sorted(found.order) == list(range(6 * len(orders)))


@pytest.mark.parametrize(
    ("rate", "ticks"),
    [(Fraction(24000, 1001), 360000), (Fraction(25), 90000), (Fraction(0), 90000), (Fraction(10**9 + 7, 3), 90000)],
)
def test_clock_is_exact_for_the_rate_where_that_is_possible(rate, ticks):
    assert time_base(rate) == Fraction(1, ticks)


def test_milliseconds_of_a_constant_rate_are_taken_as_it_was_meant():
    rate = Fraction(24000, 1001)
    rounded = [Fraction(round(1000 * number / rate), 1000) for number in range(500)]
    assert even(rounded, rate) == [number / rate for number in range(500)]
    variable = [Fraction(number, 25) if number < 50 else 2 + Fraction(number - 50, 24) for number in range(100)]
    assert even(variable, Fraction(25)) == variable
    assert even(variable, Fraction(0)) == variable


def test_a_frame_that_mp4_cannot_hold_is_one_line(moving_clip, tmp_path):
    chosen = output.choose(".mp4", "x265", speed="ultrafast")
    clip = sdr_to_hdr(moving_clip(length=3), "bt2408").std.SetFrameProps(_DurationNum=10**6, _DurationDen=1)
    with pytest.raises(InputError, match=r"a frame is shown for 1000000 s, longer than \.mp4 can say; write \.mkv"):
        output.write(clip, tmp_path / "out.mp4", chosen)
