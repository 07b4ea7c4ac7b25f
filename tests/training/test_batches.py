from collections.abc import Sequence
from itertools import islice

import pytest
import torch

from medvid.data.dataset import Dataset
from medvid.data.sample import Batch
from medvid.errors import DataError
from medvid.training.batches import sample_places, training_batches


def test_every_epoch_has_every_case_once_in_another_order() -> None:
    places = list(sample_places(cases=7, seed=0, first=0, stop=21))
    epochs = [[index for epoch, index in places if epoch == number] for number in range(3)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_places_are_a_function_of_the_position_alone() -> None:
    whole = list(sample_places(cases=5, seed=3, first=0, stop=40))
    assert list(sample_places(cases=5, seed=3, first=13, stop=40)) == whole[13:]
    assert list(sample_places(cases=5, seed=3, first=1, stop=40, stride=2)) == whole[1::2]
    assert list(sample_places(cases=5, seed=4, first=0, stop=40)) != whole


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
    assert same(load(images), load(images, workers=workers))


def test_batches_go_on_where_they_stopped(images: Dataset) -> None:
    assert same(load(images)[4:], load(images, first=4, workers=2))


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

    def sample(self, case: str, seed: int) -> Batch:
        raise DataError(f"case {case} cannot be read (seed {seed > 0})", hint="look at it")

    input_info = target_info = cases = prepare = digest = case = open = None  # type: ignore[assignment]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_case_is_raised_as_it_was(images: Dataset, workers: int) -> None:
    batches = training_batches(Unreadable(images), ["a"], seed=0, batch_size=1, first=0, stop=2, workers=workers)
    with pytest.raises(DataError, match=r"^case a cannot be read \(seed True\)$") as raised:
        list(islice(batches, 1))
    assert raised.value.hint == "look at it"
