"""A data set in memory, of any layout and task: for checks and tests that need one and care for nothing in it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from medvid.config.options import DatasetOptions
from medvid.data.dataset import Case, Dataset, Progress
from medvid.data.grid import Grid
from medvid.data.labelled import LabelledCase
from medvid.data.sample import Batch
from medvid.errors import DataError
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import Layout, TaskKind
from medvid.seeding import derive_seed

SPLITS = {"train": ("train/0", "train/1"), "validation": ("validation/0", "validation/1")}


class ToyOptions(DatasetOptions):
    """What the toy data set looks like."""

    name: str = "toy"
    root: Path = Path("toy")
    layout: Layout
    task: TaskKind
    channels: int
    size: tuple[int, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, input_info: InputInfo, target_info: TargetInfo) -> Self:
        """The options of a data set with these inputs and labels."""
        return cls(
            layout=input_info.layout,
            task=target_info.task,
            channels=input_info.channels,
            size=input_info.size,
            labels=target_info.labels,
        )

    def input_info(self) -> InputInfo:
        """What a batch looks like."""
        return InputInfo(self.layout, self.channels, self.size)

    def target_info(self) -> TargetInfo:
        """What the labels are."""
        return TargetInfo(self.task, self.labels)


class ToyDataset(Dataset):
    """Noise with bright blocks whose brightness is their label; two cases for each of two splits.

    Args:
        options: its layout, task, size and labels.
    """

    options: ToyOptions

    def cases(self, split: str) -> tuple[str, ...]:
        if split not in SPLITS:
            raise DataError(f"the toy data set has no split {split!r}; it has {', '.join(SPLITS)}")
        return SPLITS[split]

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        progress(len(cases), len(cases))

    def digest(self, cases: Sequence[str]) -> str:
        return hashlib.blake2b(repr((self.options, tuple(cases))).encode(), digest_size=16).hexdigest()

    def sample(self, case: str, seed: int) -> Batch:
        x, target = self._draw(case, seed)
        return Batch(x[None], target[None], (case,))

    def case(self, case: str) -> Case:
        x, target = self._draw(case, 0)
        return ToyCase(case, x, None if target.ndim else int(target), self.options.layout, target)

    def open(self, paths: Sequence[Path]) -> Iterable[Case]:
        for path in paths:
            yield self.case(path.stem)

    def _draw(self, case: str, seed: int) -> tuple[Tensor, Tensor]:
        """Input (C, *S), and the labels (*S) or the label () that its brightness tells."""
        options, generator = self.options, torch.Generator().manual_seed(derive_seed("toy", case, seed))
        noise = 0.1 * torch.randn(options.channels, *options.size, generator=generator)
        count = len(options.labels)
        if options.task == "classification":
            label = torch.randint(count, (), generator=generator)
            return noise + label, label
        coarse = torch.randint(count, [-(-length // 4) for length in options.size], generator=generator)
        for axis, length in enumerate(options.size):
            coarse = coarse.repeat_interleave(4, dim=axis).narrow(axis, 0, length)
        return noise + coarse, coarse


@dataclass(frozen=True)
class ToyCase(LabelledCase):
    """A case in memory, for segmentation and for classification; its files are .npy.

    Args:
        target: labels (*S) of a segmentation.
    """

    target: Tensor

    @property
    def grid(self) -> Grid:
        """Files and prepared arrays are the same."""
        size = tuple(self.prepared.shape[1:])
        ones = (1.0,) * len(size)
        return Grid(size, ones, size, ones, tuple(range(len(size))), ones, (0.0,) * len(size))

    def native_input(self) -> np.ndarray:
        """The first channel."""
        return self.prepared[0].numpy()

    @property
    def display_window(self) -> None:
        """Of no modality."""

    def native_truth(self) -> np.ndarray:
        """The labels."""
        return self.target.byte().numpy()

    def prepared_truth(self) -> np.ndarray:
        """The labels."""
        return self.native_truth()

    def write(self, labels: np.ndarray, folder: Path) -> Path:
        """Write labels as .npy."""
        path = folder / f"{self.id.replace('/', '_')}.npy"
        np.save(path, labels)
        return path
