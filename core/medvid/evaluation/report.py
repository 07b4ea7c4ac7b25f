"""Evaluation results for people: a CSV file of all cases and a table per label. Imports nothing heavy."""

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from medvid.evaluation.aggregate import LabelSummary, State, mean, per_label

HEADINGS = {
    "dice": "Dice",
    "iou": "IoU",
    "hd95_mm": "HD95 (mm)",
    "hd95_px": "HD95 (px)",
    "hd95_voxel": "HD95 (voxels)",
    "surface_dice": "surface Dice",
}
STATES: dict[State, str] = {
    "scored": "scored",
    "missed": "missed",
    "false positive": "false pos.",
    "absent": "absent",
}


def write_cases(rows: Iterable[Mapping[str, Any]], path: Path) -> Path:
    """Write one line per row; a figure that is not defined is an empty field.

    The file appears at once and complete, or not at all.
    """
    rows = list(rows)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: "" if _is_nan(value) else value for key, value in row.items()} for row in rows)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path


def per_label_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """The table of `label_lines` for the console."""
    heading, *lines, last = label_lines(rows)
    table = Table(show_footer=True)
    for column, (title, footer) in enumerate(zip(heading, last, strict=True)):
        table.add_column(title, footer, justify="left" if column == 0 else "right")
    for line in lines:
        table.add_row(*line)
    return table


def per_label_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table of `label_lines` as aligned plain text, for logs."""
    lines = label_lines(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def label_lines(rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Headings, one line per label, and the mean over labels, as text.

    Counts are cases: ``scored`` has the label in truth and prediction, ``missed`` in the truth only, ``false pos.``
    in the prediction only, ``absent`` in neither.
    """
    summaries = per_label(rows)
    metrics = list(summaries[0].means) if summaries else []
    heading = ["label", *(HEADINGS[metric] for metric in metrics), *STATES.values()]
    means = [_figure(metric, mean(summary.means[metric] for summary in summaries)) for metric in metrics]
    return [heading, *(_line(summary, metrics) for summary in summaries), ["mean", *means, *_counts(summaries)]]


def _line(summary: LabelSummary, metrics: Sequence[str]) -> list[str]:
    return [summary.label, *(_figure(metric, summary.means[metric]) for metric in metrics), *_counts([summary])]


def _counts(summaries: Sequence[LabelSummary]) -> list[str]:
    return [str(sum(summary.states[state] for summary in summaries)) for state in STATES]


def _figure(metric: str, value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.{2 if metric.startswith('hd95') else 3}f}"


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
