"""A data set under test: on which folder it runs, and which splits it has."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from medvid.data.dataset import SPLITS, Dataset
from medvid.errors import DataError
from medvid.plugin.specs import DatasetSpec
from medvid.testing.check import NotApplicableError, Subject, expect


@dataclass(frozen=True)
class DatasetSubject(Subject):
    """A data set with one of its examples, on a folder of data, whose cases are prepared on first use."""

    @cached_property
    def dataset_spec(self) -> DatasetSpec:
        """The spec, as what it is."""
        return cast(DatasetSpec, self.spec)

    @property
    def is_segmentation(self) -> bool:
        """Whether there is a label per voxel."""
        return self.dataset_spec.task == "segmentation"

    def open(self) -> Dataset:
        """The data set, freshly made."""
        if self.data is None:
            raise NotApplicableError(
                "the data set has no generator of a sample; its own tests have to provide a folder"
            )
        dataset = self.load(self.spec.target)(self.options)
        expect(isinstance(dataset, Dataset), f"{self.spec.target} is no medvid.data.dataset.Dataset")
        return cast(Dataset, dataset)

    @cached_property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """The splits that there are."""
        return dict(splits_of(self.open()))

    def prepared(self) -> Dataset:
        """The data set, with all cases prepared."""
        dataset = self.open()
        for cases in self.splits.values():
            dataset.prepare(cases, ignore)
        return dataset

    @property
    def held_out(self) -> tuple[str, ...]:
        """The cases to evaluate on."""
        return next(self.splits[split] for split in ("validation", "test", "train") if split in self.splits)


def splits_of(dataset: Dataset) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The splits that a data set has, with their cases."""
    for split in SPLITS:
        try:
            found = dataset.cases(split)
        except DataError:
            continue
        if found:
            yield split, tuple(found)


def ignore(done: int, total: int) -> None:
    """Nobody wants to know how far a preparation is."""
