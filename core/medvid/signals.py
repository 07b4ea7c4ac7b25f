"""Signals ask, the loop decides: a run stops at a step boundary with its state saved."""

import signal
from types import FrameType
from typing import Self

_NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")
STOP_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""Signals by which users, closing terminals and schedulers ask a run to stop; systems other than Unix have fewer."""


class StopSignal:
    """Remembers the first of the `STOP_SIGNALS` while in use as a context manager; a repeated one acts at once.

    A different one does not: a scheduler warns with one and follows up with another. Ignored signals stay ignored, as
    `nohup` needs.

    ``received`` is the signal's number, or 0.
    """

    def __init__(self) -> None:
        self.received = 0
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous.clear()

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.received = self.received or number
        signal.signal(number, signal.SIG_DFL)


def ignore_stop_signals() -> None:
    """For loader workers: only their owner ends them, so that none dies in the middle of a step."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
