"""Dice of all scored pixels together: the sum of the intersections over that of the sizes, from rows of label maps."""

from collections.abc import Mapping, Sequence
from typing import Any

from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.groups import by_group

POOLED = Figure(
    "dice_pooled",
    "pooled Dice",
    definition="pooled Dice is that of the pixels of all frames together, as EchoNet-Dynamic is scored",
    better="higher",
)
OF_VIDEOS = Figure(
    "dice_of_videos",
    "Dice of videos",
    definition="Dice of videos is that of the pixels of all frames of a video together, then the mean over videos",
    better="higher",
)
Rows = Sequence[Mapping[str, Any]]


def pooled_metrics(rows: Rows) -> dict[str, float]:
    """Both figures as means over labels, of each label, and the first of each group: ``ED/dice_pooled``."""
    by_case: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_case.setdefault(row["case"], []).append(row)
    pooled, videos = _by_label(rows), [_by_label(own) for own in by_case.values()]
    of_videos = {label: mean(one[label] for one in videos if label in one) for label in pooled}
    found: dict[str, float] = {}
    for figure, values in ((POOLED, pooled), (OF_VIDEOS, of_videos)):
        found |= {figure.column: mean(values.values())}
        found |= {f"{figure.column}/{label}": value for label, value in values.items()}
    for name, own in by_group(rows).items():
        found[f"{name}/{POOLED.column}"] = mean(_by_label(own).values())
    return found


def _by_label(rows: Rows) -> dict[str, float]:
    """The Dice of each label over all pixels of some rows; NaN where there are none."""
    known: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        known.setdefault(row["label"], [])
        if row["state"] != "unknown":
            known[row["label"]].append(row)
    return {label: _pooled(own) for label, own in known.items()}


def _pooled(rows: Rows) -> float:
    sizes = [row["voxels_true"] + row["voxels_predicted"] for row in rows]
    shared = sum(row["dice"] * size for row, size in zip(rows, sizes, strict=True) if size)
    return float(shared / sum(sizes)) if sum(sizes) else float("nan")
