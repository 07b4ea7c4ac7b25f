"""Every failure a user can meet, with the exit code that scripts can rely on.

A message says what was given, why it is wrong and where; the hint says what to do next.
"""


class MedvidError(Exception):
    """Base of all failures that medvid reports in one line and one hint.

    Args:
        message: what was given, why it is wrong, and where (file:line:key, case, plugin).
        hint: what to do next; shown on a line of its own.
    """

    exit_code = 1
    kind = "ERROR"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(MedvidError):
    """A task file, an override or a command line that cannot be used."""

    exit_code = 2
    kind = "CONFIG"


class PluginError(MedvidError):
    """A plugin that the task needs is missing, broken, refused or clashes with another."""

    exit_code = 3
    kind = "PLUGIN"


class DataError(MedvidError):
    """A file of the data set is missing, unreadable or contradicts another."""

    exit_code = 4
    kind = "DATA"


class NumericError(MedvidError):
    """A loss, gradient, weight or model output is not finite; nothing was trained, saved or scored with it."""

    exit_code = 5
    kind = "NUMERIC"


class ResourceError(MedvidError):
    """Not enough disk or memory, or a device that this machine does not have."""

    exit_code = 6
    kind = "RESOURCE"


class LockedError(MedvidError):
    """Another process is working in this run folder."""

    exit_code = 7
    kind = "LOCKED"


class DistributedError(MedvidError):
    """A rank of a distributed run failed or disagrees with the others."""

    exit_code = 8
    kind = "DISTRIBUTED"


class CheckpointError(MedvidError):
    """No intact checkpoint, or one that does not fit the model."""

    exit_code = 9
    kind = "CHECKPOINT"


class Interrupted(MedvidError):  # noqa: N818 (no error: somebody asked for it)
    """A signal asked the run to stop; its state was saved at a step boundary first.

    Args:
        message: the step that was saved and how to continue from it.
        signal_number: the signal; the exit code is 128 + this number, as in shells.
    """

    kind = "INTERRUPTED"

    def __init__(self, message: str, *, signal_number: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + signal_number
