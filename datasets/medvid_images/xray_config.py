"""Options of chest X-rays with findings: ChestX-ray14 and CheXpert."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from medvid.config.options import Options
from medvid.data.listing import find_files
from medvid.data.tables.columns import Row, Table, read_table
from medvid.data.tables.index import AnsweredCase, AnswerIndex, with_patients
from medvid.data.tables.lists import Layout, index_table, read_findings
from medvid.errors import DataError
from medvid.sentences import listed
from medvid_images.config import WholeImageOptions

NIH_FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
COMPETITION = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
"""The findings that CheXpert's competition scored."""


class ChestXray14Options(WholeImageOptions):
    """NIH ChestX-ray14 (Wang et al., CVPR 2017) as it unpacks: 112,120 images with 14 findings, mined from reports.

    `root` has Data_Entry_2017.csv, the images in any folders below it, and the official train_val_list.txt and
    test_list.txt, which divide the patients. Validation patients are held out of the former.
    """

    name: Literal["nih_chestxray14"] = "nih_chestxray14"
    table: str | None = "Data_Entry_2017.csv"
    """The table of findings."""
    label_columns: tuple[str, ...] = NIH_FINDINGS
    """The findings to predict."""
    validation_fraction: float = 0.1
    """Share of the patients of train_val_list.txt to hold out."""
    has_unknown: bool | None = False
    """No: each finding is named, or absent."""

    def index(self, is_case: Callable[[Path], bool]) -> AnswerIndex:  # noqa: ARG002 (the table names them)
        """All images of the table, see `AnsweredOptions.index`."""
        table = read_table(self.root / (self.table or ""))
        files = {path.name: path for path in find_files(self.root)}
        layout = Layout(self.root, "Image Index", "Patient ID", None, files)
        column = table.find("Finding Labels", (), "table") or ""
        index = index_table(table, layout, (column,), lambda row: self.findings(row.cells[column]))
        return AnswerIndex(index.cases, self._lists(index.cases))

    def findings(self, cell: str) -> tuple[float, ...]:
        """0 or 1 of each of `label_columns`, from findings joined by a bar.

        Raises:
            ValueError: one is not of this data set.
        """
        found = {name for name in cell.split("|") if name != "No Finding"}
        if strange := sorted(found - set(NIH_FINDINGS)):
            raise ValueError(f"column Finding Labels: {listed(strange)} is not a finding of ChestX-ray14")
        return tuple(float(label in found) for label in self.label_columns)

    def _lists(self, cases: Iterable[str]) -> dict[str, tuple[str, ...]]:
        known, splits = set(cases), {}
        for split, name in (("train", "train_val_list.txt"), ("test", "test_list.txt")):
            path = self.root / name
            if not path.is_file():
                raise DataError(f"{path} does not exist", hint="it comes with the images, and says who is held out")
            names = [line.strip().rstrip(",") for line in path.read_text(encoding="utf-8-sig").splitlines()]
            if strange := [name for name in names if name and name not in known]:
                raise DataError(f"{path} has images that are not in the table: {listed(strange)}")
            splits[split] = tuple(filter(None, names))
        return splits


class CheXpertOptions(WholeImageOptions):
    """CheXpert (Irvin et al., AAAI 2019) as it unpacks: chest X-rays with 14 findings, mined from reports.

    `root` has train.csv and valid.csv, perhaps test.csv, and their images; patients are those of the paths. A finding
    that is not mentioned is absent; one that is uncertain is unknown unless `uncertain` says otherwise.
    """

    name: Literal["chexpert"] = "chexpert"
    table: str | None = "train.csv"
    """The table of the training cases."""
    label_columns: tuple[str, ...] = COMPETITION
    """The findings to predict; default: those of the competition."""
    blank: Literal["ignore", "zeros"] = "zeros"
    patient_pattern: str | None = "(patient[0-9]+)/"
    projections: Literal["frontal", "all"] = "frontal"
    """Use frontal images alone, or lateral ones too."""

    def index(self, is_case: Callable[[Path], bool]) -> AnswerIndex:  # noqa: ARG002 (the tables name them)
        """All images of the tables, see `AnsweredOptions.index`."""
        cases: dict[str, AnsweredCase] = {}
        splits: dict[str, tuple[str, ...]] = {}
        for split, name in (("train", self.table), ("validation", "valid.csv"), ("test", "test.csv")):
            path = self.root / (name or "")
            if split == "train" or path.is_file():
                found = self._cases(read_table(path))
                splits[split] = tuple(found)
                cases |= found
        return AnswerIndex(cases, splits)

    def _cases(self, table: Table) -> dict[str, AnsweredCase]:
        columns = [table.find(name, (), "label_columns") or name for name in self.label_columns]
        projection = table.find(None, ("frontal/lateral",), "table")
        kept = [row for row in table.rows if not projection or self._is_used(row.cells[projection])]
        shortened = Table(table.path, table.columns, tuple(_without_archive(row) for row in kept))
        layout = Layout(self.root, table.find(None, ("path",), "table"))
        index = index_table(shortened, layout, (), read_findings(columns, self._policy, self.blank))
        return with_patients([*index.cases.values()], self.patient_pattern)

    def _is_used(self, cell: str) -> bool:
        return self.projections == "all" or cell.casefold() != "lateral"


def _without_archive(row: Row) -> Row:
    """The paths of the tables begin with the archive's name, CheXpert-v1.0 or CheXpert-v1.0-small."""
    return Row(row.line, {name: re.sub(r"^CheXpert[^/]*/", "", cell) for name, cell in row.cells.items()})


class RadiographsOptions(Options):
    """Generated images in the layout of ChestX-ray14."""

    patients: PositiveInt = 60
    """Number of patients; each has two images."""
    seed: NonNegativeInt = 0
