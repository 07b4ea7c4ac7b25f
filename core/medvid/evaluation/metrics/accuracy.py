"""Figures of classified cases: plain values, no torch. Accuracies count cases (micro), except the mean over classes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.figure import Better
from medvid.plugin.events import Table
from medvid.plugin.info import UNKNOWN

SHOWN_CLASSES = 30
"""Classes up to which each has a metric of its own and a line in the table; of more, the lowest have a line."""

BETTER: Mapping[str, Better] = {"top1": "higher", "top5": "higher", "mean_class": "higher"}
"""Which way the headline figures are better."""


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """The figures of one class.

    Args:
        label: its name.
        cases: number of cases that have it.
        correct: number of those that were given it.
        mistaken_for: the other class that they were given most often, or empty.
    """

    label: str
    cases: int
    correct: int
    mistaken_for: str

    @property
    def accuracy(self) -> float:
        """Share of its cases that were given it."""
        return self.correct / self.cases


def per_class(rows: Iterable[Mapping[str, Any]]) -> list[ClassSummary]:
    """Reduce the rows of all cases to those classes that have cases, in the order of label ids."""
    answers: dict[tuple[int, str], Counter[str]] = {}
    for row in rows:
        answers.setdefault((row["label_id"], row["label"]), Counter())[row["predicted"]] += 1
    summaries = []
    for (_, label), counts in sorted(answers.items()):
        others = [(count, name) for name, count in counts.items() if name != label]
        summaries.append(ClassSummary(label, counts.total(), counts[label], max(others)[1] if others else ""))
    return summaries


def class_rows(classes: Iterable[ClassSummary], counted: str = "cases") -> list[dict[str, Any]]:
    """The figures of the classes, one row each, for a file; `counted` are cases, or frames."""
    return [
        {"class": item.label, counted: item.cases, "top1": item.accuracy, "mistaken_for": item.mistaken_for}
        for item in classes
    ]


def accuracies(rows: Sequence[Mapping[str, Any]], classes: Sequence[ClassSummary], labels: int) -> dict[str, float]:
    """The headline figures: ``top1``, ``top5`` where there are more than five labels, ``mean_class``, ``top1/<class>``.

    Args:
        rows: of all cases.
        classes: the same by class.
        labels: number of labels of the data set.
    """
    figures = {"top1": mean(float(row["rank"] == 1) for row in rows)}
    if labels > 5:
        figures["top5"] = mean(float(row["rank"] <= 5) for row in rows)
    figures["mean_class"] = mean(summary.accuracy for summary in classes)
    if len(classes) <= SHOWN_CLASSES:
        figures |= {f"top1/{summary.label}": summary.accuracy for summary in classes}
    return figures


def class_table(classes: Sequence[ClassSummary], counted: str = "cases") -> Table:
    """One line per class with its cases (or frames), accuracy and most frequent mistake; the last line is about all."""
    shown = classes
    if len(classes) > SHOWN_CLASSES:
        shown = sorted(classes, key=lambda summary: summary.accuracy)[:SHOWN_CLASSES]
    cases, correct = sum(item.cases for item in classes), sum(item.correct for item in classes)
    return (
        ("class", counted, "correct", "top-1", "most often mistaken for"),
        *(
            (item.label, str(item.cases), str(item.correct), f"{item.accuracy:.3f}", item.mistaken_for)
            for item in shown
        ),
        ("all", str(cases), str(correct), f"{correct / cases:.3f}" if cases else "-", ""),
    )


def tie_notes(rows: Sequence[Mapping[str, Any]], counted: str = "cases") -> list[str]:
    """A sentence on the cases whose true class was as likely as others, if there are any."""
    tied = sum(row["ties"] > 0 for row in rows)
    if not tied:
        return []
    return [
        f"in {tied} of {len(rows)} {counted} the true class is exactly as likely as others, and ranked behind them; "
        "scores in bf16 are coarse, train.precision=fp32 gives finer ones"
    ]


def known_rows(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The rows of the cases that have a label."""
    return [row for row in rows if row["label_id"] != UNKNOWN]


def unknown_notes(unknown: int, cases: int, counted: str = "cases") -> list[str]:
    """A sentence on the cases without a label, if there are any."""
    return [f"{unknown} of {cases} {counted} have no label and are left out of all figures"] if unknown else []
