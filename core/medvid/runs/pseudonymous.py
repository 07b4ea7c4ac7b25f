"""Any data set, with pseudonyms as names of its cases; the one place where ids become pseudonyms."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from medvid.data.batch import Batch
from medvid.data.dataset import Case, Dataset, Progress, sources_of
from medvid.data.splits import Splits
from medvid.errors import DataError
from medvid.evaluation.report import file_name
from medvid.files import DRAFT, make_folder
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.runs.pseudonyms import Pseudonyms, active, use_in_this_process


class PseudonymousDataset(Dataset):
    """Another data set, whose cases are addressed by pseudonyms. Its errors show pseudonyms too.

    Random numbers derive from the name of a case in the training loop, which is its pseudonym: a run with pseudonyms
    differs from one without, or with another key, but is equally reproducible.

    Args:
        inner: the data set.
        pseudonyms: of the site.
    """

    def __init__(self, inner: Dataset, pseudonyms: Pseudonyms) -> None:
        super().__init__(inner.options)
        self.inner, self._pseudonyms, self.transforms = inner, pseudonyms, inner.transforms
        inner.hide_patients()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        use_in_this_process(self._pseudonyms)

    @cached_property
    def input_info(self) -> InputInfo:
        with self._pseudonyms.errors():
            return self.inner.input_info

    @cached_property
    def target_info(self) -> TargetInfo:
        with self._pseudonyms.errors():
            return self.inner.target_info

    def declared(self) -> Splits:
        with self._pseudonyms.errors():
            return self._named_splits(self.inner.declared())

    @cached_property
    def division(self) -> Splits:
        with self._pseudonyms.errors():
            return self._named_splits(self.inner.division)

    @property
    def splits(self) -> Splits:
        with self._pseudonyms.errors():
            return self._named_splits(self.inner.splits)

    def cases(self, split: str) -> Sequence[str]:
        with self._pseudonyms.errors():
            return self._named(self.inner.cases(split))

    def check(
        self,
        cases: Sequence[str],
        progress: Progress,
        *,
        deep: bool = False,
        workers: int = 1,
        seconds: float | None = None,
    ) -> dict[str, DataError]:
        with self._pseudonyms.errors():
            found = self.inner.check(self._ids(cases), progress, deep=deep, workers=workers, seconds=seconds)
        errors = {self._pseudonyms.add_case(case): self._pseudonyms.hidden(error) for case, error in found.items()}
        return {name: error for name, error in errors.items() if isinstance(error, DataError)}

    def record(self, cases: Sequence[str], progress: Progress) -> None:
        with self._pseudonyms.errors():
            self.inner.record(self._ids(cases), progress)

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:
        with self._pseudonyms.errors():
            return [self._pseudonyms.hide(note) for note in self.inner.check_case(self._id(case), deep=deep)]

    def describe(self, cases: Sequence[str]) -> Mapping[str, Any]:
        with self._pseudonyms.errors():
            return self.inner.describe(self._ids(cases))

    def remember(self, description: Mapping[str, Any]) -> None:
        with self._pseudonyms.errors():
            self.inner.remember(description)

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        with self._pseudonyms.errors():
            self.inner.prepare(self._ids(cases), progress)

    def digest(self, cases: Sequence[str]) -> str:
        with self._pseudonyms.errors():
            return self.inner.digest(self._ids(cases))

    def fingerprint(self, case: str) -> str:
        with self._pseudonyms.errors():
            return self.inner.fingerprint(self._id(case))

    def labelled(self) -> tuple[str, ...]:
        with self._pseudonyms.errors():
            return self._named(self.inner.labelled())

    def fix_splits(self, splits: Splits) -> None:
        with self._pseudonyms.errors():
            self.inner.fix_splits({split: self._ids(cases) for split, cases in splits.items()})

    @property
    def transforms_last(self) -> bool:
        return self.inner.transforms_last

    def draw(self, case: str, seed: int) -> Batch:
        with self._pseudonyms.errors():
            batch = self.inner.draw(self._id(case), seed)
            return replace(batch, cases=self._named(batch.cases))

    def open_case(self, case: str) -> Case:
        with self._pseudonyms.errors():
            return PseudonymousCase(self.inner.open_case(self._id(case)), case, self._pseudonyms)

    def open(self, paths: Sequence[Path]) -> Iterator[Case]:
        with self._pseudonyms.errors():
            for case in self.inner.open(paths):
                yield PseudonymousCase(case, self._pseudonyms.add_case(case.id, sources_of(case)), self._pseudonyms)

    def _named_splits(self, splits: Splits) -> Splits:
        return {split: self._named(cases) for split, cases in splits.items()}

    def _named(self, cases: Sequence[str]) -> tuple[str, ...]:
        return tuple(map(self._pseudonyms.add_case, cases))

    def _ids(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(map(self._id, names))

    def _id(self, name: str) -> str:
        """The id of a case; the pseudonym itself for an unknown case, which the data set will then refuse."""
        if (case := self._pseudonyms.case(name)) is None:
            with suppress(DataError):
                self._named(self.inner.labelled())
            with suppress(DataError):
                _ = self.splits
            case = self._pseudonyms.case(name)
        return name if case is None else case


class PseudonymousCase:
    """A case named by its pseudonym, also in the names of the files that it writes.

    Args:
        inner: the case.
        name: its pseudonym.
        pseudonyms: of the site.
    """

    def __init__(self, inner: Case, name: str, pseudonyms: Pseudonyms) -> None:
        self.inner, self.id, self._pseudonyms = inner, name, pseudonyms

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the names of all other cases."""
        return _received, (self.inner, self.id)

    @property
    def patient(self) -> str:
        """A pseudonym of whose it is; empty where nothing says so."""
        patient = getattr(self.inner, "patient", "")
        return self._pseudonyms.of(patient) if patient else ""

    def input(self) -> Tensor:
        """The prepared input (C, *S)."""
        with self._pseudonyms.errors():
            return self.inner.input()

    def write(self, labels: Any, folder: Path) -> tuple[Path, ...]:
        """As `medvid.data.dataset.SegmentationCase.write`, under the pseudonym."""
        return self._renaming("write", labels, folder)

    def write_probabilities(self, probabilities: Any, folder: Path) -> tuple[Path, ...]:
        """As `medvid.data.dataset.SegmentationCase.write_probabilities`, under the pseudonym."""
        return self._renaming("write_probabilities", probabilities, folder)

    def _renaming(self, method: str, array: Any, folder: Path) -> tuple[Path, ...]:
        draft = Path(tempfile.mkdtemp(prefix=".", suffix=DRAFT, dir=folder))
        try:
            with self._pseudonyms.errors():
                written: tuple[Path, ...] = getattr(self.inner, method)(array, draft)
                moved = {path: self._moved(path, draft, folder) for path in draft.rglob("*") if path.is_file()}
                for path, place in moved.items():
                    make_folder(place.parent)
                    path.replace(place)
                return tuple(moved[path] for path in written)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _moved(self, path: Path, draft: Path, folder: Path) -> Path:
        return folder / self._renamed(str(path.relative_to(draft)))

    def _renamed(self, name: str) -> str:
        for own in (self.inner.id, file_name(self.inner.id)):
            if name.startswith(own):
                return self.id + name.removeprefix(own)
        return self.id + "".join(Path(name).suffixes[-2:])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        with self._pseudonyms.errors():
            value = getattr(self.inner, name)
        if not callable(value):
            return value

        def call(*args: Any, **more: Any) -> Any:
            with self._pseudonyms.errors():
                found = value(*args, **more)
            return self._one_by_one(found) if isinstance(found, Iterator) else found

        return call

    def _one_by_one(self, items: Iterator[Any]) -> Iterator[Any]:
        """What is read while it is asked for, such as frames."""
        with self._pseudonyms.errors():
            yield from items


def _received(inner: Case, name: str) -> PseudonymousCase:
    return PseudonymousCase(inner, name, active())
