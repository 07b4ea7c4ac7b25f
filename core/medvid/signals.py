"""Signals ask, the loop decides: a run stops at a step boundary with its state saved."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def ended_by_signals(speaks: Callable[[], bool]) -> Iterator[None]:
    """Within the block, but for a `StopSignal` in it, a signal ends the program at once, with 128 + its number.

    As by default, but with a sentence, and with what has to be done at the end of the program.

    Args:
        speaks: asked whether to say so; of several processes of a run, one does.
    """

    def end(number: int, _: FrameType | None) -> None:
        if speaks():
            name = signal.Signals(number).name
            print(f"error[INTERRUPTED]: stopped by {name}; there was nothing to save", file=sys.stderr, flush=True)
        raise SystemExit(128 + number)

    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number, handler in previous.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def ignore_stop_signals() -> None:
    """For loader workers: only their owner ends them, so that none dies in the middle of a step."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
