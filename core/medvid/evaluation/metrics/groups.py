"""Means over the cases of a group, as those of end diastole, beside the means over all.

Rows name the groups of their case in the column `GROUPS`, one word each: a case may belong to several.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from medvid.evaluation.metrics.aggregate import headline, mean, per_label
from medvid.evaluation.metrics.figure import Figure

GROUPS = "groups"
Rows = Sequence[Mapping[str, Any]]


def by_group(rows: Rows) -> dict[str, Rows]:
    """The rows of each group, by its name; empty where rows name none."""
    names = sorted({name for row in rows for name in groups_of(row)})
    return {name: [row for row in rows if name in groups_of(row)] for name in names}


def groups_of(row: Mapping[str, Any]) -> list[str]:
    """The groups of a row's case."""
    return str(row.get(GROUPS, "")).split()


def group_metrics(rows: Rows, figures: Sequence[Figure]) -> dict[str, float]:
    """As `headline`, of each group, its name before that of the metric: ``ED/dice/left_ventricle``."""
    columns = [figure.column for figure in figures]
    return {
        f"{name}/{metric}": value
        for name, own in by_group(rows).items()
        for metric, value in headline(per_label(own, columns)).items()
    }


def group_notes(rows: Rows, figures: Sequence[Figure]) -> list[str]:
    """A sentence on each group: its number of cases, and its means over labels."""
    notes = []
    for name, own in by_group(rows).items():
        summaries = per_label(own, [figure.column for figure in figures])
        means = [
            f"{figure.heading} {figure.text(mean(one.means[figure.column] for one in summaries))}" for figure in figures
        ]
        notes.append(f"{name}, {len({row['case'] for row in own})} cases: {', '.join(means)}")
    return notes
