import signal

import pytest

from vs_hdrtv.errors import InputError
from vs_hdrtv.training.stopping import SIGNALS, Stop


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_after_the_minutes():
    clock = Clock()
    stop = Stop(2, clock)
    clock.now += 119
    assert not stop.wanted()
    assert stop.reason is None
    clock.now += 1
    assert stop.wanted()
    assert (stop.reason, stop.code) == ("after 2 minutes", 0)


def test_never():
    assert not Stop(None, lambda: 1e12).wanted()


@pytest.mark.parametrize("minutes", [0, -1, float("nan")])
def test_minutes_above_0(minutes):
    with pytest.raises(InputError, match=r"train: --minutes is .*; give a number above 0"):
        Stop(minutes)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_a_wish_and_the_second_one_is_not(number, code):
    seen = []
    before = signal.signal(number, lambda *_: seen.append(number))
    try:
        stop = Stop()
        with stop.listening():
            signal.raise_signal(number)
            assert stop.wanted()
            assert (stop.reason, stop.code) == (number.name, code)
            assert not seen
            signal.raise_signal(number)
            assert seen == [number]
    finally:
        signal.signal(number, before)


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Stop().listening():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
