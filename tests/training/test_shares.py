"""Other processes keep to the steps of a training, or are refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.config.task import TrainOptions
from medvid.data.loading.batches import draw_places
from medvid.errors import CheckpointError
from medvid.training.optimizers.options import SGDOptions
from medvid.training.shares import Shares, began_with, keep_shares


class Task:
    """What `keep_shares` looks at."""

    def __init__(self, train: TrainOptions, *, mixes: bool = False) -> None:
        self.train, self.head, self._mixes = train, self, mixes

    def mixes_cases(self) -> bool:
        return self._mixes

    def model_copy(self, update: dict[str, Any]) -> "Task":
        return Task(update["train"], mixes=self._mixes)


def kept(began: Shares, processes: int, *, norms: bool = False, mixes: bool = False, sync: bool = True) -> Shares:
    options = {"batch_size": began.batch_size, "accumulate": began.accumulate, "sync_batchnorm": sync, "steps": 9}
    train = TrainOptions.model_validate(options | {"optimizer": SGDOptions(lr=1.0)})
    task: Any = Task(train, mixes=mixes)
    return Shares.of(keep_shares(task, began, processes, has_norms=norms).train, processes)


def cases_of_step(shares: Shares, step: int) -> list[tuple[int, int]]:
    """The places of a step, as `training_batches` deals them out."""
    per_batch = shares.batch_size * shares.processes
    first, stop = (number * shares.accumulate * per_batch for number in (step, step + 1))
    dealt = (draw_places(7, 3, first + rank, stop, shares.processes) for rank in range(shares.processes))
    return sorted(place for places in dealt for place in places)


small = st.integers(1, 6)


@given(st.builds(Shares, small, small, small), small, st.booleans(), st.booleans(), st.booleans())
def test_each_step_has_the_same_cases_or_it_is_refused(
    began: Shares, processes: int, norms: bool, mixes: bool, sync: bool
) -> None:
    try:
        now = kept(began, processes, norms=norms, mixes=mixes, sync=sync)
    except CheckpointError:
        # No more is refused than has to be.
        assert processes != began.processes
        assert began.cases % processes or norms or mixes
        return
    assert now.processes == processes
    assert cases_of_step(now, 2) == cases_of_step(began, 2)
    assert now.batch_size <= began.batch_size or (norms and sync)
    if norms and sync:
        assert now.batch_size * processes == began.batch_size * began.processes
    elif norms or mixes:
        assert now.batch_size == began.batch_size


def test_the_refusal_names_both_numbers() -> None:
    with pytest.raises(
        CheckpointError, match=r"3 cases per step \(3 processes x .*\), which 2 processes cannot"
    ) as told:
        kept(Shares(3, 1, 1), 2)
    assert "continue on 3 devices" in told.value.hint
    assert told.value.exit_code == 9


def test_an_older_checkpoint_is_judged_by_the_task() -> None:
    train = {"devices": 2, "batch_size": 3, "accumulate": 4}
    assert began_with({}, {"train": train}) == Shares(2, 3, 4)
    assert began_with({}, {"train": train | {"devices": "auto"}}) is None
    assert began_with({"shares": Shares(5, 1, 1).state()}, {"train": train}) == Shares(5, 1, 1)
