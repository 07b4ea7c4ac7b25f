import json
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.batch import Batch
from medvid.data.dataset import Dataset
from medvid.data.loading.batches import draw_places, load_in_order, training_batches
from medvid.data.loading.unreadable import UnreadableCases
from medvid.data.loading.workers import Loading
from medvid.errors import DataError, ResourceError
from medvid.runs.folder import RunFolder


def test_every_epoch_has_every_case_once_in_another_order() -> None:
    places = list(draw_places(cases=7, seed=0, first=0, stop=21))
    epochs = [[index for epoch, index in places if epoch == number] for number in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_places_are_a_function_of_the_position_alone() -> None:
    whole = list(draw_places(cases=5, seed=3, first=0, stop=40))
    assert list(draw_places(cases=5, seed=3, first=13, stop=40)) == whole[13:]
    assert list(draw_places(cases=5, seed=3, first=1, stop=40, stride=2)) == whole[1::2]
    assert list(draw_places(cases=5, seed=4, first=0, stop=40)) != whole


def load(dataset: Dataset, **options: int) -> list[Batch]:
    settings = {"seed": 0, "batch_size": 2, "first": 0, "stop": 6} | options
    return list(training_batches(dataset, dataset.cases("train"), **settings))


def same(left: Sequence[Batch], right: Sequence[Batch]) -> bool:
    return len(left) == len(right) and all(
        torch.equal(a.input, b.input) and torch.equal(a.target, b.target) and a.cases == b.cases
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_number_of_workers(images: Dataset, workers: int) -> None:
    assert same(load(images), load(images, loading=Loading(workers)))


def test_batches_go_on_where_they_stopped(images: Dataset) -> None:
    assert same(load(images)[4:], load(images, first=4, loading=Loading(2)))


def test_processes_share_one_order(images: Dataset) -> None:
    whole = [case for batch in load(images, stop=4) for case in batch.cases[::2]]
    ranks = [load(images, stop=2, rank=rank, world_size=2) for rank in range(2)]
    shared = [[case for batch in rank for case in batch.cases[::2]] for rank in ranks]
    assert shared == [whole[0::2], whole[1::2]]


def test_loading_leaves_the_global_random_state_alone(images: Dataset) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    load(images)
    assert torch.equal(torch.rand(1), expected)


class Unreadable(Dataset):
    def __init__(self, dataset: Dataset) -> None:
        self.__dict__.update(dataset.__dict__)

    def draw(self, case: str, seed: int) -> Batch:
        raise DataError(f"case {case} cannot be read (seed {seed > 0})", hint="look at it")

    input_info = target_info = declared = cases = prepare = digest = open_case = open = None  # type: ignore[assignment]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_case_is_raised_as_it_was(images: Dataset, workers: int) -> None:
    batches = training_batches(
        Unreadable(images), ["a"], seed=0, batch_size=1, first=0, stop=2, loading=Loading(workers)
    )
    with pytest.raises(DataError, match=r"^case a cannot be read \(seed True\)$") as raised:
        list(islice(batches, 1))
    assert raised.value.hint == "look at it"


class PartlyUnreadable(Unreadable):
    """Cases that end in 0 or 1 cannot be read."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self.readable = dataset

    def draw(self, case: str, seed: int) -> Batch:
        return super().draw(case, seed) if case[-1] in "01" else self.readable.draw(case, seed)


def load_partly(images: Dataset, account: UnreadableCases, **options: int) -> list[Batch]:
    settings = {"seed": 0, "batch_size": 2, "first": 0, "stop": 10} | options
    cases = [f"case{number}" for number in range(5)]
    return list(training_batches(PartlyUnreadable(images), cases, unreadable=account, **settings))


def test_another_case_stands_in_for_an_unreadable_one_and_it_is_counted(images: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "unreadable.json"
    batches = load_partly(images, UnreadableCases(path, cases=5, limit=0.4))
    assert [len(batch.input) for batch in batches] == [4] * 10
    assert {case for batch in batches for case in batch.cases} == {"case2", "case3", "case4"}
    assert json.loads(path.read_text()) == {
        case: f"case {case} cannot be read (seed True)" for case in ("case0", "case1")
    }
    again = UnreadableCases(tmp_path / "other.json", cases=5, limit=0.4)
    assert same(batches[5:], load_partly(images, again, first=5, loading=Loading(2))), (
        "also after resuming, with workers"
    )


def test_more_unreadable_cases_than_allowed_end_the_training(images: Dataset, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"2 of 5 training cases cannot be read, at most 1 allowed: case case[01] cannot"
    ) as raised:
        load_partly(images, UnreadableCases(tmp_path / "report.json", cases=5, limit=0.2))
    assert "report.json" in raised.value.hint


def test_where_none_is_allowed_the_first_one_is_raised_as_it_was(images: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^case case[01] cannot be read"):
        load_partly(images, UnreadableCases(tmp_path / "report.json", cases=5, limit=0.19))
    assert not (tmp_path / "report.json").exists()


def square(case: str) -> int:
    if case == "4":
        raise DataError("case 4 is broken", hint="mend it")
    return int(case) ** 2


@pytest.mark.parametrize("workers", [0, 2])
def test_cases_come_in_order_and_their_errors_as_they_were(workers: int) -> None:
    loaded = load_in_order(square, "012345", Loading(workers))
    assert [next(loaded) for _ in range(4)] == [0, 1, 4, 9]
    with pytest.raises(DataError, match=r"^case 4 is broken$") as raised:
        next(loaded)
    assert raised.value.hint == "mend it"


def hang(case: str) -> str:
    """As a decoder does that heeds no signal."""
    if case == "b":
        time.sleep(600)
    return case


def die(case: str) -> str:
    if case == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    return case


def test_a_case_that_a_worker_hangs_in_is_named() -> None:
    began = time.monotonic()
    loaded = load_in_order(hang, "abc", Loading(2, timeout=2))
    assert next(loaded) == "a"
    with pytest.raises(DataError, match=r"^case b was not read within 2 s$"):
        list(loaded)
    assert time.monotonic() - began < 2 + 5
    assert not multiprocessing.active_children()


def test_a_case_that_a_worker_dies_of_is_named() -> None:
    with pytest.raises(ResourceError, match=r"^a loader worker died while it read case b: "):
        list(load_in_order(die, "abc", Loading(1)))


class Hanging(Unreadable):
    """Data whose second case is never read."""

    def draw(self, case: str, seed: int) -> Batch:  # noqa: ARG002
        return hang(case)  # type: ignore[return-value] # it never does


def test_training_ends_where_a_worker_hangs(images: Dataset) -> None:
    batches = training_batches(
        Hanging(images), ["b"], seed=0, batch_size=1, first=0, stop=2, loading=Loading(1, timeout=1)
    )
    with pytest.raises(DataError, match="case b was not read within 1 s") as raised:
        next(batches)
    assert "train.load_timeout" in raised.value.hint


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abcdef")), max_size=12), st.integers(1, 4))
def test_the_limit_is_that_of_all_processes_together(reports: list[tuple[int, str]], allowed: int) -> None:
    with TemporaryDirectory() as folder:
        paths = [RunFolder(Path(folder)).unreadable(rank) for rank in range(3)]
        accounts = [UnreadableCases(path, cases=10, limit=allowed / 10) for path in paths]
        known: set[str] = set()
        for rank, case in reports:
            known.add(case)
            too_many = pytest.raises(DataError, match=f"{len(known)} of 10 training cases cannot be read")
            with too_many if len(known) > allowed else nullcontext():
                accounts[rank].add(case, DataError("broken"))
