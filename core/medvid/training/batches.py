"""The stream of training samples: the same for any number of loader workers, and from any step on."""

import os
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from medvid.data.dataset import Dataset
from medvid.data.sample import Batch, collate
from medvid.errors import MedvidError, ResourceError
from medvid.seeding import derive_seed
from medvid.training.signals import ignore_stop_signals

Place = tuple[int, int]
"""Where a sample stands in the training: (epoch, index of its case)."""


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


class _TrainingSamples(TorchDataset[Batch | MedvidError]):
    """A data set by place. An error is returned, not raised: torch would bury its message in a traceback text."""

    def __init__(self, dataset: Dataset, cases: Sequence[str], seed: int) -> None:
        self.dataset, self.cases, self.seed = dataset, cases, seed

    def __getitem__(self, place: Place) -> Batch | MedvidError:
        epoch, index = place
        case = self.cases[index]
        try:
            return self.dataset.sample(case, derive_seed(self.seed, "sample", epoch, case))
        except MedvidError as error:
            return error


def _collate(samples: Sequence[Batch | MedvidError]) -> Batch | MedvidError:
    errors = [sample for sample in samples if isinstance(sample, MedvidError)]
    return errors[0] if errors else collate([sample for sample in samples if isinstance(sample, Batch)])


def _start_worker(_: int) -> None:
    ignore_stop_signals()
    torch.set_num_threads(1)


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
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """Load batches number first to stop - 1 of the training.

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
        pin_memory: pin host memory for asynchronous copies to a GPU.

    Raises:
        MedvidError: what a data set raised for a sample.
        ResourceError: a worker process died.
    """
    per_batch = batch_size * world_size
    loader = DataLoader(
        _TrainingSamples(dataset, cases, seed),
        batch_size=batch_size,
        sampler=sample_places(len(cases), seed, first * per_batch + rank, stop * per_batch, world_size),
        num_workers=min(workers, os.cpu_count() or 1),
        collate_fn=_collate,
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
        persistent_workers=False,
        generator=torch.Generator(),  # torch draws a base seed for workers, which must not touch the global state
    )
    try:
        for batch in loader:
            if isinstance(batch, MedvidError):
                raise batch
            yield batch
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise ResourceError(
            f"a loader worker died: {str(error).splitlines()[0]}",
            hint="usually memory ran out: try fewer workers (--set train.workers=0) or a smaller batch",
        ) from error
