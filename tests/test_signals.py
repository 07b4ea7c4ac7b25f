import os
import signal

import pytest

from medvid.signals import STOP_SIGNALS, StopSignal


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_what_asks_to_stop_is_remembered_and_acts_the_second_time(name: str) -> None:
    number = signal.Signals[name]
    before = [signal.getsignal(each) for each in STOP_SIGNALS]
    with StopSignal() as stop:
        assert stop.received == 0
        os.kill(os.getpid(), number)
        assert stop.received == number
        assert signal.getsignal(number) == signal.SIG_DFL
        others = [each for each in STOP_SIGNALS if each != number]
        os.kill(os.getpid(), others[0])
        assert stop.received == number
    assert [signal.getsignal(each) for each in STOP_SIGNALS] == before


def test_what_is_ignored_stays_ignored_as_nohup_asks() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignal() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.received == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
