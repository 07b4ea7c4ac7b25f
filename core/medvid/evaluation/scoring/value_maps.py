"""How maps of values are scored case by case."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medvid.config.evaluation import VoxelEvaluationOptions
from medvid.evaluation.evaluator import Prediction, Summary
from medvid.evaluation.inference.windows import InferredVoxels
from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.figure import definitions, directions
from medvid.evaluation.metrics.value_maps import FIGURES, R2, left_out, row_of, summarise
from medvid.evaluation.protocols import LabelMapProtocol
from medvid.evaluation.report import file_name
from medvid.evaluation.scoring.closing import patient_column
from medvid.evaluation.value_pictures import ValueSlice, draw
from medvid.plugin.events import Table
from medvid.plugin.info import TargetInfo


class ValueMapScorer:
    """Maps of values, scored per case and value over the voxels where it is known; R2 chooses the best weights.

    Args:
        options: the task's evaluation block.
        protocol: says on which grid.
        target_info: names and units of the values.
    """

    monitor = R2.column

    def __init__(self, options: VoxelEvaluationOptions, protocol: LabelMapProtocol, target_info: TargetInfo) -> None:
        self._pictures, self._definition, self._info = options.figures, protocol.definition, target_info

    def score(self, inferred: InferredVoxels, *, final: bool, folder: Path) -> list[dict[str, Any]]:
        """Score one case; if final, write its prediction, and the slice that pictures need.

        Returns:
            One row per value: case, value, unit, and what `medvid.evaluation.metrics.value_maps.row_of` returns; also
            the patient where the case says whose it is.
        """
        case, prediction, truth = inferred.case, inferred.native.labels(), inferred.case.native_truth()
        if final:
            (folder / "predictions").mkdir(parents=True, exist_ok=True)
            case.write(prediction, folder / "predictions")
        if final and self._pictures:
            (folder / "pictures").mkdir(exist_ok=True)
            ValueSlice.of(case, truth, prediction).save(_kept(case.id, folder))
        named = zip(self._info.names, self._info.units, prediction, truth, strict=True)
        return [
            {"case": case.id, **patient_column(case), "value": name, "unit": unit, **row_of(found, true)}
            for name, unit, found, true in named
        ]

    def write(self, inferred: InferredVoxels, folder: Path) -> Prediction:
        """Write the values of a case on the grid of its file."""
        folder.mkdir(parents=True, exist_ok=True)
        return Prediction(inferred.case.write(inferred.native.labels(), folder))

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Summary:
        """As `medvid.evaluation.metrics.value_maps.summarise`."""
        metrics = summarise(rows, self._info.names, self._info.units)
        notes = (self._definition, "means are over cases", *definitions((*FIGURES, R2)), *left_out(rows))
        return Summary(metrics, self._table(rows, metrics), notes, directions((*FIGURES, R2)))

    def figures(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        """Draw as many cases as the options ask for, spread evenly from the lowest to the highest MAE."""
        cases = list(dict.fromkeys(row["case"] for row in rows))
        errors = {case: mean(row["mae"] for row in rows if row["case"] == case) for case in cases}
        ranked = sorted((case for case in cases if not math.isnan(errors[case])), key=lambda case: errors[case])
        chosen = np.linspace(0, len(ranked) - 1, min(self._pictures, len(ranked))).round().astype(int).tolist()
        return [self._draw(ranked[index], f"number {index + 1} of {len(ranked)} by MAE", folder) for index in chosen]

    def _draw(self, case: str, reason: str, folder: Path) -> Path:
        shown, path = ValueSlice.load(_kept(case, folder)), folder / "figures" / f"{file_name(case)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        return draw(shown, self._info.names, self._info.units, path, reason)

    def _table(self, rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, float]) -> Table:
        """A line per value, and last the means over values; ``cases`` and ``voxels`` are those that count."""
        shown = (*FIGURES, R2)
        lines = []
        for name, unit in zip(self._info.names, self._info.units, strict=True):
            voxels = [row["voxels"] for row in rows if row["value"] == name]
            texts = (figure.text(metrics[f"{figure.column}/{name}"]) for figure in shown)
            lines.append((name, unit, *texts, str(sum(map(bool, voxels))), str(sum(voxels))))
        heading = ("value", "unit", *(figure.heading for figure in shown), "cases", "voxels")
        means = (figure.text(metrics[figure.column]) if figure.column in metrics else "" for figure in shown)
        return (heading, *lines, ("mean", "", *means, "", ""))


def _kept(case: str, folder: Path) -> Path:
    """Where the slice of a case is kept until all cases are scored."""
    return folder / "pictures" / f"{file_name(case)}.npz"
