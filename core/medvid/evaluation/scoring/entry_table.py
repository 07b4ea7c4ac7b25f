"""The figures of labels or values by name, as a table for people and as rows of a file."""

from collections.abc import Sequence
from typing import Any

from medvid.evaluation.metrics.target_figures import TargetFigures
from medvid.plugin.events import Table

SHOWN = 30
"""Names up to which each has a line in the table."""


def figure_table(found: TargetFigures, names: Sequence[str], shown: Sequence[str]) -> Table:
    """A line for each name, and last the headline.

    Args:
        found: the figures.
        names: in order; of more than `SHOWN` the table has the first.
        shown: columns of the figures to show.
    """
    figures = [figure for figure in found.figures if figure.column in shown]
    counts = ((found.counted, found.known), *((("positive", found.positives),) if found.positives else ()))
    return (
        ("name", *(heading for heading, _ in counts), *(figure.heading for figure in figures)),
        *(
            (
                name,
                *(str(count[name]) for _, count in counts),
                *(figure.text(found.by_name[figure.column][name]) for figure in figures),
            )
            for name in names[:SHOWN]
        ),
        (
            "mean",
            *("" for _ in counts),
            *(figure.text(found.values[figure.column]) if figure.column in found.values else "" for figure in figures),
        ),
    )


def figure_rows(found: TargetFigures, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each name with all its figures, and the ends of their intervals where they were asked for."""
    rows = []
    for name in names:
        row: dict[str, Any] = {"name": name, found.counted: found.known[name]}
        if found.positives:
            row["positive"] = found.positives[name]
        for figure in found.figures:
            row[figure.column] = found.by_name[figure.column][name]
            if interval := found.intervals.get(f"{figure.column}/{name}"):
                row |= {f"{figure.column}_low": interval.low, f"{figure.column}_high": interval.high}
        rows.append(row)
    return rows
