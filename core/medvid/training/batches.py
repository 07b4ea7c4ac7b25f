"""The stream of training samples: the same for any number of loader workers, and from any step on."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from medvid.data.dataset import Dataset
from medvid.data.sample import Batch, collate
from medvid.errors import DataError, MedvidError
from medvid.seeding import derive_seed
from medvid.training.unreadable import UnreadableCases
from medvid.training.workers import load_ahead, reading

Place = tuple[int, int]
"""Where a sample stands in the training: (epoch, index of its case)."""

STAND_INS = 10
"""Cases that are tried in the place of one that cannot be read, one after the other."""


def sample_places(cases: int, seed: int, first: int, stop: int, stride: int = 1) -> Iterator[Place]:
    """Places first, first + stride, ... below stop of an endless sequence of epochs, each a permutation of all cases.

    The order is a function of the seed and the position alone, so a run goes on where it stopped, and several
    processes share one order by taking every n-th place.
    """
    epoch, order = -1, torch.empty(0)
    for position in range(first, stop, stride):
        if position // cases != epoch:
            epoch = position // cases
            generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
            order = torch.randperm(cases, generator=generator)
        yield epoch, int(order[position % cases])


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A batch, or the error in its place, and the cases that could not be read before."""

    value: Any
    unreadable: tuple[tuple[str, DataError], ...] = ()


class _TrainingBatches:
    """Batches by their places; with stand-ins, another case takes the place of one that cannot be read."""

    def __init__(self, dataset: Dataset, cases: Sequence[str], seed: int, *, stand_ins: bool) -> None:
        self.dataset, self.cases, self.seed = dataset, cases, seed
        self.stand_ins = stand_ins

    def __call__(self, places: Sequence[Place]) -> _Loaded:
        samples = [self._sample(place) for place in places]
        values = [sample.value for sample in samples]
        errors = [value for value in values if isinstance(value, MedvidError)]
        unreadable = tuple(pair for sample in samples for pair in sample.unreadable)
        return _Loaded(errors[0] if errors else collate(values), unreadable)

    def _sample(self, place: Place) -> _Loaded:
        epoch, index = place
        unreadable: list[tuple[str, DataError]] = []
        while True:
            case = self.cases[index]
            reading(case)
            try:
                sample = self.dataset.sample(case, derive_seed(self.seed, "sample", epoch, case))
                return _Loaded(sample, (*unreadable,))
            except DataError as error:
                if not self.stand_ins or len(unreadable) == STAND_INS:
                    return _Loaded(error, (*unreadable,))
                unreadable.append((case, error))
                # Whatever stands in depends on the place alone, so that a resumed run meets it again.
                index = derive_seed(self.seed, "stand-in", epoch, index, len(unreadable)) % len(self.cases)
            except MedvidError as error:
                return _Loaded(error, (*unreadable,))


@dataclass(frozen=True, slots=True)
class _Named:
    """Says of each case that it is read."""

    load: Callable[[str], Any]

    def __call__(self, case: str) -> Any:
        reading(case)
        return self.load(case)


def load_in_order(
    load: Callable[[str], Any], cases: Sequence[str], *, workers: int, timeout: int = 0
) -> Generator[Any, None, None]:
    """What `load` makes of each case, in order, read ahead by loader processes; an error is raised as it was.

    Closing the generator ends those processes.

    Args:
        load: called with a case.
        cases: ids.
        workers: loader processes, at most one per core; 0 loads in this one.
        timeout: seconds that they may take for a case; 0: any.

    Raises:
        MedvidError: what `load` raised.
        DataError: a case was not read in time.
        ResourceError: a worker process died.
    """
    yield from load_ahead(_Named(load), cases, workers=min(workers, len(cases)), timeout=timeout)


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
    workers: int = 0,
    timeout: int = 0,
    pin_memory: bool = False,
    unreadable: UnreadableCases | None = None,
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
        workers: loader processes, at most one per core; 0 loads in this one.
        timeout: seconds that they may take for a batch; 0: any.
        pin_memory: pin host memory for asynchronous copies to a GPU.
        unreadable: keeps account of cases that cannot be read; without, or where it allows none, the first one ends
            the training.

    Raises:
        MedvidError: what a data set raised for a sample.
        DataError: a case was not read in time.
        ResourceError: a worker process died.
    """
    per_batch = batch_size * world_size
    stand_ins = unreadable is not None and unreadable.allowed > 0
    places = sample_places(len(cases), seed, first * per_batch + rank, stop * per_batch, world_size)
    loaded_ahead = load_ahead(
        _TrainingBatches(dataset, cases, seed, stand_ins=stand_ins),
        iter(lambda: tuple(islice(places, batch_size)), ()),
        workers=workers,
        timeout=timeout,
    )
    with closing(loaded_ahead):  # also where an error is kept, which would keep the processes alive
        for loaded in loaded_ahead:
            for case, error in loaded.unreadable:
                assert unreadable is not None, "there are stand-ins only where somebody keeps account of them"
                unreadable.add(case, error)
            if isinstance(loaded.value, MedvidError):
                raise loaded.value
            yield loaded.value.pin_memory() if pin_memory else loaded.value
