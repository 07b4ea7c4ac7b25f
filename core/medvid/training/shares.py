"""How the cases of a step are shared out, over processes and successive batches, and how other processes keep to it.

Places in the order of cases are dealt out step by step, so that a step takes the same cases wherever their number per
step is the same; see `medvid.data.loading.batches`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from medvid.config.task import Task, TrainOptions
from medvid.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Shares:
    """How a step's cases are shared out.

    Args:
        processes: of the run.
        batch_size: cases of a process at a time.
        accumulate: successive batches of a process.
    """

    processes: int
    batch_size: int
    accumulate: int

    @classmethod
    def of(cls, options: TrainOptions, processes: int) -> "Shares":
        """As a training has them."""
        return cls(processes, options.batch_size, options.accumulate)

    @property
    def cases(self) -> int:
        """Of a step."""
        return self.processes * self.batch_size * self.accumulate

    def state(self) -> dict[str, int]:
        """For a checkpoint."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.processes} processes x batch_size {self.batch_size} x accumulate {self.accumulate}"


def began_with(state: Mapping[str, Any], task: Mapping[str, Any]) -> Shares | None:
    """How a training had its cases shared out; None if that is not known.

    Args:
        state: of its checkpoint.
        task: its options, for a checkpoint of a version that did not keep it.
    """
    if kept := state.get("shares"):
        return Shares(**kept)
    train = task["train"]
    if train["devices"] == "auto":
        return None
    return Shares(train["devices"], train["batch_size"], train["accumulate"])


def keep_shares(task: Task, began: Shares, processes: int, *, has_norms: bool) -> Task:
    """The task with which other processes take the steps that a training began with: the same cases in each.

    Args:
        task: as it is written.
        began: how its cases were shared out.
        processes: that continue it.
        has_norms: whether the model has norms over the cases of a batch, which have to stay as many.

    Raises:
        CheckpointError: they cannot; with both numbers.
    """
    options = task.train
    if Shares.of(options, processes) == began:
        return task
    if has_norms and options.sync_batchnorm:
        together = began.batch_size * began.processes
        size, accumulate = together // processes, began.accumulate
    else:
        size, own = began.batch_size, began.cases // processes
        if not (has_norms or task.head.mixes_cases()):
            size = max(part for part in range(1, options.batch_size + 1) if own % part == 0)
        accumulate = own // size
    kept = Shares(processes, size, accumulate)
    if kept.cases != began.cases or not size:
        norms = ", with norms over the cases of a batch," if has_norms else ""
        raise CheckpointError(
            f"the training began with {began.cases} cases per step ({began}), which {processes} processes{norms} "
            "cannot share: it would be another training",
            hint=f"continue on {began.processes} devices, as it began, or start a new run",
        )
    return task.model_copy(update={"train": options.model_copy(update={"batch_size": size, "accumulate": accumulate})})
