"""The stream of training draws: the same for any number of loader workers, and from any step on."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from medvid.data.batch import Batch, collate
from medvid.data.dataset import Dataset
from medvid.data.loading.balance import balanced_order
from medvid.data.loading.unreadable import UnreadableCases
from medvid.data.loading.workers import HERE, Loading, load_ahead, reading
from medvid.errors import DataError, MedvidError
from medvid.seeding import derive_seed

Place = tuple[int, int]
"""What tells a draw from all others: (epoch, index of its case); in balanced drawing, where an epoch can draw a case
several times, (number of the draw, index of its case)."""

STAND_INS = 10
"""Cases tried in turn to replace one that cannot be read."""


def draw_places(
    cases: int, seed: int, first: int, stop: int, stride: int = 1, weights: Tensor | None = None
) -> Iterator[Place]:
    """Places first, first + stride, ... below stop of an endless sequence of epochs, each a permutation of all cases.

    The order is a function of the seed and the position alone, so a run continues where it stopped, and several
    processes share one order by taking every n-th place. With weights (N,), epochs are as of `balanced_order`.
    """
    epoch, order = -1, torch.empty(0)
    for position in range(first, stop, stride):
        if position // cases != epoch:
            epoch = position // cases
            generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
            order = (
                torch.randperm(cases, generator=generator) if weights is None else balanced_order(weights, generator)
            )
        yield epoch if weights is None else position, int(order[position % cases])


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A batch, or the error instead of it, and the cases that could not be read before."""

    value: Any
    unreadable: tuple[tuple[str, DataError], ...] = ()


class _TrainingBatches:
    """Batches by their places; if replacements are allowed, an unreadable case is replaced by another one."""

    def __init__(self, dataset: Dataset, cases: Sequence[str], seed: int, *, stand_ins: bool) -> None:
        self.dataset, self.cases, self.seed = dataset, cases, seed
        self.stand_ins = stand_ins

    def __call__(self, places: Sequence[Place]) -> _Loaded:
        drawn = [self._draw(place) for place in places]
        values = [each.value for each in drawn]
        errors = [value for value in values if isinstance(value, MedvidError)]
        unreadable = tuple(pair for each in drawn for pair in each.unreadable)
        return _Loaded(errors[0] if errors else collate(values), unreadable)

    def _draw(self, place: Place) -> _Loaded:
        number, index = place
        unreadable: list[tuple[str, DataError]] = []
        while True:
            case = self.cases[index]
            reading(case)
            try:
                drawn = self.dataset.draw(case, derive_seed(self.seed, "sample", number, case))
                return _Loaded(drawn, (*unreadable,))
            except DataError as error:
                if not self.stand_ins or len(unreadable) == STAND_INS:
                    return _Loaded(error, (*unreadable,))
                unreadable.append((case, error))
                # The replacement depends on the place alone, so that a resumed run meets it again.
                index = derive_seed(self.seed, "stand-in", number, index, len(unreadable)) % len(self.cases)
            except MedvidError as error:
                return _Loaded(error, (*unreadable,))


@dataclass(frozen=True, slots=True)
class _Named:
    """Says of each case that it is read."""

    load: Callable[[str], Any]

    def __call__(self, case: str) -> Any:
        reading(case)
        return self.load(case)


def load_in_order(load: Callable[[str], Any], cases: Sequence[str], loading: Loading) -> Generator[Any, None, None]:
    """The result of `load` for each case, in order, read ahead by loader processes; errors are raised unchanged.

    Closing the generator ends those processes.

    Args:
        load: called with a case.
        cases: ids.
        loading: in which processes, and how long they may take for a case or batch.

    Raises:
        MedvidError: what `load` raised.
        DataError: a case was not read in time.
        ResourceError: a worker process died.
    """
    yield from load_ahead(_Named(load), cases, workers=min(loading.workers, len(cases)), timeout=loading.timeout)


def training_batches(
    dataset: Dataset,
    cases: Sequence[str],
    *,
    seed: int,
    batch_size: int,
    first: int,
    stop: int,
    rank: int = 0,
    world_size: int = 1,
    loading: Loading = HERE,
    unreadable: UnreadableCases | None = None,
    weights: Tensor | None = None,
) -> Generator[Batch, None, None]:
    """Load batches number first to stop - 1 of the training; closing the generator ends the loader processes.

    Args:
        dataset: the data set.
        cases: ids of the training cases.
        seed: the run's seed.
        batch_size: cases per batch and process.
        first: number of the first batch, counted from the start of the training.
        stop: number of the batch to stop before.
        rank: number of this process.
        world_size: number of processes.
        loading: in which processes, and how long they may take for a case or batch.
        unreadable: the account of cases that cannot be read; without one, or if it allows none, the first such case
            ends the training.
        weights: of the cases, (N,), for balanced drawing, see `medvid.data.loading.balance`.

    Raises:
        MedvidError: an error of the data set for a draw.
        DataError: a case was not read in time.
        ResourceError: a worker process died.
    """
    per_batch = batch_size * world_size
    stand_ins = unreadable is not None and unreadable.allowed > 0
    places = draw_places(len(cases), seed, first * per_batch + rank, stop * per_batch, world_size, weights)
    loaded_ahead = load_ahead(
        _TrainingBatches(dataset, cases, seed, stand_ins=stand_ins),
        iter(lambda: tuple(islice(places, batch_size)), ()),
        workers=loading.workers,
        timeout=loading.timeout,
    )
    with closing(loaded_ahead):  # also if an error is held, which would keep the processes alive
        for loaded in loaded_ahead:
            for case, error in loaded.unreadable:
                assert unreadable is not None, "cases are replaced only if they are counted"
                unreadable.add(case, error)
            if isinstance(loaded.value, MedvidError):
                raise loaded.value
            yield loaded.value
