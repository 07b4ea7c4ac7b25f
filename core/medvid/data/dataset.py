"""The contract of a data set: an index of cases, prepared once, drawn from for training, opened for evaluation."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from medvid.config.options import DatasetOptions
from medvid.data.batch import Batch
from medvid.data.fold_choice import settle
from medvid.data.grid import Grid
from medvid.data.groups import Groups
from medvid.data.names import together
from medvid.data.placement import Placement
from medvid.data.problems import say_together
from medvid.data.splits import Splits, cases_of_split
from medvid.data.transform import Transform
from medvid.data.views import SharedFrames
from medvid.errors import DataError, MedvidError
from medvid.parallel import map_in_processes
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import Axes
from medvid.scarcity import as_resource_error

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")

Progress = Callable[[int, int], None]
"""Called with (done, total) while work advances."""


class Case(Protocol):
    """One case, ready for inference. Large arrays are read when asked for, not kept."""

    @property
    def id(self) -> str: ...

    def input(self) -> Tensor:
        """The prepared input (C, *S), float32."""
        ...


class SegmentationCase(Case, Protocol):
    """A case whose prediction is a class, labels or values for each voxel on the grid of its file."""

    @property
    def axes(self) -> Axes:
        """The meaning of the prepared axes, which can differ from the model's.

        ``"volume"`` has a physical size and anatomical axes; a stack of images without them is an ``"image"`` with its
        slices on a third axis.
        """
        ...

    @property
    def grid(self) -> Grid: ...

    def native_input(self) -> np.ndarray:
        """The array that figures show, in the file's units: the first channel, or (*native_shape, 3) for RGB."""
        ...

    @property
    def display_window(self) -> tuple[float, float] | None:
        """The values of `native_input` that figures draw as black and white; None: taken from the data."""
        ...

    def native_truth(self) -> np.ndarray:
        """The annotation on the file's own grid.

        Class ids of shape ``grid.native_shape``: uint8, or int16 where some may be `UNKNOWN`. Of labels 1 where they
        are and 0 elsewhere, ``(L, *grid.native_shape)``: uint8, or int8 where some may be `UNKNOWN`. Values
        ``(V, *grid.native_shape)`` float32, NaN where unknown.
        """
        ...

    def prepared_truth(self) -> np.ndarray:
        """The annotation on the prepared grid, ``grid.prepared_shape``; axes and types as of `native_truth`."""
        ...

    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        """Write a prediction below folder, in the data set's format.

        Args:
            labels: uint8, or values float32, with the shape of `native_truth`; NaN where no value is predicted.
            folder: where; it exists.

        Returns:
            The files: one label map, or one for each label where they may overlap; one map of all values.
        """
        ...

    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:
        """Write the probability of each label below folder, named after the case.

        Args:
            probabilities: (L, *grid.native_shape) uint8, in steps of 1 / 255; perhaps on the disk, so not to be copied.
            folder: where; it exists.

        Returns:
            The files.
        """
        ...


class ViewedCase(Case, Protocol):
    """A case that is annotated as a whole, and inferred from views of it."""

    @property
    def target(self) -> Tensor | None:
        """Its class (), labels (L,) or values (V,), as in `medvid.plugin.info`; None for a case without annotation."""
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
        """At most `count` pictures (count, H, W, 3) uint8 for display, spread evenly over the case."""
        ...


@runtime_checkable
class FilmedCase(ViewedCase, Protocol):
    """A case of which clips can begin at any frame: a video."""

    def all_views(self, stride: int, crops: int) -> SharedFrames:
        """The views that begin at every `stride`-th frame, as far as they end within the video; clips outermost.

        Args:
            stride: distance in frames of the clips.
            crops: as of `views`.
        """
        ...


class Dataset(ABC):
    """A data set, pointed at its folder by its options. Pickled into loader workers, so it holds no open files.

    A case is named by an id that is unique within the data set. Every method that reads a file raises
    `medvid.errors.DataError`, naming case and file.

    Args:
        options: the validated options; no file is read, since new files can be predicted without the data set at hand.
    """

    options: DatasetOptions
    deep_check: ClassVar[str] = ""
    """What a deep `check` does in addition, in a few words; empty if nothing."""
    check_here: ClassVar[float] = 2.0
    """Seconds for which `check` opens cases in this process before it starts others; 0 where a decoder can hang."""
    transforms: Sequence[Transform] = ()
    """Random changes that `draw` applies to its examples, in this order; given by who trains, as the options ask."""

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if "draw" in vars(cls) and "transforms_last" not in vars(cls):  # what a parent says is of its own `draw`
            cls.transforms_last = Dataset.transforms_last  # type: ignore[method-assign]

    @property
    def transforms_last(self) -> bool:
        """Whether nothing is done to examples after `transforms`, except with `Batch.then`; default: no.

        They can then follow on the device, see `medvid.data.transforms.deferred`. A class with a `draw` of its own has
        to say so itself.
        """
        return False

    def __init__(self, options: DatasetOptions) -> None:
        self.options = options

    @cached_property
    def input_info(self) -> InputInfo:
        """Shape and channels of training batches."""
        return self.options.input_info()

    @cached_property
    def target_info(self) -> TargetInfo:
        """What the labels are."""
        return self.options.target_info()

    @abstractmethod
    def declared(self) -> Splits:
        """Ids of all cases, in a fixed order, whether or not their files exist.

        They are in the split ``"train"``, ``"validation"`` or ``"test"`` that lists, folders or the publication have
        them in; in ``"train"`` where none is said.

        Raises:
            medvid.errors.DataError: the data set cannot be indexed.
        """

    def divide(self) -> Splits:
        """The cases of each split where the task asks for no fold; default: as declared.

        Raises:
            medvid.errors.DataError: the splits that the task or the folder asks for cannot be used.
        """
        return self.declared()

    def groups(self) -> Groups:
        """Whose each case is, such as its patient, who is never on both sides of a split; default: not known."""
        return {}

    def own_fold(self, index: int) -> Splits | None:  # noqa: ARG002 (for subclasses)
        """The training and validation cases of a fold in the data set's own list of cases; default: it has none."""
        return None

    @cached_property
    def division(self) -> Splits:
        """Ids of the cases of every split: as `dataset.fold` has them, if it is set, else `divide`.

        Raises:
            medvid.errors.DataError: they cannot be used, or a group is on both sides.
        """
        return settle(self.options, self.declared, self.divide, self.groups, self.labelled, self.own_fold)

    @property
    def splits(self) -> Splits:
        """Ids of what is drawn from or evaluated, by split; default: the cases of `division`."""
        return self.division

    def cases(self, split: str) -> Sequence[str]:
        """Ids of one of the `splits`.

        Raises:
            medvid.errors.DataError: the split does not exist, or files are missing (all of them are listed).
        """
        return cases_of_split(self.splits, split, self.options.root)

    def check(
        self,
        cases: Sequence[str],
        progress: Progress,
        *,
        deep: bool = False,
        workers: int = 1,
        seconds: float | None = None,
    ) -> dict[str, DataError]:
        """Open cases as a run would, and report what is wrong with them. Writes nothing, not even to a cache.

        Args:
            cases: ids.
            progress: called with the number of cases opened and the total.
            deep: see `deep_check`.
            workers: processes; 1: only this one.
            seconds: time after which no further case is opened; None: no limit.

        Returns:
            What is wrong, by case, for the cases with a problem, in their order.

        Raises:
            medvid.errors.ResourceError: memory ran out, or a process died.
        """
        opened = map_in_processes(
            partial(_find_problem, self, deep), cases, workers, here=self.check_here, seconds=seconds, setup=_one_thread
        )
        errors: dict[str, DataError] = {}
        notes: dict[str, Sequence[str]] = {}
        progress(0, len(cases))
        for done, (case, finding) in enumerate(opened, start=1):
            notes[case] = finding.notes
            if finding.error:
                errors[case] = finding.error
            progress(done, len(cases))
        for note in say_together(notes):
            log.warning(note)
        return {case: errors[case] for case in cases if case in errors}

    def record(self, cases: Sequence[str], progress: Progress) -> None:  # noqa: B027 (for subclasses)
        """Record what the files of checked cases hold, if a run does not read all of them before it trains.

        Args:
            cases: ids of cases without problems.
            progress: called with the number of cases recorded and the total.
        """

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:  # noqa: ARG002 (for subclasses)
        """Open the files of one case, for `check`; nothing is written.

        Returns:
            What is odd about it but not an error.

        Raises:
            medvid.errors.DataError: what is wrong with it.
        """
        opened = self.open_case(case)
        opened.input()
        if self.target_info.where == "voxel" and case not in self.splits.get("test", ()):
            cast(SegmentationCase, opened).native_truth()
        return ()

    def describe(self, cases: Sequence[str]) -> Mapping[str, Any]:  # noqa: ARG002 (for subclasses)
        """What a later evaluation or prediction has to know about the training cases, which may not be at hand then.

        Args:
            cases: prepared ones.

        Returns:
            A few JSON values, which the run keeps and passes to `remember`.
        """
        return {}

    def remember(self, description: Mapping[str, Any]) -> None:  # noqa: B027 (nothing to remember by default)
        """Take what `describe` returned for the training cases of a run; empty for a run that kept nothing."""

    def hide_patients(self) -> None:  # noqa: B027 (most write nothing of the kind)
        """Write no names of patients into files from now on; called for runs with pseudonyms. Default: does nothing.

        Raises:
            medvid.errors.ConfigError: the options ask for files that have them.
        """

    @abstractmethod
    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Check the cases' files and build missing or outdated cache entries; can use several processes."""

    @abstractmethod
    def digest(self, cases: Sequence[str]) -> str:
        """A hash (32 hex digits) of the content of these cases, for the record of a run."""

    def fingerprint(self, case: str) -> str:  # noqa: ARG002 (for subclasses)
        """A hash of a prepared case's input alone, without its name and label, by which copies are found.

        Default: empty, which means that copies cannot be detected.
        """
        return ""

    def labelled(self) -> Sequence[str]:
        """Ids of all cases that have labels, in any split; default: all that are declared.

        Raises:
            medvid.errors.DataError: the data set cannot be indexed.
        """
        return together(self.declared().values())

    def fix_splits(self, splits: Splits) -> None:
        """Use the splits that a run remembers, whatever options and folder say now."""
        self.division = dict(splits)

    @abstractmethod
    def draw(self, case: str, seed: int) -> Batch:
        """Training examples of one prepared case, changed by `transforms`; a seed gives the same in any process."""

    @abstractmethod
    def open_case(self, case: str) -> Case:
        """A prepared case for evaluation."""

    def annotation(self, case: str) -> np.ndarray | None:
        """What a case is annotated with, as a target has it, of voxels on the file's own grid; None: nobody has.

        Default: that of `open_case`. All cases are asked for it where folds are stratified, so a data set that can
        tell it without reading the input does.
        """
        opened = self.open_case(case)
        if self.target_info.where == "voxel":
            return cast(SegmentationCase, opened).native_truth()
        target = cast(ViewedCase, opened).target
        return None if target is None else target.numpy()

    @abstractmethod
    def open(self, paths: Sequence[Path]) -> Iterable[Case]:
        """New files (or folders of them) that belong to no split and need no labels, for prediction.

        They are read when a case is used, so that one broken file does not stop the others.
        """


def sources_of(case: Case) -> tuple[Path, ...]:
    """The files that a new case is read from, if it has an attribute `sources`."""
    return tuple(getattr(case, "sources", ()))


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a process sends back about a case that it opened."""

    error: DataError | None = None
    notes: Sequence[str] = ()


def _find_problem(dataset: Dataset, deep: bool, case: str) -> _Finding:
    try:
        return _Finding(notes=dataset.check_case(case, deep=deep))
    except DataError as error:
        return _Finding(error)
    except MedvidError:
        raise
    except Exception as error:  # from any library that reads files; the other cases are still opened
        if scarce := as_resource_error(error):
            raise scarce from error
        return _Finding(DataError(f"case {case}: {type(error).__name__}: {error}"))


def _one_thread() -> None:
    """Several processes share the cores."""
    torch.set_num_threads(1)
