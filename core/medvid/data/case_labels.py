"""Which labels each case has, whatever it is annotated with: what folds are stratified by."""

from collections.abc import Sequence

import numpy as np

from medvid.data.dataset import Dataset, Progress
from medvid.data.problems import open_all
from medvid.plugin.info import TargetInfo

NONE = "none of them"
"""The label of a case that is annotated and has no other."""
QUARTERS = 4


def labels_of(dataset: Dataset, cases: Sequence[str], progress: Progress) -> dict[str, tuple[str, ...]]:
    """The labels of each case, or of any of its frames or voxels; of values the quarters in which their means lie.

    What nobody annotated counts as nothing.

    Args:
        dataset: the data set.
        cases: ids; with an annotation each.
        progress: called with (done, total).

    Raises:
        DataError: annotations cannot be read.
    """
    info = dataset.target_info
    found: dict[str, np.ndarray] = {}

    def read(case: str) -> None:
        annotation = dataset.annotation(case)
        found[case] = _present(annotation, info) if annotation is not None else np.zeros(0)

    open_all(read, cases, progress)
    if info.what == "value":
        return _quarters(found, cases, info)
    return {case: tuple(_names(info)[number] for number in found[case].tolist()) for case in cases}


def _names(info: TargetInfo) -> tuple[str, ...]:
    return (*info.names, NONE)


def _present(annotation: np.ndarray, info: TargetInfo) -> np.ndarray:
    """Numbers of the classes or labels that occur, (K,) int; of values their means (V,), NaN where none is known."""
    if info.what == "class":
        if info.where == "voxel":  # sorting all of them takes far longer
            present = np.array([number for number in range(1, len(info.names)) if (annotation == number).any()])
        else:
            ids = np.unique(annotation)
            present = ids[ids >= 0]
        return _or_none(present, annotation, info)
    by_name = annotation if info.where == "voxel" else np.moveaxis(annotation, -1, 0)
    flat = by_name.reshape(len(info.names), -1)
    if info.what == "labels":
        return _or_none(np.flatnonzero((flat == 1).any(axis=1)), annotation, info)
    known = ~np.isnan(flat)
    counts = known.sum(axis=1)
    sums = np.where(known, flat, 0).sum(axis=1, dtype=np.float64)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _or_none(present: np.ndarray, annotation: np.ndarray, info: TargetInfo) -> np.ndarray:
    if not len(present) and bool((annotation >= 0).any()):
        return np.array([len(info.names)])
    return present.astype(np.int64)


def _quarters(means: dict[str, np.ndarray], cases: Sequence[str], info: TargetInfo) -> dict[str, tuple[str, ...]]:
    labels: dict[str, list[str]] = {case: [] for case in cases}
    for number, name in enumerate(info.names):
        values = {case: float(means[case][number]) for case in cases if len(means[case])}
        values = {case: value for case, value in values.items() if not np.isnan(value)}
        edges = np.quantile([*values.values()], np.arange(1, QUARTERS) / QUARTERS) if values else ()
        for case, value in values.items():
            labels[case].append(f"{name} Q{1 + int(np.searchsorted(edges, value, side='left'))}")
    return {case: tuple(found) for case, found in labels.items()}
