"""The contract of a data set: an index of cases, prepared once, sampled for training, opened for evaluation."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from medvid.config.options import DatasetOptions
from medvid.data.grid import Grid
from medvid.data.listing import listed
from medvid.data.processes import in_processes
from medvid.data.sample import Batch
from medvid.errors import DataError, MedvidError
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import Layout
from medvid.scarcity import as_resource_error

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")

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

    @property
    def display_window(self) -> tuple[float, float] | None:
        """The values of `native_input` that figures draw black and white; None leaves it to what is there."""
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
    deep_check: ClassVar[str] = ""
    """What `check` does besides if it is to be deep, in a few words; empty if nothing."""
    check_here: ClassVar[float] = 2.0
    """Seconds in which `check` opens cases in this process, before it starts others; 0 where a decoder may hang."""

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

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the cases of every split that there is, whether their files are there or not.

        Raises:
            medvid.errors.DataError: the data set cannot be indexed.
        """
        return _find_splits(self)

    def check(
        self,
        cases: Sequence[str],
        progress: Progress,
        *,
        deep: bool = False,
        workers: int = 1,
        seconds: float | None = None,
    ) -> dict[str, DataError]:
        """Open cases as a run would, and say what is wrong with them. Writes nothing, not even to a cache.

        Args:
            cases: ids.
            progress: told how many were opened, out of how many.
            deep: see `deep_check`.
            workers: processes; 1: only this one.
            seconds: time after which no further case is opened; None: all are.

        Returns:
            What is wrong, by case, for those where something is, in their order.

        Raises:
            medvid.errors.ResourceError: memory ran out, or a process died.
        """
        opened = in_processes(
            partial(_find_problem, self, deep), cases, workers, here=self.check_here, seconds=seconds, setup=_one_thread
        )
        errors: dict[str, DataError] = {}
        notes: dict[str, list[str]] = {}
        progress(0, len(cases))
        for done, (case, finding) in enumerate(opened, start=1):
            for note in finding.notes:
                notes.setdefault(note, []).append(case)
            if finding.error:
                errors[case] = finding.error
            progress(done, len(cases))
        for note, named in notes.items():
            which = f"case {named[0]}" if len(named) == 1 else f"{len(named)} cases ({listed(named)})"
            log.warning("%s: %s", which, note)
        return {case: errors[case] for case in cases if case in errors}

    def record(self, cases: Sequence[str], progress: Progress) -> None:  # noqa: B027 (for subclasses)
        """Note what the files of cases hold that were checked, if a run does not read all of them before it trains.

        Args:
            cases: ids of those in which nothing is wrong.
            progress: told how many are noted, out of how many.
        """

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:  # noqa: ARG002 (for subclasses)
        """Open the files of one case, for `check`; nothing is written.

        Returns:
            What is odd about it and yet no error.

        Raises:
            medvid.errors.DataError: what is wrong with it.
        """
        opened = self.case(case)
        opened.input()
        if self.target_info.task == "segmentation" and case not in self.splits.get("test", ()):
            cast(SegmentationCase, opened).native_truth()
        return ()

    def describe(self, cases: Sequence[str]) -> Mapping[str, Any]:  # noqa: ARG002 (for subclasses)
        """What a later evaluation or prediction has to know of the training cases, where these may not be at hand.

        Args:
            cases: prepared ones.

        Returns:
            A few JSON values, which the run keeps and gives to `remember`.
        """
        return {}

    def remember(self, description: Mapping[str, Any]) -> None:  # noqa: B027 (nothing to remember by default)
        """Take what `describe` said of the training cases of a run; empty for a run that kept nothing."""

    @abstractmethod
    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Check the cases' files and build what is missing or outdated in the cache; may use several processes."""

    @abstractmethod
    def digest(self, cases: Sequence[str]) -> str:
        """A hash (32 hex digits) of the content of these cases, for the record of a run."""

    def fingerprint(self, case: str) -> str:  # noqa: ARG002 (for subclasses)
        """A hash of a prepared case's input alone, whatever its name and label: copies are found by it.

        Default: empty, which says that copies cannot be told.
        """
        return ""

    def labelled(self) -> tuple[str, ...]:
        """Ids of all cases that have labels, whatever split they are in; default: the cases of all splits.

        Raises:
            medvid.errors.DataError: the data set cannot be indexed.
        """
        return tuple(dict.fromkeys(case for cases in self.splits.values() for case in cases))

    def fix_splits(self, splits: Mapping[str, tuple[str, ...]]) -> None:  # noqa: B027 (for subclasses)
        """Take these for the splits, whatever options and folder say now: they are those that a run remembers.

        Default: nothing, for data sets in which no method depends on another case than it is given.
        """

    @abstractmethod
    def sample(self, case: str, seed: int) -> Batch:
        """Training examples of one prepared case; the same seed gives the same examples in any process."""

    @abstractmethod
    def case(self, case: str) -> Case:
        """A prepared case for evaluation."""

    @abstractmethod
    def open(self, paths: Sequence[Path]) -> Iterable[Case]:
        """New files (or folders of them) that belong to no split and need no labels, for prediction.

        They are read when something is asked of a case, so that one that is broken does not keep the others from it.
        """


def sources_of(case: Case) -> tuple[Path, ...]:
    """The files that a new case is read from, where it says so by an attribute `sources`."""
    return tuple(getattr(case, "sources", ()))


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a process sends of a case that it opened."""

    error: DataError | None = None
    notes: Sequence[str] = ()


def _find_problem(dataset: Dataset, deep: bool, case: str) -> _Finding:
    try:
        return _Finding(notes=dataset.check_case(case, deep=deep))
    except DataError as error:
        return _Finding(error)
    except MedvidError:
        raise
    except Exception as error:  # of whatever library reads the files: the other cases are opened all the same
        if scarce := as_resource_error(error):
            raise scarce from error
        return _Finding(DataError(f"case {case}: {type(error).__name__}: {error}"))


def _find_splits(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    splits = {}
    for split in SPLITS:
        with suppress(DataError):
            splits[split] = tuple(dataset.cases(split))
    return splits or {"train": tuple(dataset.cases("train"))}


def _one_thread() -> None:
    """Several processes share the cores."""
    torch.set_num_threads(1)
