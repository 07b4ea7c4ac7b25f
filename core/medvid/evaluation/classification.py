"""How whole inputs are classified and scored, case by case, each from several views."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from medvid.config.evaluation import ClassificationEvaluationOptions
from medvid.data.dataset import Case, ClassificationCase, Placement
from medvid.data.output import PICTURES
from medvid.errors import DataError
from medvid.evaluation.accuracy import SHOWN_CLASSES, accuracies, class_rows, class_table, per_class, tie_notes
from medvid.evaluation.report import file_name, write_cases
from medvid.models.head import Prediction, Summary
from medvid.plugin.info import InputInfo, TargetInfo

TOP = 5
"""Classes that are named for each case."""
THUMBNAILS = 8
"""Frames on a contact sheet."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How the views of a case become one answer.

    Args:
        placement: where the clips lie in time.
        average: what is averaged over the views.
    """

    placement: Placement
    average: str

    def combine(self, logits: Tensor) -> Tensor:
        """Reduce the logits of all views (V, labels) to log-probabilities (labels,).

        Unlike probabilities, those of unlikely classes are not rounded to one number.
        """
        if self.average == "logits":
            return logits.mean(dim=0).log_softmax(dim=0)
        return logits.log_softmax(dim=1).logsumexp(dim=0) - math.log(len(logits))


PROTOCOLS = {
    "medvid": Protocol("spread", "probabilities"),
    "slowfast": Protocol("spread", "probabilities"),
    "timesformer": Protocol("segments", "logits"),
}


@dataclass(frozen=True, slots=True)
class LoadedCase:
    """A case with its views (V, C, *S), as a loader process sends it."""

    case: ClassificationCase
    views: Tensor


class ClassificationEvaluator:
    """Multi-view inference: the answers of a case's views (clips x crops) are averaged as the protocol says.

    Args:
        options: the task's evaluation block.
        input_info: what the model was trained on.
        target_info: names of the labels.
    """

    monitor = "top1"
    loads_ahead = True  # decoding takes longer than a forward pass on a GPU

    def __init__(
        self, options: ClassificationEvaluationOptions, input_info: InputInfo, target_info: TargetInfo
    ) -> None:
        self._options = options
        self._protocol = PROTOCOLS[options.protocol]
        self._labels = target_info.labels
        self._size = input_info.size
        self._hardest: list[tuple[float, ClassificationCase, str]] = []

    def load(self, case: Case) -> LoadedCase:
        """Read the views of a case."""
        views = cast(ClassificationCase, case)  # the host pairs heads with data sets of the same task only
        return LoadedCase(views, views.views(self._options.clips, self._options.crops, self._protocol.placement))

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, loaded: LoadedCase, *, final: bool, folder: Path) -> list[dict[str, Any]]:  # noqa: ARG002 (rows have it all)
        """Score one case.

        Returns:
            One row: case, label, label_id, predicted, probability (of the predicted class), rank (of the true one,
            from 1), ties (other classes as likely as the true one), probability_true and, if final, top5 in words.

            Ties count against the model: the rank is the last of equals, and a true class that shares the first place
            was not predicted. Whoever gives all classes one score has told nothing apart.

        Raises:
            DataError: the case has no label.
        """
        case = loaded.case
        if case.label is None:
            raise DataError(f"case {case.id} has no label", hint="evaluation needs one for each case")
        scores = self._infer(model, loaded.views)
        true = scores[case.label]
        rank = len(scores) - int((scores < true).sum())
        best = case.label if rank == 1 else _likeliest_but(case.label, scores)
        row: dict[str, Any] = {
            "case": case.id,
            "label": self._labels[case.label],
            "label_id": case.label,
            "predicted": self._labels[best],
            "probability": float(scores[best].exp()),
            "rank": rank,
            "ties": int((scores == true).sum()) - 1,
            "probability_true": float(true.exp()),
        }
        if final:
            row["top5"] = "; ".join(f"{name} {value:.3f}" for name, value in self._top(scores))
            self._keep_if_hard(row["probability_true"], case, self._labels[best])
        return [row]

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Summary:
        """Reduce the rows of all cases to accuracies, see `medvid.evaluation.accuracy.accuracies`."""
        classes = per_class(rows)
        return Summary(
            metrics=accuracies(rows, classes, len(self._labels)),
            table=class_table(classes),
            notes=(*self._notes(classes), *tie_notes(rows)),
        )

    def figures(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        """Write the figures of all classes, and draw the confusion matrix and contact sheets of the hardest cases.

        The hardest are those whose true class was thought least likely, of the cases that this process scored.
        """
        from medvid.evaluation.class_figures import draw_confusion, draw_contact_sheet

        write_cases(class_rows(per_class(rows)), folder / "classes.csv")
        if not (self._options.figures and rows):
            return []
        pictures = folder / "figures"
        pictures.mkdir(exist_ok=True)
        truth = np.array([row["label_id"] for row in rows])
        predicted = np.array([self._labels.index(row["predicted"]) for row in rows])
        files = [draw_confusion(truth, predicted, self._labels, pictures / "confusion.png")]
        for probability, case, answer in self._hardest:
            title = f"{case.id}: {self._labels[cast(int, case.label)]} ({probability:.2f}), predicted {answer}"
            path = pictures / f"{file_name(case.id)}.png"
            files.append(draw_contact_sheet(case.thumbnails(THUMBNAILS), title, path))
        return files

    @torch.inference_mode()
    def predict(self, model: nn.Module, case: Case, folder: Path) -> Prediction:
        """Name the likeliest classes of a case, and write them, and a contact sheet below `PICTURES` unless off."""
        from medvid.evaluation.class_figures import draw_contact_sheet

        loaded = self.load(case)
        top = self._top(self._infer(model, loaded.views))
        folder.mkdir(parents=True, exist_ok=True)
        rows = [{"rank": rank, "class": name, "probability": value} for rank, (name, value) in enumerate(top, start=1)]
        files = [write_cases(rows, folder / f"{file_name(case.id)}.csv")]
        if self._options.figures:
            title = f"{case.id}: {top[0][0]} ({top[0][1]:.2f})"
            picture = folder / PICTURES / f"{file_name(case.id)}.png"
            picture.parent.mkdir(exist_ok=True)
            files.append(draw_contact_sheet(loaded.case.thumbnails(THUMBNAILS), title, picture))
        return Prediction(tuple(files), tuple(f"{value:6.1%}  {name}" for name, value in top))

    def _infer(self, model: nn.Module, views: Tensor) -> Tensor:
        """Log-probabilities (labels,) of a case on the CPU, from its views (V, C, *S)."""
        self._size = tuple(views.shape[2:])
        device = next(model.parameters()).device
        pieces = torch.split(views, self._options.window_batch)
        logits = torch.cat([model(piece.to(device, non_blocking=True)) for piece in pieces])
        return self._protocol.combine(logits.double()).cpu()

    def _top(self, scores: Tensor) -> list[tuple[str, float]]:
        values, indices = scores.sort(descending=True, stable=True)  # of equals, the first label first
        best = zip(indices[:TOP].tolist(), values[:TOP].exp().tolist(), strict=True)
        return [(self._labels[index], value) for index, value in best]

    def _keep_if_hard(self, probability: float, case: ClassificationCase, predicted: str) -> None:
        hardest = sorted([*self._hardest, (probability, case, predicted)], key=lambda item: item[0])
        self._hardest = hardest[: self._options.figures]

    def _notes(self, classes: Sequence[Any]) -> tuple[str, ...]:
        options, protocol = self._options, self._protocol
        size = " x ".join(map(str, self._size))
        notes = [
            f"protocol {options.protocol}: {options.clips} x {options.crops} views (clips x crops) of {size}, "
            f"mean of {protocol.average}; accuracies count cases, mean_class is the mean over classes"
        ]
        if len(classes) > SHOWN_CLASSES:
            notes.append(f"the table shows the {SHOWN_CLASSES} lowest of {len(classes)} classes; classes.csv has all")
        if missing := len(self._labels) - len(classes):
            notes.append(f"{missing} of {len(self._labels)} classes have no case in this split")
        return tuple(notes)


def _likeliest_but(label: int, scores: Tensor) -> int:
    others = scores.clone()
    others[label] = -math.inf
    return int(others.argmax())
