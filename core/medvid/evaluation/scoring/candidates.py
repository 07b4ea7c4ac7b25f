"""The Dice of predictions with and without the steps of a post-processing, from which it is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from medvid.config.evaluation import ALL, VoxelEvaluationOptions
from medvid.data.dataset import SegmentationCase
from medvid.evaluation.inference.videos import InferredVideo
from medvid.evaluation.inference.windows import InferredVoxels
from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.postprocessing import Dice, LargestComponents, Steps
from medvid.evaluation.protocols import LabelMapProtocol
from medvid.evaluation.scoring.label_maps import LabelMapScorer
from medvid.plugin.info import TargetInfo


class CandidateScorer(LabelMapScorer):
    """Scores a case four times: with and without the step of all labels, and then with and without that of each label.

    That is enough to know the Dice after any steps, as the step of a label changes no Dice but its own.

    Args:
        options: the task's evaluation block.
        protocol: says how Dice is computed; of labels, also where it scores regions of them.
        target_info: names of the labels.
    """

    def __init__(self, options: VoxelEvaluationOptions, protocol: LabelMapProtocol, target_info: TargetInfo) -> None:
        super().__init__(options.model_copy(update={"largest_component": ()}), protocol, target_info)
        self._by_label, self._target = replace(protocol, regions={}), target_info
        self.names = foreground(target_info)

    def score(self, inferred: InferredVoxels | InferredVideo, *, final: bool, folder: Path) -> list[dict[str, Any]]:  # noqa: ARG002
        """Rows per label and candidate, of a video for each annotated frame: case, label, all, own and dice."""
        if isinstance(inferred, InferredVideo):
            return [row for frame, labels in inferred.frames() for row in self._candidates(frame, labels)]
        return self._candidates(inferred.case, inferred.scored.labels())

    def _candidates(self, case: SegmentationCase, prediction: np.ndarray) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        seen: list[tuple[np.ndarray, list[dict[str, Any]]]] = []  # most candidates are as others, and need no scoring
        for together, own in product((False, True), repeat=2):
            steps = (*((ALL,) if together else ()), *(self.names if own else ()))
            candidate = LargestComponents(steps, self._target)(prediction)
            rows = next((rows for other, rows in seen if np.array_equal(other, candidate)), None)
            if rows is None:
                rows = self._by_label.rows(case, candidate, self._labels, final=False)
                seen.append((candidate, rows))
            found += [
                {key: row[key] for key in ("case", "label", "dice")} | {"all": together, "own": own} for row in rows
            ]
        return found


def foreground(target_info: TargetInfo) -> tuple[str, ...]:
    """The names of the labels that are predicted, without the background of classes."""
    return target_info.names[1:] if target_info.what == "class" else target_info.names


def dice_after(steps: Steps, rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Dice:
    """The mean Dice of each label after some steps, from the rows of all cases."""
    values: dict[str, list[float]] = {label: [] for label in labels}
    for row in rows:
        if row["all"] == (ALL in steps) and row["own"] == (row["label"] in steps):
            values[row["label"]].append(row["dice"])
    return {label: mean(dice) for label, dice in values.items()}
