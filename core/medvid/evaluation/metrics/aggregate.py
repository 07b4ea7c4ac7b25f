"""From rows per case and label to figures per label and to the headline: nothing but plain values, no torch.

Averages are taken over cases first, per label, and then over labels, so a label that occurs in few cases weighs as
much as the others.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["scored", "absent", "missed", "false positive", "unknown"]
"""Per case and label: in both masks, in none, in the truth only, in the prediction only; or nobody has annotated it."""


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """The figures of one label over all cases.

    Args:
        label: its name.
        means: mean over the cases in which a metric is defined, by metric; NaN where it is in none.
        defined: number of those cases, by metric.
        states: number of cases by `State`.
    """

    label: str
    means: Mapping[str, float]
    defined: Mapping[str, int]
    states: Counter[State]


def per_label(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> list[LabelSummary]:
    """Average the rows of all cases per label, in the order of label ids.

    Args:
        rows: of all cases.
        columns: those that are averaged.
    """
    columns = tuple(columns)
    by_id: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_id.setdefault(row["label_id"], []).append(row)
    return [_summarise(by_id[label_id], columns) for label_id in sorted(by_id)]


def _summarise(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> LabelSummary:
    figures = {column: [row[column] for row in rows] for column in columns}
    return LabelSummary(
        label=rows[0]["label"],
        means={metric: mean(values) for metric, values in figures.items()},
        defined={metric: sum(not math.isnan(value) for value in values) for metric, values in figures.items()},
        states=Counter(row["state"] for row in rows),
    )


def mean(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if there is none."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def headline(summaries: Sequence[LabelSummary]) -> dict[str, float]:
    """Per metric its mean over labels under its name, then each label's under ``"metric/label"``."""
    figures: dict[str, float] = {}
    for metric in summaries[0].means if summaries else ():
        figures[metric] = mean(summary.means[metric] for summary in summaries)
        figures |= {f"{metric}/{summary.label}": summary.means[metric] for summary in summaries}
    return figures


def undefined_notes(figures: Mapping[str, float]) -> list[str]:
    """A sentence on the headline figures that are not defined, if there are any."""
    names = [name for name, value in figures.items() if not math.isfinite(value)]
    return [f"not defined in any case, and null in files: {', '.join(names)}"] if names else []


def state_notes(summaries: Sequence[LabelSummary], scores: Mapping[State, str], scored: str = "case") -> list[str]:
    """Sentences on the (case, label) pairs with an empty mask or without any, naming the labels.

    Args:
        summaries: of all labels.
        scores: what such a pair scores, where that needs saying.
        scored: what has a row for each label: a case, or a frame of one.
    """
    sentences: dict[State, str] = {
        "absent": "in neither truth nor prediction",
        "missed": "in the truth but not predicted",
        "false positive": "predicted but not in the truth",
        "unknown": "not annotated and left out of all figures",
    }
    notes = []
    for state, sentence in sentences.items():
        counts = {summary.label: summary.states[state] for summary in summaries if summary.states[state]}
        if counts:
            score = f" ({scores[state]})" if state in scores else ""
            listing = ", ".join(f"{label} {count}" for label, count in counts.items())
            notes.append(f"{sum(counts.values())} ({scored}, label) pairs are {sentence}{score}: {listing}")
    return notes


def unknown_notes(rows: Iterable[Mapping[str, Any]], scored: str = "case") -> list[str]:
    """A sentence on the voxels that nobody has annotated, if there are any; `scored` as in `state_notes`."""
    counts = {(row["case"], row.get("frame")): row.get("voxels_unknown", 0) for row in rows}
    some = sum(count > 0 for count in counts.values())
    if not some:
        return []
    return [
        f"{sum(counts.values())} voxels in {some} of {len(counts)} {scored}s have no label and are left out of all "
        "figures"
    ]
