"""What the scorers of labels and of values share: a case has a row, with the truth and the answer for each name."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from torch import Tensor

from medvid.config.evaluation import AnswerEvaluationOptions, CaseEvaluationOptions
from medvid.data.output import PICTURES
from medvid.data.targets import is_known
from medvid.errors import DataError
from medvid.evaluation.evaluator import Prediction, Summary
from medvid.evaluation.inference.views import InferredViews
from medvid.evaluation.metrics.figure import directions
from medvid.evaluation.metrics.target_figures import Resampling, TargetFigures
from medvid.evaluation.protocols import ViewProtocol
from medvid.evaluation.report import file_name, write_cases
from medvid.evaluation.scoring.closing import (
    own_directions,
    patient_column,
    protocol_figures,
    resampling_of,
    write_figures,
)
from medvid.evaluation.scoring.entry_table import figure_rows, figure_table
from medvid.evaluation.scoring.views import view_note
from medvid.plugin.info import TargetInfo

THUMBNAILS = 8
"""Pictures on a contact sheet."""


class EntryScorer(ABC):
    """Several labels or values per case, or per frame.

    Args:
        options: the task's evaluation block.
        protocol: how views were combined.
        target_info: the labels or values.
    """

    usual_monitor: ClassVar[str]
    """The metric that chooses the best weights, unless the protocol has another."""
    answer: ClassVar[str]
    """What the columns of answers are called."""
    table_of: ClassVar[str]
    """What the file of figures by name is called."""
    shown: ClassVar[tuple[str, ...]]
    """Columns of the figures that people are shown, and that are metrics by name."""

    def __init__(self, options: AnswerEvaluationOptions, protocol: ViewProtocol, target_info: TargetInfo) -> None:
        self.options, self.protocol, self.info = options, protocol, target_info
        self.names = target_info.names
        self.monitor = protocol.figures.monitor if protocol.figures else self.usual_monitor
        self.counted, self.manner = "cases", ""  # what has answers of its own, and how they were inferred

    @abstractmethod
    def found(
        self, answers: np.ndarray, truth: np.ndarray, cases: Sequence[str], resampling: Resampling | None = None
    ) -> TargetFigures:
        """The figures of answers (N, names) against a truth (N, names)."""

    @abstractmethod
    def draw(self, answers: np.ndarray, truth: np.ndarray, folder: Path) -> list[Path]:
        """Draw answers (N, names) against a truth (N, names), NaN where unknown."""

    @abstractmethod
    def lines(self, answers: np.ndarray) -> tuple[str, ...]:
        """Answers (names,) in words, a line each."""

    @abstractmethod
    def entry(self, name: int, answer: float) -> dict[str, Any]:
        """A row of the file of a prediction."""

    def column(self, name: int) -> str:
        """The column of a name's answers in a table of predictions, with its unit."""
        return f"{self.names[name]} ({unit})" if (unit := self._unit(name)) else self.names[name]

    def score(self, inferred: InferredViews, *, final: bool, folder: Path) -> list[dict[str, Any]]:  # noqa: ARG002 (rows have it all)
        """One row: case, patient where known, and for each name ``truth/<name>``, NaN where unknown, and the answer.

        Raises:
            DataError: the case has no annotation, though every case of the data set should have one.
        """
        case = inferred.case
        self.manner = view_note(cast(CaseEvaluationOptions, self.options), self.protocol, inferred.size)
        return [self.row({"case": case.id, **patient_column(case)}, case.target, inferred.answer)]

    def row(
        self,
        whose: Mapping[str, Any],
        target: Tensor | None,
        answer: Tensor,
        *,
        final: bool = True,  # noqa: ARG002 (the same for all)
    ) -> dict[str, Any]:
        """The row of a case or frame, see `score`; its first columns are `whose`."""
        row = dict(whose)
        for name, true, found in zip(self.names, self._truth(whose, target), answer.tolist(), strict=True):
            row |= {f"truth/{name}": true, f"{self.answer}/{name}": found}
        return row

    def answer_row(self, answer: Tensor) -> dict[str, Any]:
        """The answers for a case or frame as columns of a table of predictions."""
        return {self.column(name): found for name, found in enumerate(answer.tolist())}

    def numbers(self, answers: Tensor) -> np.ndarray:
        """Answers (..., names) as numbers."""
        return np.asarray(answers)

    def along(self, rows: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        """Answers and truth (N, names) of rows, NaN where unknown."""
        answers, truth, _ = self.arrays(rows)
        return answers, truth

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Summary:
        """Reduce the rows of all cases to the headline figures, and to those of each name."""
        answers, truth, cases = self.arrays(rows)
        found = self.found(answers, truth, cases)
        own, said = protocol_figures(self.protocol, lambda: (answers, truth))
        by_name = {f"{column}/{name}": value for column in self.shown for name, value in found.by_name[column].items()}
        return Summary(
            metrics={**own, **found.values, **by_name},
            table=figure_table(found, self.names, self.shown),
            notes=(self.manner, *said, *found.notes),
            better={**directions(found.figures), **own_directions(self.protocol)},
        )

    def figures(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        """Write all figures, and those of all names, with their intervals, and draw pictures of them unless off."""
        answers, truth, cases = self.arrays(rows)
        found = self.found(answers, truth, cases, resampling_of(rows, self.options))
        write_cases(figure_rows(found, self.names), folder / f"{self.table_of}.csv")
        write_figures(found, folder)
        if not (self.options.figures and rows):
            return []
        (folder / "figures").mkdir(exist_ok=True)
        return self.draw(answers, truth, folder / "figures")

    def write(self, inferred: InferredViews, folder: Path) -> Prediction:
        """Write the answers for a case, and a contact sheet below `PICTURES` unless off."""
        from medvid.evaluation.class_figures import draw_contact_sheet

        case, answers = inferred.case, inferred.answer.numpy()
        folder.mkdir(parents=True, exist_ok=True)
        rows = [self.entry(name, float(answer)) for name, answer in enumerate(answers)]
        files, lines = [write_cases(rows, folder / f"{file_name(case.id)}.csv")], self.lines(answers)
        if self.options.figures:
            picture = folder / PICTURES / f"{file_name(case.id)}.png"
            picture.parent.mkdir(exist_ok=True)
            files.append(draw_contact_sheet(case.thumbnails(THUMBNAILS), f"{case.id}: {lines[0].strip()}", picture))
        return Prediction(tuple(files), lines, self.answer_row(inferred.answer))

    def _truth(self, whose: Mapping[str, Any], target: Tensor | None) -> list[float]:
        if target is None:
            if not self.info.has_unknown:
                raise DataError(f"case {whose['case']} has no annotation", hint="evaluation needs one for each case")
            return [math.nan] * len(self.names)
        known: list[float] = target.double().where(is_known(target, self.info), math.nan).tolist()
        return known

    def arrays(self, rows: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Answers (N, names), truth (N, names), NaN where unknown, and the case of each row."""

        def of(kind: str) -> np.ndarray:
            columns = [f"{kind}/{name}" for name in self.names]
            return np.array([[row[column] for column in columns] for row in rows], np.float64).reshape(-1, len(columns))

        return of(self.answer), of("truth"), [row["case"] for row in rows]

    def _unit(self, name: int) -> str:
        return self.info.units[name] if self.info.units else ""
