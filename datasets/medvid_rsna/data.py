"""RSNA Intracranial Hemorrhage Detection: series of slices, each with kinds of haemorrhage."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from medvid.data.batch import Batch
from medvid.data.dataset import Dataset, Progress
from medvid.data.framed import draw_window
from medvid.data.groups import Groups
from medvid.data.listing import find_files, name_left_out
from medvid.data.problems import open_all
from medvid.data.splits import Splits, check_copies, check_splits, choose_splits
from medvid.data.tables.index import AnsweredCase, hold_out_patients, patients_of
from medvid.data.targets import frame_target
from medvid.data.transform import apply
from medvid.data.volumes.formats.choice import enabled_formats, shipped_formats
from medvid.digests import digest_of, digest_of_rows
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid.plugin.specs import BuildAll
from medvid.sentences import listed
from medvid_rsna.case import SliceSeries
from medvid_rsna.config import LABELS, RSNAHemorrhageOptions
from medvid_rsna.slices import Slice, SliceHeaders, group, read_slice
from medvid_rsna.table import Labels, read_table

log = logging.getLogger(__name__)

_PIECE = 1 << 14  # bytes of a file by which copies are found


class RSNAHemorrhage(Dataset):
    """Series of the challenge, see `RSNAHemorrhageOptions`; slices are read from their files each time.

    Args:
        options: the validated options.
        build_all: gives the formats of the enabled plugins; default: those that medvid ships.
    """

    options: RSNAHemorrhageOptions
    deep_check = "reads all slices, not only the middle one"

    def __init__(self, options: RSNAHemorrhageOptions, build_all: BuildAll | None = None) -> None:
        super().__init__(options)
        self.formats = enabled_formats(build_all) if build_all else shipped_formats()

    @cached_property
    def labels(self) -> Mapping[str, Labels]:
        """Those of each image of the table."""
        found, notes = read_table(self.options.root / self.options.table)
        for note in notes:
            log.warning(note)
        return found

    @cached_property
    def series(self) -> Mapping[str, tuple[Slice, ...]]:
        """The slices of each series, in order."""
        options, folder = self.options, self.options.root / self.options.images
        files = {path.stem: path for path in find_files(folder) if path.suffix.lower() == ".dcm"}
        if not files:
            raise DataError(f"there are no .dcm files in {folder}", hint="set dataset.root and dataset.images")
        for note in name_left_out(folder, find_files(folder), files.values(), lambda _: "they are not .dcm"):
            log.warning(note)
        left_out = set(options.leave_out)
        if missing := [image for image in self.labels if image not in files and image not in left_out]:
            raise DataError(
                f"{len(missing)} of {len(self.labels)} images of {options.table} are not in {folder}: "
                f"{listed(missing)}",
                hint="complete the copy, or take their lines out of a copy of the table: dataset.table",
            )
        used = [path for image, path in files.items() if image not in left_out]
        grouped = group(SliceHeaders(options.cache, options.root).read(used))
        return {uid: slices for uid, slices in grouped.items() if uid not in left_out}

    @cached_property
    def _index(self) -> dict[str, AnsweredCase]:
        """The series that have a label, with their patients."""
        index = {
            uid: AnsweredCase(uid, slices[0].path, (), slices[0].patient)
            for uid, slices in self.series.items()
            if any(one.path.stem in self.labels for one in slices)
        }
        if len(index) < len(self.series):
            log.warning("%d series have no labels and are left out", len(self.series) - len(index))
        return index

    def declared(self) -> Splits:
        return {"train": tuple(self._index)}

    def divide(self) -> Splits:
        """The task's split, else a share of the patients is held out."""
        options, index = self.options, self._index

        def hold_out() -> Splits:
            return hold_out_patients(index, tuple(index), options.validation_fraction, options.split_seed)

        splits = choose_splits(options.split, {}, hold_out)
        check_splits(splits, options.split, tuple(index), set(index))
        return splits

    def groups(self) -> Groups:
        """The patients."""
        return patients_of(self._index)

    def labelled(self) -> tuple[str, ...]:
        return tuple(self._index)

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Read the middle slice of each series, so that most of what is wrong is found before training."""
        open_all(self._read_middle, cases, progress)
        for note in check_copies(self.splits, {case: self.fingerprint(case) for case in cases}):
            log.warning(note)

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:
        opened = self.open_case(case)
        for number in range(opened.frame_count) if deep else ():
            opened.frames(number, number + 1)
        self._read_middle(case)
        return ()

    def digest(self, cases: Sequence[str]) -> str:
        """A hash of names, sizes and labels, since reading all slices would take hours."""
        rows = ((one.path.name, one.path.stat().st_size, self._label(one)) for case in cases for one in self._of(case))
        return digest_of_rows(rows)

    def fingerprint(self, case: str) -> str:
        """A hash of the number of slices and of a piece of the middle one."""
        slices = self._of(case)
        path = slices[len(slices) // 2].path
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _PIECE) // 2)
                return digest_of(f"{len(slices)}\0".encode() + file.read(_PIECE))
        except OSError as error:
            raise DataError(f"case {case}: {path} cannot be read: {error.strerror}") from error

    @property
    def transforms_last(self) -> bool:
        """Yes."""
        return True

    def draw(self, case: str, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        drawn = draw_window(self.open_case(case), self.input_info, self.target_info, generator)
        return apply(self.transforms, drawn, generator)

    def open_case(self, case: str) -> SliceSeries:
        slices = self._of(case)
        target = frame_target(np.array([self._label(one) for one in slices]), self.target_info, case)
        return SliceSeries(case, slices, self.options, self.formats, target)

    def open(self, paths: Sequence[Path]) -> Iterator[SliceSeries]:
        """The series of files and folders: named like the path, or by their UIDs where it has several."""
        for path in paths:
            files = find_files(path) if path.is_dir() else (path,)
            if not files:
                raise DataError(f"there are no slices in {path}", hint="name folders or files of DICOM slices")
            found = group(map(read_slice, files))
            for uid, slices in found.items():
                yield SliceSeries(path.stem if len(found) == 1 else uid, slices, self.options, self.formats)

    def _of(self, case: str) -> tuple[Slice, ...]:
        if case not in self.series:
            raise DataError(f"there is no series {case} in {self.options.root}")
        return self.series[case]

    def _label(self, one: Slice) -> Labels:
        return self.labels.get(one.path.stem, [UNKNOWN] * len(LABELS))

    def _read_middle(self, case: str) -> None:
        opened = self.open_case(case)
        middle = opened.frame_count // 2
        opened.frames(middle, middle + 1)
