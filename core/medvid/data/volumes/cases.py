"""Which cases a data set of volumes has: those of its folder, and how they are divided."""

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

from medvid.data.dataset import Dataset
from medvid.data.fold_files import SPLITS_FILE
from medvid.data.groups import Groups
from medvid.data.splits import Splits, check_splits, choose_splits
from medvid.data.volumes.description import describe
from medvid.data.volumes.drawn import with_drawn
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import enabled_formats, shipped_formats
from medvid.data.volumes.index import Index, find_cases
from medvid.data.volumes.options import VolumeDatasetOptions
from medvid.errors import DataError
from medvid.plugin.specs import BuildAll

log = logging.getLogger(__name__)


class IndexedVolumes(Dataset):
    """Volumes in one of the folder layouts of `medvid.data.volumes.index`, none of which is read here.

    Args:
        options: the validated options.
        build_all: gives the formats of the enabled plugins; default: those that medvid ships.
    """

    options: VolumeDatasetOptions

    def __init__(self, options: VolumeDatasetOptions, build_all: BuildAll | None = None) -> None:
        super().__init__(options)
        self.formats = enabled_formats(build_all, options.format, options.answers) if build_all else shipped_formats()

    @abstractmethod
    def default_split(self, cases: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Split labelled cases into train and validation if neither the task nor a datalist does.

        Raises:
            DataError: these cases cannot be split.
        """

    @cached_property
    def index(self) -> Index:
        """The cases that the folder holds, with what is to be said of it."""
        options = self.options
        found = describe(options.root, options.datalist)
        if options.ignore_description:
            log.warning("labels and channels in %s are ignored, as the task asks", found.source)
        else:
            say(options.check_description(found))
        channels = self.input_info.channels
        index = find_cases(options.root, options.folder_layout, options.datalist, channels, formats=self.formats)
        index = with_drawn(index, found.drawn, options.label_scheme(), options.root)
        say(index.notes)
        return index

    def declared(self) -> Splits:
        return self.index.splits

    def divide(self) -> Splits:
        """The task's split, else the folder's, else the data set's own, see `medvid.data.splits.choose_splits`."""
        splits = choose_splits(self.options.split, self.declared(), self._divide)
        check_splits(splits, self.options.split, tuple(self.index.cases), set(self.labelled()))
        if (self.options.root / SPLITS_FILE).is_file():
            log.warning("%s is not used; dataset.fold chooses one of its folds", SPLITS_FILE)
        return splits

    def groups(self) -> Groups:
        """The patients, where the index knows them."""
        return {case.id: case.patient for case in self.index.cases.values() if case.patient}

    def own_fold(self, index: int) -> Splits | None:
        return self.index.fold(index)

    def labelled(self) -> tuple[str, ...]:
        return tuple(case.id for case in self.index.cases.values() if case.label is not None)

    def files(self, case: str) -> CaseFiles:
        """The files of a case.

        Raises:
            DataError: there is no such case.
        """
        if case not in self.index.cases:
            raise DataError(f"there is no case {case} in {self.options.root}")
        return self.index.cases[case]

    def _divide(self) -> Splits:
        """Hold out cases for validation where the folder does not say which."""
        declared = self.index.splits
        if "validation" not in declared and not self.index.folds:
            return self.default_split(declared["train"])
        if "validation" not in declared:
            raise DataError(
                f"the list in {self.options.root} gives its cases the folds {self.index.fold_numbers}, "
                "but the task does not say which of them is held out",
                hint="choose one: dataset.fold: 0",
            )
        if not declared.get("train"):
            raise DataError(
                f"{self.options.root} has validation cases, but none to train on",
                hint="name your own: dataset.split: {train: [...], validation: [...]}",
            )
        return {}


def say(notes: Sequence[str]) -> None:
    """Warn of what is unusual."""
    for note in notes:
        log.warning(note)
