"""How answers with a class per case are scored, case by case."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import Tensor

from medvid.config.evaluation import AnswerEvaluationOptions, CaseEvaluationOptions
from medvid.data.dataset import ViewedCase
from medvid.data.output import PICTURES
from medvid.errors import DataError
from medvid.evaluation.evaluator import Prediction, Summary
from medvid.evaluation.inference.views import InferredViews
from medvid.evaluation.metrics.accuracy import (
    BETTER,
    SHOWN_CLASSES,
    accuracies,
    class_rows,
    class_table,
    known_rows,
    per_class,
    tie_notes,
    unknown_notes,
)
from medvid.evaluation.metrics.figure import directions
from medvid.evaluation.protocols import ViewProtocol
from medvid.evaluation.report import file_name, write_cases
from medvid.evaluation.scoring.class_probabilities import (
    SAID_OTHERWISE,
    arrays_of_rows,
    draw_curves,
    figures_of_rows,
    probability_columns,
)
from medvid.evaluation.scoring.closing import (
    own_directions,
    patient_column,
    protocol_figures,
    resampling_of,
    write_figures,
)
from medvid.evaluation.scoring.views import view_note
from medvid.plugin.info import UNKNOWN, TargetInfo

TOP = 5
"""Classes that are named for each case."""
THUMBNAILS = 8
"""Frames on a contact sheet."""


class ClassScorer:
    """A class per case, or frame: accuracies, the confusion matrix, and the hardest cases.

    Args:
        options: the task's evaluation block.
        protocol: how views were combined.
        target_info: names of the classes.
    """

    def __init__(self, options: AnswerEvaluationOptions, protocol: ViewProtocol, target_info: TargetInfo) -> None:
        self.options, self.protocol, self.names = options, protocol, target_info.names
        self._may_be_unknown = target_info.has_unknown
        self.monitor = protocol.figures.monitor if protocol.figures else "top1"
        self.counted, self.manner = "cases", ""  # what has an answer of its own, and how it was inferred
        self._hardest: list[tuple[float, ViewedCase, str]] = []  # probability of the true class, and a title

    def score(self, inferred: InferredViews, *, final: bool, folder: Path) -> list[dict[str, Any]]:  # noqa: ARG002 (rows have it all)
        """Score one case.

        Returns:
            One row: case, patient where known, label, label_id, predicted, probability (of the predicted class), rank
            (of the true one, from 1), ties (other classes as likely as the true one), probability_true and, if final,
            top5 in words and the `medvid.evaluation.scoring.class_probabilities.probability_columns`.

            Ties count against the model: the rank is the last of equals, and a true class that shares the first place
            was not predicted. Whoever gives all classes one score has told nothing apart.

            A case without a label, where that may be, has the first five columns alone, the label empty.

        Raises:
            DataError: the case has no label, though every case of the data set should have one.
        """
        case = inferred.case
        self.manner = view_note(cast(CaseEvaluationOptions, self.options), self.protocol, inferred.size)
        row = self.row({"case": case.id, **patient_column(case)}, case.target, inferred.answer, final=final)
        if final and row["label_id"] != UNKNOWN:
            self._keep_if_hard(row, case)
        return [row]

    def row(self, whose: Mapping[str, Any], target: Tensor | None, scores: Tensor, *, final: bool) -> dict[str, Any]:
        """The row of a case or frame, see `score`; its first columns are `whose`."""
        label = UNKNOWN if target is None else int(target)
        if label == UNKNOWN:
            return self._unknown_row(whose, scores)
        true = scores[label]
        rank = len(scores) - int((scores < true).sum())
        best = label if rank == 1 else _likeliest_but(label, scores)
        row: dict[str, Any] = {
            **whose,
            "label": self.names[label],
            "label_id": label,
            "predicted": self.names[best],
            "probability": float(scores[best].exp()),
            "rank": rank,
            "ties": int((scores == true).sum()) - 1,
            "probability_true": float(true.exp()),
        }
        if final or self.protocol.figures:
            row |= probability_columns(self.names, scores)
        if final:
            row["top5"] = "; ".join(f"{name} {value:.3f}" for name, value in self._top(scores))
        return row

    def answer_row(self, scores: Tensor) -> dict[str, Any]:
        """The answer for a case or frame as columns of a table of predictions."""
        return {"predicted": self._top(scores)[0][0], **dict(zip(self.names, scores.exp().tolist(), strict=True))}

    def numbers(self, scores: Tensor) -> np.ndarray:
        """The likeliest classes (N,) of answers (N, classes); of equals the first."""
        likeliest: np.ndarray = np.asarray(scores).argmax(axis=1)
        return likeliest

    def along(self, rows: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true classes (N,) of rows, `UNKNOWN` where there is none."""
        ids = {name: number for number, name in enumerate(self.names)}
        return np.array([ids[row["predicted"]] for row in rows]), np.array([row["label_id"] for row in rows])

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Summary:
        """Reduce the rows of all cases to accuracies, see `medvid.evaluation.metrics.accuracy.accuracies`.

        Rows with probabilities also give the headline figures of those, see `medvid.evaluation.metrics.of_classes`.
        """
        known = known_rows(rows)
        classes, found = per_class(known), figures_of_rows(known, self.names, ordered=self.options.ordered)
        others = {} if found is None else {key: found.values[key] for key in found.values if key not in SAID_OTHERWISE}
        own, said = protocol_figures(self.protocol, lambda: arrays_of_rows(known, self.names))
        notes = (*self._notes(classes), *said, *tie_notes(known, self.counted))
        unknown = unknown_notes(len(rows) - len(known), len(rows), self.counted)
        return Summary(
            metrics={**own, **accuracies(known, classes, len(self.names)), **others},
            table=class_table(classes, self.counted),
            notes=(*notes, *unknown, *(found.notes if found else ())),
            better={**directions(found.figures if found else ()), **own_directions(self.protocol), **BETTER},
        )

    def figures(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        """Write the figures of all classes, and draw the confusion matrix, curves, and sheets of the hardest cases.

        The hardest are those whose true class was thought least likely, of the cases that this process scored.
        """
        from medvid.evaluation.class_figures import draw_confusion, draw_contact_sheet

        rows = known_rows(rows)
        write_cases(class_rows(per_class(rows), self.counted), folder / "classes.csv")
        resampling = resampling_of(rows, self.options)
        found = figures_of_rows(
            rows, self.names, ordered=self.options.ordered, counted=self.counted, resampling=resampling
        )
        if found:
            write_figures(found, folder)
        if not (self.options.figures and rows):
            return []
        pictures = folder / "figures"
        pictures.mkdir(exist_ok=True)
        truth = np.array([row["label_id"] for row in rows])
        predicted = np.array([self.names.index(row["predicted"]) for row in rows])
        files = [draw_confusion(truth, predicted, self.names, pictures / "confusion.png")]
        if found:
            files += draw_curves(rows, self.names, pictures)
        for _, case, title in self._hardest:
            path = pictures / f"{file_name(case.id)}.png"
            files.append(draw_contact_sheet(case.thumbnails(THUMBNAILS), title, path))
        return files

    def write(self, inferred: InferredViews, folder: Path) -> Prediction:
        """Name the likeliest classes of a case, and write them, and a contact sheet below `PICTURES` unless off."""
        from medvid.evaluation.class_figures import draw_contact_sheet

        case, top = inferred.case, self._top(inferred.answer)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [{"rank": rank, "class": name, "probability": value} for rank, (name, value) in enumerate(top, start=1)]
        files = [write_cases(rows, folder / f"{file_name(case.id)}.csv")]
        if self.options.figures:
            title = f"{case.id}: {top[0][0]} ({top[0][1]:.2f})"
            picture = folder / PICTURES / f"{file_name(case.id)}.png"
            picture.parent.mkdir(exist_ok=True)
            files.append(draw_contact_sheet(case.thumbnails(THUMBNAILS), title, picture))
        lines = tuple(f"{value:6.1%}  {name}" for name, value in top)
        return Prediction(tuple(files), lines, self.answer_row(inferred.answer))

    def _unknown_row(self, whose: Mapping[str, Any], scores: Tensor) -> dict[str, Any]:
        if not self._may_be_unknown:
            raise DataError(f"case {whose['case']} has no label", hint="evaluation needs one for each case")
        (predicted, probability), *_ = self._top(scores)
        return {
            **whose,
            "label": "",
            "label_id": UNKNOWN,
            "predicted": predicted,
            "probability": probability,
        }

    def _top(self, scores: Tensor) -> list[tuple[str, float]]:
        values, indices = scores.sort(descending=True, stable=True)  # of equals, the first label first
        best = zip(indices[:TOP].tolist(), values[:TOP].exp().tolist(), strict=True)
        return [(self.names[index], value) for index, value in best]

    def _keep_if_hard(self, row: Mapping[str, Any], case: ViewedCase) -> None:
        probability = row["probability_true"]
        title = f"{case.id}: {row['label']} ({probability:.2f}), predicted {row['predicted']}"
        hardest = sorted([*self._hardest, (probability, case, title)], key=lambda item: item[0])
        self._hardest = hardest[: self.options.figures]

    def _notes(self, classes: Sequence[Any]) -> tuple[str, ...]:
        notes = [f"{self.manner}; accuracies count {self.counted}, mean_class is the mean over classes"]
        if len(classes) > SHOWN_CLASSES:
            notes.append(f"the table shows the {SHOWN_CLASSES} lowest of {len(classes)} classes; classes.csv has all")
        if missing := len(self.names) - len(classes):
            notes.append(
                f"{missing} of {len(self.names)} classes have no {self.counted.removesuffix('s')} in this split"
            )
        return tuple(notes)


def _likeliest_but(label: int, scores: Tensor) -> int:
    others = scores.clone()
    others[label] = -math.inf
    return int(others.argmax())
