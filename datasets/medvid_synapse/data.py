"""Synapse: a model sees slices, and is scored on volumes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from scipy import ndimage

from medvid.data.dataset import Dataset, Progress, SegmentationCase
from medvid.data.sample import Batch
from medvid.data.zoom import zoom_image, zoom_labels
from medvid.errors import DataError
from medvid_synapse.config import SliceAugmentOptions, SynapseOptions
from medvid_synapse.preprocessed import Preprocessed
from medvid_synapse.scans import Scans


class Source(Protocol):
    """Where slices and volumes come from; cases are volumes."""

    def cases(self, split: str) -> tuple[str, ...]: ...

    def prepare(self, cases: Sequence[str], progress: Progress) -> None: ...

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]: ...

    def digest(self, cases: Sequence[str]) -> str: ...

    def fingerprint(self, case: str) -> str: ...

    def labelled(self) -> tuple[str, ...]: ...

    def fix_splits(self, splits: Mapping[str, tuple[str, ...]]) -> None: ...

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
        """New volumes for prediction, in files like those that were trained on."""
        ...


class Synapse(Dataset):
    """Multi-organ CT as in TransUNet (Chen et al., 2021), see `medvid_synapse.config.SynapseOptions`.

    The cases of the split ``"train"`` are slices, as the authors' lists have them; those of other splits are volumes.

    Args:
        options: the validated options.
    """

    options: SynapseOptions

    def __init__(self, options: SynapseOptions) -> None:
        super().__init__(options)
        self._source: Source = Preprocessed(options) if options.is_preprocessed else Scans(options)

    def cases(self, split: str) -> tuple[str, ...]:
        volumes = self._source.cases(split)
        if split != "train":
            return volumes
        return tuple(name for volume in volumes for name in self._source.slices(volume))

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
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
        """As `Dataset.check`, by volumes: a slice is prepared with the others of its volume."""
        return super().check(_volumes(cases), progress, deep=deep, workers=workers, seconds=seconds)

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:
        """Open a volume."""
        return self._source.check_case(case, deep=deep)

    def digest(self, cases: Sequence[str]) -> str:
        return self._source.digest(_volumes(cases))

    def fingerprint(self, case: str) -> str:
        """That of the volume that the case is, or is a slice of."""
        return self._source.fingerprint(*_volumes([case]))

    def labelled(self) -> tuple[str, ...]:
        """The volumes that can be scored."""
        return self._source.labelled()

    def fix_splits(self, splits: Mapping[str, tuple[str, ...]]) -> None:
        self._source.fix_splits({split: _volumes(cases) for split, cases in splits.items()})

    def sample(self, case: str, seed: int) -> Batch:
        image, label = augment(*self._source.slice(case), self.options.augment, seed)
        image, label = zoom_image(image, self.options.size), zoom_labels(label, self.options.size)
        return Batch(torch.from_numpy(image)[None, None], torch.from_numpy(label).long()[None], (case,))

    def case(self, case: str) -> SegmentationCase:
        if "_slice" in case:
            raise DataError(
                f"{case} is a slice to train on; volumes are scored",
                hint="evaluate another split than train, e.g. test",
            )
        return self._source.stack(case)

    def open(self, paths: Sequence[Path]) -> Iterator[SegmentationCase]:
        return self._source.open_stacks(paths)


def augment(
    image: np.ndarray, label: np.ndarray, options: SliceAugmentOptions, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Change a slice at random as the TransUNet authors do: turn and mirror it, or else rotate it a little.

    Args:
        image: (H, W).
        label: label ids (H, W).
        options: the random changes.
        seed: any integer from 0; decides everything that is random here.
    """
    random = np.random.default_rng(seed)
    if random.random() < options.turn:
        turns, axis = int(random.integers(4)), int(random.integers(2))
        image, label = (np.flip(np.rot90(array, turns), axis) for array in (image, label))
    elif random.random() < options.rotate:
        angle = int(random.integers(-options.angle, options.angle))
        image, label = (
            ndimage.rotate(array.astype(np.float32), angle, order=0, reshape=False).astype(array.dtype)
            for array in (image, label)
        )
    return image, label


def _volumes(cases: Sequence[str]) -> tuple[str, ...]:
    """The volumes that cases are, or are slices of."""
    return tuple(dict.fromkeys(case.rpartition("_slice")[0] or case for case in cases))
