"""The table of a segmentation's figures, label by label."""

from collections.abc import Sequence

from medvid.evaluation.metrics.aggregate import LabelSummary, State, mean
from medvid.evaluation.metrics.figure import Figure
from medvid.plugin.events import Table

STATES: dict[State, str] = {
    "scored": "scored",
    "missed": "missed",
    "false positive": "false pos.",
    "absent": "absent",
}


def label_table(summaries: Sequence[LabelSummary], figures: Sequence[Figure]) -> Table:
    """Headings, one line per label, and the mean over labels.

    Counts are cases: ``scored`` has the label in truth and prediction, ``missed`` in the truth only, ``false pos.``
    in the prediction only, ``absent`` in neither.
    """
    heading = ("label", *(figure.heading for figure in figures), *STATES.values())
    means = [figure.text(mean(summary.means[figure.column] for summary in summaries)) for figure in figures]
    return (heading, *(_line(summary, figures) for summary in summaries), ("mean", *means, *_counts(summaries)))


def _line(summary: LabelSummary, figures: Sequence[Figure]) -> tuple[str, ...]:
    return (summary.label, *(figure.text(summary.means[figure.column]) for figure in figures), *_counts([summary]))


def _counts(summaries: Sequence[LabelSummary]) -> list[str]:
    return [str(sum(summary.states[state] for summary in summaries)) for state in STATES]
