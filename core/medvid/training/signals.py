"""Signals ask, the loop decides: a run stops at a step boundary with its state saved."""

import signal
from types import FrameType
from typing import Self

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Remembers the first SIGTERM or SIGINT while in use as a context manager; a second one acts at once.

    ``received`` is the signal's number, or 0.
    """

    def __init__(self) -> None:
        self.received = 0
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._remember) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.received = number
        for each in STOP_SIGNALS:
            signal.signal(each, signal.SIG_DFL)


def ignore_stop_signals() -> None:
    """For loader workers: the process that owns them ends them, so that none dies in the middle of a step."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
