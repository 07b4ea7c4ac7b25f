"""Options that every data set of cases with answers of their own has: a table of them, or a folder per class."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, pstdev
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveFloat, field_validator, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import DatasetOptions, Options
from medvid.data.fold_choice import settle
from medvid.data.splits import SplitOptions, Splits, check_splits, choose_splits
from medvid.data.tables.cells import Uncertain
from medvid.data.tables.columns import CLASSES, PATHS, Table, read_table
from medvid.data.tables.folders import TABLE, folder_names, index_folders
from medvid.data.tables.index import Answer, AnswerIndex, hold_out_patients, with_patients
from medvid.data.tables.lists import Layout, class_names, index_table, read_classes, read_findings, read_values
from medvid.data.tables.several import blank_note, listed_names, read_listed, separator_of
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN, TargetInfo
from medvid.plugin.specs import What
from medvid.sentences import listed


class ValueOptions(Options):
    """A column of numbers."""

    unit: str
    """What they are counted in: years, %, ml; an empty text for a score."""
    mean: float | None = None
    """Mean of the training cases, from which values are learnt as a distance; default: of the table."""
    deviation: PositiveFloat | None = None
    """Their standard deviation, in which that distance is counted; default: of the table."""


def _as_block(value: Any) -> Any:
    return {"unit": value} if isinstance(value, str) else value


Value = Annotated[ValueOptions, BeforeValidator(_as_block, json_schema_input_type=str | ValueOptions)]


_ANSWERS = ("class_column", "label_columns", "labels_column", "value_columns")
"""Options, one of which says what is predicted."""


class AnsweredOptions(DatasetOptions):
    """Base of the options of data sets whose cases have a class, findings or numbers each.

    Either a CSV file with a line per case: its path, the answers, perhaps the patient and the split. Or a folder per
    class, called like it, directly in `root` or in its folders train, val and test.
    """

    table: str | None = None
    """The CSV file, relative to `root`; default: labels.csv if there is one, else folders are read."""
    path_column: str | None = None
    """Column of files or folders, relative to `root`; default: path, file, image, folder or the like."""
    class_column: str | None = None
    """Predict the class in this column; default, if no other answers are asked for: class, label, diagnosis."""
    label_columns: tuple[str, ...] = ()
    """Predict the findings in these columns, each on its own: 1 or 0, yes or no; -1 where it is uncertain."""
    value_columns: dict[str, Value] = Field(default_factory=dict)
    """Predict the numbers in these columns, each with its unit: {age: years, score: ""}."""
    labels_column: str | None = None
    """Predict the labels that this column lists, each on its own: "run; jump". What is not listed is absent."""
    labels_separator: Annotated[str, Field(min_length=1)] | None = None
    """What separates the labels in it, " " for blanks; default: whichever of | ; , is used."""
    classes: tuple[str, ...] | None = None
    """Names of the classes by id, or of the labels of `labels_column`; default: as they occur, by the alphabet or, of
    numbers, by size."""
    uncertain: Uncertain | dict[str, Uncertain] = "ignore"
    """What -1 counts as (Irvin et al., AAAI 2019): ignore: unknown, zeros: absent, ones: present. For all columns, or
    for some: {Edema: ones}; the others are then ignored where uncertain."""
    blank: Literal["ignore", "zeros"] = "ignore"
    """What an empty cell of a finding, or of `labels_column`, counts as: unknown, or absent as in CheXpert. Of classes
    and numbers: unknown."""
    patient_column: str | None = None
    """Column of patients, none of whom may be on both sides of a split; default: patient, patient_id, subject or the
    like, if there is one."""
    patient_pattern: str | None = None
    """Instead: a regular expression that finds the patient in a path, as its first group: '^(patient[0-9]+)/'."""
    split_column: str | None = None
    """Column of train, validation and test; default: split or subset, if there is one."""
    split: SplitOptions | None = None
    """The cases of each split, by their paths; default for each: the column or folders, else `validation_fraction`."""
    validation_fraction: FractionBelowOne = 0.2
    """Share of the patients, or of the cases where no patients are known, to hold out of each class, if no validation
    cases are named; 0: none."""
    split_seed: NonNegativeInt = 0
    """Seed that decides which these are."""
    has_unknown: bool | None = None
    """Whether any answer may be unknown; default: as the table says."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Of files that a table may name without them."""
    usual_paths: ClassVar[tuple[str, ...]] = PATHS
    """What its column of paths is usually called."""

    @field_validator("patient_pattern")
    @classmethod
    def _pattern_compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        asked = [name for name in _ANSWERS if getattr(self, name)]
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)} are set, but one kind of answer is predicted: keep one")
        if isinstance(self.uncertain, dict) and (other := set(self.uncertain) - set(self.label_columns)):
            raise ValueError(f"uncertain names {listed(sorted(other))}, which label_columns does not")
        if self.labels_separator and not self.labels_column:
            raise ValueError("labels_separator is of labels_column, which is not set")
        if self.patient_column and self.patient_pattern:
            raise ValueError("patient_column and patient_pattern are both set: keep one of them")
        return self

    @property
    def what(self) -> What:
        """What is predicted."""
        return "labels" if self.label_columns or self.labels_column else "value" if self.value_columns else "class"

    def target_info(self) -> TargetInfo:
        """The answers, see `DatasetOptions.target_info`."""
        means = [value.mean for value in self.value_columns.values()]
        deviations = [value.deviation for value in self.value_columns.values()]
        names = self.label_columns or tuple(self.value_columns) or self.classes
        if self.has_unknown is None or None in [*means, *deviations] or not names:
            return self.filled().target_info()
        return TargetInfo(
            "case",
            self.what,
            names,
            tuple(value.unit for value in self.value_columns.values()),
            self.has_unknown,
            tuple(mean for mean in means if mean is not None),
            tuple(deviation for deviation in deviations if deviation is not None),
        )

    def filled(self) -> Self:
        """With the classes, the scale of the values and what may be unknown, see `DatasetOptions.filled`."""
        if not self.table_path:
            self._check_folders()
            return self.model_copy(
                update={"classes": self.classes or folder_names(self.root), "has_unknown": bool(self.has_unknown)}
            )
        index = self.index(lambda _: True)
        unknown = any(self._is_unknown(case.answer) for case in index.cases.values())
        trained = [index.cases[case].answer for case in self.splits_of(index).get("train", ())]
        scales = {
            name: scaled(value, [answer[number] for answer in trained if isinstance(answer, tuple)])
            for number, (name, value) in enumerate(self.value_columns.items())
        }
        known = unknown if self.has_unknown is None else self.has_unknown
        return self.model_copy(update={"classes": index.classes or None, "value_columns": scales, "has_unknown": known})

    def index(self, is_case: Callable[[Path], bool]) -> AnswerIndex:
        """All cases.

        Args:
            is_case: whether a file, or a folder of files, below that of a class is one; unused where there is a table.

        Raises:
            DataError: all that is wrong with the table or the folders.
        """
        if not self.table_path:
            return self._index_folders(is_case)
        table = read_table(self.table_path)
        columns, classes, read = self._answers(table)
        columns_besides = (self.path_column, self.patient_column, self.split_column)
        layout = Layout(self.root, *columns_besides, suffixes=self.suffixes, usual=self.usual_paths)
        index = index_table(table, layout, columns, read)
        cases = with_patients([*index.cases.values()], self.patient_pattern) if self.patient_pattern else index.cases
        listed_in = columns if self.labels_column and self.blank == "ignore" else ()
        hint = "if they have none, set dataset.blank: zeros"
        notes = [f"{note}; {hint}" for name in listed_in for note in blank_note(table, name)]
        return AnswerIndex(cases, index.splits, classes, (*index.notes, *notes))

    def splits_of(self, index: AnswerIndex) -> Splits:
        """The cases of each split, as the data set has them.

        Raises:
            DataError: splits that cannot be, or that share a patient.
        """
        return settle(
            self, lambda: index.declared, lambda: self.divide(index), lambda: index.patients, lambda: index.cases
        )

    def divide(self, index: AnswerIndex) -> Splits:
        """The cases of each split, of those that are held out by patient, where the task asks for no fold.

        Raises:
            DataError: splits that cannot be.
        """
        cases, declared = index.cases, index.splits
        left = declared.get("train", () if declared else tuple(cases))

        def divide() -> Splits:
            if "validation" in declared or not left:
                return {}
            return hold_out_patients(cases, left, self.validation_fraction, self.split_seed)

        splits = choose_splits(self.split, declared, divide)
        check_splits(splits, self.split, tuple(cases), set(cases))
        return splits

    @property
    def table_path(self) -> Path | None:
        """The table; None where there are folders per class."""
        path = self.root / (self.table or TABLE)
        return path if self.table or path.is_file() else None

    def _index_folders(self, is_case: Callable[[Path], bool]) -> AnswerIndex:
        self._check_folders()
        index = index_folders(self.root, self.classes or folder_names(self.root), is_case)
        cases = with_patients([*index.cases.values()], self.patient_pattern)
        return AnswerIndex(cases, index.splits, index.classes, index.notes)

    def _check_folders(self) -> None:
        if self.what != "class" or self.class_column:
            asked = next(name for name in _ANSWERS if getattr(self, name))
            raise DataError(
                f"dataset.{asked} is set, but there is no {TABLE} in {self.root}", hint="name the CSV: dataset.table"
            )

    def _answers(self, table: Table) -> tuple[Sequence[str], tuple[str, ...], Any]:
        """The columns of the answers, the names of the classes, or of listed labels, and how a row is read."""
        if self.value_columns:
            columns = self._spelled(table, tuple(self.value_columns), "value_columns")
            return columns, (), read_values(columns)
        if self.label_columns:
            columns = self._spelled(table, self.label_columns, "label_columns")
            policies = dict(zip(columns, map(self._policy, self.label_columns), strict=True))
            return columns, (), read_findings(columns, policies.__getitem__, self.blank)
        if self.labels_column and (column := table.find(self.labels_column, (), "labels_column")):
            separator = separator_of(table, column, self.labels_separator)
            names = self.classes or listed_names(table, column, separator)
            return (column,), names, read_listed(column, names, separator, self.blank)
        column = table.find(self.class_column, CLASSES, "class_column")
        if column is None:
            raise DataError(
                f"{table.path} has no column of classes by a usual name; it has {listed(table.columns)}",
                hint=f"say what to predict: dataset.{', '.join(_ANSWERS)}",
            )
        classes = self.classes or class_names(table, column)
        return (column,), classes, read_classes(column, classes)

    def _policy(self, label: str) -> Uncertain:
        return self.uncertain.get(label, "ignore") if isinstance(self.uncertain, dict) else self.uncertain

    def _is_unknown(self, answer: Answer) -> bool:
        if isinstance(answer, int):
            return answer == UNKNOWN
        return any(math.isnan(entry) if self.what == "value" else entry == UNKNOWN for entry in answer)

    @staticmethod
    def _spelled(table: Table, names: Sequence[str], option: str) -> list[str]:
        return [found for name in names if (found := table.find(name, (), option))]


def scaled(value: ValueOptions, numbers: Sequence[float]) -> ValueOptions:
    """A column of numbers with the mean and deviation of its training cases, unless it has others; NaN is unknown."""
    known = [number for number in numbers if not math.isnan(number)]
    mean = fmean(known) if known else 0.0
    deviation = pstdev(known) if len(set(known)) > 1 else 1.0
    return value.model_copy(
        update={
            "mean": mean if value.mean is None else value.mean,
            "deviation": deviation if value.deviation is None else value.deviation,
        }
    )
