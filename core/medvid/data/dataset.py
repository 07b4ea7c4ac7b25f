"""The contract of a data set: an index of cases, prepared once, sampled for training, opened for evaluation."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from torch import Tensor

from medvid.config.options import DatasetOptions
from medvid.data.grid import Grid
from medvid.data.sample import Batch
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import Layout

Progress = Callable[[int, int], None]
"""Called with (done, total) while work advances."""


Placement = Literal["spread", "segments"]
"""Where n clips lie in the time T that a clip can start in: ``spread`` from its start to its end, a single one in the
middle; ``segments``: clip i at i / n of it, so a single one at the start, as TimeSformer's authors have it."""


class Case(Protocol):
    """One case, ready for inference. Large arrays are read when asked for, not kept."""

    @property
    def id(self) -> str: ...

    def input(self) -> Tensor:
        """The prepared input (C, *S), float32."""
        ...


class SegmentationCase(Case, Protocol):
    """A case whose prediction is a label map on the grid of its file."""

    @property
    def layout(self) -> Layout:
        """The meaning of the prepared axes, which a model of images need not share.

        ``"volume"`` has a physical size and anatomical axes; a stack of images without them is an ``"image"`` with its
        slices on a third axis.
        """
        ...

    @property
    def grid(self) -> Grid: ...

    def native_input(self) -> np.ndarray:
        """What figures show, in the file's own units: the first channel, or (*native_shape, 3) red, green and blue."""
        ...

    def native_truth(self) -> np.ndarray:
        """Label ids (uint8) on the file's own grid, shape ``grid.native_shape``."""
        ...

    def prepared_truth(self) -> np.ndarray:
        """Label ids (uint8) on the prepared grid, shape ``grid.prepared_shape``."""
        ...

    def write(self, labels: np.ndarray, folder: Path) -> Path:
        """Write a label map of shape ``grid.native_shape`` as a file of the data set's format; return its path."""
        ...


class ClassificationCase(Case, Protocol):
    """A case with one label as a whole."""

    @property
    def label(self) -> int | None:
        """Id of its label; None where it is not known."""
        ...

    def views(self, clips: int, crops: int, placement: Placement) -> Tensor:
        """Several views of the case, (clips * crops, C, *S) float32, clips outermost; only a video has several clips.

        Args:
            clips: views in time.
            crops: views in space: 1 in the centre, or 3 along the longer side.
            placement: where the clips lie in time.
        """
        ...

    def thumbnails(self, count: int) -> np.ndarray:
        """At most `count` pictures (count, H, W, 3) uint8, spread evenly over the case, for people to look at."""
        ...


class Dataset(ABC):
    """A data set, pointed at its folder by its options. Pickled into loader workers, so it holds no open files.

    A case is named by an id that is unique within the data set. Every method that reads a file raises
    `medvid.errors.DataError`, naming case and file.

    Args:
        options: the validated options; no file is read, as new files can be predicted where the data set is not.
    """

    options: DatasetOptions

    def __init__(self, options: DatasetOptions) -> None:
        self.options = options

    @cached_property
    def input_info(self) -> InputInfo:
        """What training batches look like."""
        return self.options.input_info()

    @cached_property
    def target_info(self) -> TargetInfo:
        """What the labels are."""
        return self.options.target_info()

    @abstractmethod
    def cases(self, split: str) -> tuple[str, ...]:
        """Ids of the cases of ``"train"``, ``"validation"`` or ``"test"``, in a fixed order.

        Raises:
            medvid.errors.DataError: there is no such split, or files are missing (all of them are listed).
        """

    @abstractmethod
    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Check the cases' files and build what is missing or outdated in the cache; may use several processes."""

    @abstractmethod
    def digest(self, cases: Sequence[str]) -> str:
        """A hash (32 hex digits) of the content of these cases, for the record of a run."""

    @abstractmethod
    def sample(self, case: str, seed: int) -> Batch:
        """Training examples of one prepared case; the same seed gives the same examples in any process."""

    @abstractmethod
    def case(self, case: str) -> Case:
        """A prepared case for evaluation."""

    @abstractmethod
    def open(self, paths: Sequence[Path]) -> Iterable[Case]:
        """New files (or folders of them) that belong to no split and need no labels, for prediction."""
