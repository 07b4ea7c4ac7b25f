"""The table of a segmentation's figures, label by label."""

import math
from collections.abc import Sequence

from medvid.evaluation.aggregate import LabelSummary, State, mean
from medvid.plugin.events import Table

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


def label_table(summaries: Sequence[LabelSummary]) -> Table:
    """Headings, one line per label, and the mean over labels.

    Counts are cases: ``scored`` has the label in truth and prediction, ``missed`` in the truth only, ``false pos.``
    in the prediction only, ``absent`` in neither.
    """
    metrics = list(summaries[0].means) if summaries else []
    heading = ("label", *(HEADINGS[metric] for metric in metrics), *STATES.values())
    means = [_figure(metric, mean(summary.means[metric] for summary in summaries)) for metric in metrics]
    return (heading, *(_line(summary, metrics) for summary in summaries), ("mean", *means, *_counts(summaries)))


def _line(summary: LabelSummary, metrics: Sequence[str]) -> tuple[str, ...]:
    return (summary.label, *(_figure(metric, summary.means[metric]) for metric in metrics), *_counts([summary]))


def _counts(summaries: Sequence[LabelSummary]) -> list[str]:
    return [str(sum(summary.states[state] for summary in summaries)) for state in STATES]


def _figure(metric: str, value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.{2 if metric.startswith('hd95') else 3}f}"
