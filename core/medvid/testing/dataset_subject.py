"""A data set under test: on which folder it runs, and which splits it has."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

from medvid.config.demo import write_demo
from medvid.data.dataset import SPLITS, Dataset
from medvid.data.transforms.build import build_transforms
from medvid.errors import DataError
from medvid.plugin.host import Host
from medvid.plugin.specs import ComponentSpec, DatasetSpec, Example
from medvid.testing.check import NotApplicableError, Subject


@dataclass(frozen=True)
class DatasetSubject(Subject):
    """A data set with one of its examples, on a folder of data, whose cases are prepared on first use."""

    @cached_property
    def dataset_spec(self) -> DatasetSpec:
        """The spec, as what it is."""
        return cast(DatasetSpec, self.spec)

    @classmethod
    def make(cls, host: Host, spec: ComponentSpec, example: Example, folder: Path, data: Path | None) -> Self:
        """With a cache of its own, and a demo data where there are no data."""
        data = data or _generated(host, cast(DatasetSpec, spec), example, folder / f"data{len(list(folder.iterdir()))}")
        return cls(host, spec, replace(example, options={"cache": str(folder / "cache"), **example.options}), data)

    @property
    def block(self) -> dict[str, Any]:
        """The block of the example, with the folder of its data."""
        return {"root": str(self.data or "data"), **super().block}

    @property
    def is_dense(self) -> bool:
        """Whether there is an annotation per voxel."""
        return self.dataset_spec.where == "voxel"

    def open(self) -> Dataset:
        """The data set, freshly made, with the random changes that its options ask for."""
        if self.data is None:
            raise NotApplicableError(
                "the data set has no generator of demo data; its own tests have to provide a folder"
            )
        dataset = cast(Dataset, self.make_target())
        dataset.transforms = build_transforms(dataset.options, self.host, "case")
        return dataset

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


def _generated(host: Host, spec: DatasetSpec, example: Example, root: Path) -> Path | None:
    if not spec.demo:
        return None
    write_demo(host, spec, root, example.generate)
    return root


def ignore(done: int, total: int) -> None:
    """Nobody wants to know how far a preparation is."""
