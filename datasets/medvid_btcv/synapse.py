"""Synapse: a model is trained on slices and scored on volumes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from medvid.data.batch import Batch
from medvid.data.dataset import Dataset, Progress, SegmentationCase
from medvid.data.splits import Splits, cases_of_split
from medvid.data.transform import apply
from medvid.errors import DataError
from medvid.plugin.specs import BuildAll
from medvid_btcv.config import SynapseOptions
from medvid_btcv.preprocessed import Preprocessed
from medvid_btcv.scans import Scans
from medvid_btcv.zoom import zoom_image, zoom_labels


class Source(Protocol):
    """The source of slices and volumes; cases are volumes."""

    def declared(self) -> Splits:
        """As `Dataset.declared`, of volumes."""
        ...

    def divide(self) -> Splits:
        """As `Dataset.divide`, of volumes."""
        ...

    def prepare(self, cases: Sequence[str], progress: Progress) -> None: ...

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]: ...

    def digest(self, cases: Sequence[str]) -> str: ...

    def fingerprint(self, case: str) -> str: ...

    def labelled(self) -> tuple[str, ...]: ...

    def fix_splits(self, splits: Splits) -> None: ...

    def slices(self, case: str) -> tuple[str, ...]:
        """Names of its slices: ``<case>_slice<number>``."""
        ...

    def slice(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Image (H, W) in [0, 1] and label ids (H, W) of a slice."""
        ...

    def stack(self, case: str) -> SegmentationCase:
        """A volume for evaluation."""
        ...

    def open_stacks(self, paths: Sequence[Path]) -> Iterator[SegmentationCase]:
        """New volumes for prediction, in files like the training files."""
        ...


class Synapse(Dataset):
    """Multi-organ CT as in TransUNet (Chen et al., 2021), see `medvid_btcv.config.SynapseOptions`.

    The cases of the split ``"train"`` are slices, as in the authors' lists; the cases of other splits are volumes.

    Args:
        options: the validated options.
        build_all: gives the formats of volumes.
    """

    options: SynapseOptions

    def __init__(self, options: SynapseOptions, build_all: BuildAll | None = None) -> None:
        super().__init__(options)
        self._source: Source = Preprocessed(options) if options.is_preprocessed else Scans(options, build_all)

    def declared(self) -> Splits:
        return self._source.declared()

    def divide(self) -> Splits:
        """The task's split of the volumes, else the authors'."""
        return self._source.divide()

    @property
    def splits(self) -> Splits:
        """The slices of the training volumes, and the volumes of other splits."""
        return {split: self.cases(split) for split in self.division}

    def cases(self, split: str) -> Sequence[str]:
        """Slices to train on, volumes of other splits."""
        volumes = cases_of_split(self.division, split, self.options.root)
        if split != "train":
            return volumes
        return tuple(name for volume in volumes for name in self._source.slices(volume))

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        self._source.fix_splits(self.division)
        self._source.prepare(_volumes(cases), progress)

    def check(
        self,
        cases: Sequence[str],
        progress: Progress,
        *,
        deep: bool = False,
        workers: int = 1,
        seconds: float | None = None,
    ) -> dict[str, DataError]:
        """As `Dataset.check`, by volume: a slice is prepared together with its volume."""
        return super().check(_volumes(cases), progress, deep=deep, workers=workers, seconds=seconds)

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:
        """Open a volume."""
        return self._source.check_case(case, deep=deep)

    def digest(self, cases: Sequence[str]) -> str:
        return self._source.digest(_volumes(cases))

    def fingerprint(self, case: str) -> str:
        """The fingerprint of the case's volume."""
        return self._source.fingerprint(*_volumes([case]))

    def labelled(self) -> tuple[str, ...]:
        """The volumes that can be scored."""
        return self._source.labelled()

    def fix_splits(self, splits: Splits) -> None:
        super().fix_splits({split: _volumes(cases) for split, cases in splits.items()})

    def draw(self, case: str, seed: int) -> Batch:
        image, label = self._source.slice(case)
        whole = Batch(torch.tensor(image)[None, None], torch.tensor(label)[None], (case,))
        changed = apply(self.transforms, whole, torch.Generator().manual_seed(seed))
        image = zoom_image(changed.input[0, 0].numpy(), self.options.size)
        label = zoom_labels(changed.target[0].numpy(), self.options.size)
        return Batch(torch.from_numpy(image)[None, None], torch.from_numpy(label).long()[None], (case,))

    def open_case(self, case: str) -> SegmentationCase:
        if "_slice" in case:
            raise DataError(
                f"{case} is a training slice; only volumes are scored",
                hint="evaluate another split than train, e.g. test",
            )
        return self._source.stack(case)

    def open(self, paths: Sequence[Path]) -> Iterator[SegmentationCase]:
        return self._source.open_stacks(paths)


def _volumes(cases: Sequence[str]) -> tuple[str, ...]:
    """The volumes of cases, which are volumes or slices."""
    return tuple(dict.fromkeys(case.rpartition("_slice")[0] or case for case in cases))
