"""A data set of cases with answers of their own: what those of images, of volumes and of videos share."""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch

from medvid.data.batch import Batch
from medvid.data.dataset import Dataset, Progress, ViewedCase
from medvid.data.groups import Groups
from medvid.data.problems import open_all
from medvid.data.splits import Splits, check_copies
from medvid.data.tables.facts import FileFacts
from medvid.data.tables.index import AnsweredCase, AnswerIndex
from medvid.data.tables.options import AnsweredOptions
from medvid.data.targets import case_target, unknown_target
from medvid.data.transform import apply
from medvid.digests import digest_of_files, digest_of_rows
from medvid.errors import DataError

log = logging.getLogger(__name__)


class AnsweredDataset(Dataset):
    """Cases named by a table or by folders, see `medvid.data.tables.options`.

    Args:
        options: the validated options.
    """

    options: AnsweredOptions

    def __init__(self, options: AnsweredOptions) -> None:
        super().__init__(options)
        self._hashes: dict[str, str] = {}

    @abstractmethod
    def is_case(self, path: Path) -> bool:
        """Whether a file, or a folder of files, below the folder of a class is one."""

    @abstractmethod
    def open_file(self, name: str, path: Path, answered: AnsweredCase | None) -> ViewedCase:
        """A case, read when it is used.

        Args:
            name: its id.
            path: its file or folder.
            answered: what the index says of it; None for a new file.
        """

    def look_at(self, case: str) -> FileFacts:
        """Read a file for a plan, where images and volumes are planned for.

        Raises:
            DataError: it cannot be read.
        """
        raise NotImplementedError

    def files(self, case: AnsweredCase) -> tuple[Path, ...]:
        """The files that a case is read from; default: its path."""
        return (case.path,)

    @cached_property
    def index(self) -> AnswerIndex:
        """All cases."""
        index = self.options.index(self.is_case)
        for note in index.notes:
            log.warning(note)
        return index

    def declared(self) -> Splits:
        return self.index.declared

    def divide(self) -> Splits:
        """As the options say, patients whole, see `medvid.data.tables.options`."""
        return self.options.divide(self.index)

    def groups(self) -> Groups:
        """The patients."""
        return self.index.patients

    def labelled(self) -> tuple[str, ...]:
        return tuple(self.index.cases)

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Read all of them once, so that what is wrong is found before training."""
        open_all(self._read_once, cases, progress)
        for note in check_copies(self.splits, {case: self.fingerprint(case) for case in cases}):
            log.warning(note)

    def digest(self, cases: Sequence[str]) -> str:
        return digest_of_rows((case, self.fingerprint(case), str(self.answered(case).answer)) for case in cases)

    def fingerprint(self, case: str) -> str:
        if case not in self._hashes:
            try:
                self._hashes[case] = digest_of_files(self.files(self.answered(case)))
            except OSError as error:
                raise DataError(f"case {case}: {error.filename} cannot be read: {error.strerror}") from error
        return self._hashes[case]

    def draw(self, case: str, seed: int) -> Batch:
        opened = self.open_case(case)
        target = opened.target if opened.target is not None else unknown_target(self.target_info)
        batch = Batch(self.unnormalised(opened)[None], target[None], (case,))
        changed = apply(self.transforms, batch, torch.Generator().manual_seed(seed))
        return replace(changed, input=self.normalise(changed.input))

    def unnormalised(self, case: ViewedCase) -> torch.Tensor:
        """The input (C, *S) that transforms change; default: as models get it."""
        return case.input()

    def normalise(self, input: torch.Tensor) -> torch.Tensor:
        """The rest of what is done to inputs (B, C, *S), after the transforms; default: nothing."""
        return input

    def open_case(self, case: str) -> ViewedCase:
        answered = self.answered(case)
        return self.open_file(case, answered.path, answered)

    def answered(self, case: str) -> AnsweredCase:
        """What the index says of a case.

        Raises:
            DataError: there is no such case.
        """
        if case not in self.index.cases:
            raise DataError(f"there is no case {case} in {self.options.root}")
        return self.index.cases[case]

    def target_of(self, answered: AnsweredCase | None) -> torch.Tensor | None:
        """The target of a case; None for a new file."""
        return None if answered is None else case_target(answered.answer, self.target_info, answered.id)

    def _read_once(self, case: str) -> None:
        self.open_case(case).input()
        self.fingerprint(case)
