import os
import signal

import pytest

from medvid.signals import STOP_SIGNALS, StopSignal, ended_by_signals


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


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_before_there_is_anything_to_save_a_signal_ends_the_program(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    number = signal.Signals[name]
    before = [signal.getsignal(each) for each in STOP_SIGNALS]
    with ended_by_signals(lambda: True):
        with StopSignal() as stop:  # which saves something first
            os.kill(os.getpid(), number)
            assert stop.received == number
        with pytest.raises(SystemExit) as ended:
            os.kill(os.getpid(), number)
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err == f"error[INTERRUPTED]: stopped by {name}; there was nothing to save\n"
    assert [signal.getsignal(each) for each in STOP_SIGNALS] == before


def test_one_of_several_processes_says_that_it_was_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    with ended_by_signals(lambda: False), pytest.raises(SystemExit):
        os.kill(os.getpid(), signal.SIGHUP)
    assert capsys.readouterr().err == ""


def test_a_closed_terminal_does_not_end_what_nohup_has_started() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals(lambda: True):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
