"""A signal asks a training to stop; its processes agree on when, and it says how to continue."""

import signal
from pathlib import Path

from medvid.devices.waiting import largest
from medvid.errors import Interrupted
from medvid.signals import StopSignal


class StopRequest(StopSignal):
    """The wish of a signal to stop, while in use as a context manager.

    Args:
        folder: of the run.
        steps: of the training.
        is_new: whether the run has no checkpoint yet.
    """

    def __init__(self, folder: Path, steps: int, *, is_new: bool) -> None:
        super().__init__()
        self._folder, self._steps, self._is_new = folder, steps, is_new

    def is_received(self) -> bool:
        """Whether this process was asked to stop."""
        return self.received != 0

    def agreed(self) -> int:
        """The signal by which any process was asked to stop, or 0; all processes ask together, and get one answer."""
        return largest(self.received)

    def stop_if_asked(self, saved: int | None = None) -> None:
        """Stop if a signal asked for it; all processes ask together.

        Args:
            saved: the last step that this execution of the run has saved, None before the first one.

        Raises:
            Interrupted: with how to continue.
        """
        number = self.agreed()
        if not number:
            return
        name, resumable = signal.Signals(number).name, saved is not None or not self._is_new
        raise Interrupted(
            f"stopped by {name} before anything was trained"
            if saved is None
            else f"stopped by {name}; step {saved} of {self._steps} is saved",
            signal_number=number,
            hint=f"continue with: platform run --resume {self._folder}" if resumable else "",
        )
