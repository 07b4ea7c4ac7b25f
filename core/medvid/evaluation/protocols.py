"""The published scoring procedures and ours: how scores become labels, and labels figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from medvid.data.dataset import SegmentationCase
from medvid.data.grid import Grid
from medvid.evaluation import metrics
from medvid.evaluation.aggregate import State
from medvid.evaluation.restore import Decision, NativeLabels, NearestLabels, PreparedLabels, best_label, thresholded

Distances = tuple[np.ndarray, np.ndarray]
Overlap = Callable[[np.ndarray], np.ndarray]
Collector = NativeLabels | PreparedLabels


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One procedure, from a model's scores to the figures of a case.

    Args:
        grid: the grid that is scored on: that of the file, or that of the prepared array.
        decide: how scores become labels.
        restore: how labels get to the grid of the file.
        overlap: figures per label from a confusion matrix, by column; one of them is ``dice``.
        validation: the Dice that weights are chosen by: by MedT's own, a model that finds nothing would win.
        hd95: the Hausdorff distance, from the distances between two surfaces; None scores no surfaces.
        surface_dice: score the surface Dice too.
        in_voxels: surfaces are measured in voxels, whatever the spacing.
        empty: what a case scores for a label that is not in both masks, where that needs saying.
        definitions: sentences that travel with the figures, those on surfaces last.
    """

    grid: Literal["native", "prepared"]
    decide: Decision = best_label
    restore: Callable[[Grid, Decision], Collector] = NativeLabels
    overlap: Mapping[str, Overlap]
    validation: Overlap = metrics.dice
    hd95: Callable[[Distances], float] | None
    surface_dice: bool = False
    in_voxels: bool = False
    empty: Mapping[State, str]
    definitions: tuple[str, ...]

    def native_labels(self, grid: Grid) -> Collector:
        """Collects the label map on the grid of the file."""
        return self.restore(grid, self.decide)

    def prepared_labels(self) -> PreparedLabels:
        """Collects the label map on the prepared grid."""
        return PreparedLabels(self.decide)

    def rows(
        self, case: SegmentationCase, prediction: np.ndarray, labels: Sequence[str], tolerance: float | None
    ) -> list[dict[str, Any]]:
        """Score a label map on `grid`, one row per foreground label.

        Args:
            case: the case.
            prediction: label ids.
            labels: name of each label id.
            tolerance: of the surface Dice, in mm, or pixels where there are none; None asks for `validation` alone.
        """
        truth = case.native_truth() if self.grid == "native" else case.prepared_truth()
        confusion = metrics.confusion_matrix(prediction, truth, len(labels))
        overlap = self.overlap if tolerance is not None else {"dice": self.validation}
        figures = {column: figure(confusion) for column, figure in overlap.items()}
        true, predicted = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
        rows: list[dict[str, Any]] = [
            {
                "case": case.id,
                "label": labels[label],
                "label_id": label,
                "state": _state(true[label], predicted[label]),
                **{column: float(values[label]) for column, values in figures.items()},
                "voxels_true": true[label],
                "voxels_predicted": predicted[label],
            }
            for label in range(1, len(labels))
        ]
        if self.hd95 and tolerance is not None:
            for row, distances in zip(rows, self._distances(case, prediction, truth, len(labels)), strict=True):
                row[f"hd95_{self._unit(case)}"] = self.hd95(distances)
                if self.surface_dice:
                    row["surface_dice"] = metrics.surface_dice(distances, tolerance)
        return rows

    def _distances(
        self, case: SegmentationCase, prediction: np.ndarray, truth: np.ndarray, labels: int
    ) -> list[Distances]:
        spacing = case.grid.native_spacing if self.grid == "native" else case.grid.prepared_spacing
        spacing = (1.0,) * truth.ndim if self.in_voxels else spacing
        points = (metrics.surface_points(label_map, labels, spacing) for label_map in (prediction, truth))
        return [metrics.surface_distances(predicted, true) for predicted, true in zip(*points, strict=True)]

    def _unit(self, case: SegmentationCase) -> str:
        """The unit of surface distances: only volumes have a physical size."""
        if self.in_voxels:
            return "voxel"
        return "mm" if case.layout == "volume" else "px"


def _state(voxels_true: int, voxels_predicted: int) -> State:
    if voxels_true:
        return "scored" if voxels_predicted else "missed"
    return "false positive" if voxels_predicted else "absent"


_UNDEFINED: Mapping[State, str] = {
    "missed": "Dice 0, HD95 undefined",
    "false positive": "Dice 0, HD95 undefined",
}
_SURFACES = (metrics.HD95_DEFINITION, metrics.SURFACE_DICE_DEFINITION)

PROTOCOLS: Mapping[str, Protocol] = {
    "medvid": Protocol(
        grid="native",
        overlap={"dice": metrics.dice},
        hd95=metrics.hd95,
        surface_dice=True,
        empty=_UNDEFINED,
        definitions=("scored on the grid of the files; a label in neither mask is left out of the means", *_SURFACES),
    ),
    # research-contributions, UNETR/BTCV/test.py and utils/utils.py: dice(). It leaves no Dice undefined, so the mean
    # over organs and then cases that the script takes equals ours over cases and then organs.
    "unetr": Protocol(
        grid="prepared",
        overlap={"dice": metrics.dice_unetr},
        validation=metrics.dice_unetr,
        hd95=metrics.hd95,
        surface_dice=True,
        empty={"absent": "Dice 0, HD95 undefined", **_UNDEFINED},
        definitions=(
            "scored on the prepared grid; a label that the truth does not have has Dice 0 (protocol unetr)",
            *_SURFACES,
        ),
    ),
    # TransUNet, utils.py: test_single_volume() and calculate_metric_percase().
    "transunet": Protocol(
        grid="native",
        restore=NearestLabels,
        overlap={"dice": metrics.dice_transunet},
        hd95=metrics.hd95_transunet,
        in_voxels=True,
        empty={"absent": "Dice 0, HD95 0", "missed": "Dice 0, HD95 0", "false positive": "Dice 1, HD95 0"},
        definitions=(
            "label maps of the model's size are enlarged by nearest neighbour to the grid of the files and scored "
            "there (protocol transunet)",
            f"{metrics.HD95_MEDPY_DEFINITION}; in voxels, whatever their spacing",
        ),
    ),
    # Medical-Transformer, test.py and its MATLAB script.
    "medt": Protocol(
        grid="prepared",
        decide=thresholded,
        overlap={"dice": metrics.dice_medt, "iou": metrics.iou_medt},
        hd95=None,
        empty=dict.fromkeys(get_args(State), "Dice 1, IoU 1"),
        definitions=(
            "scored at the size the model is fed; a pixel is foreground if its foreground logit is 0.5 or more, and "
            "an image without a correct foreground pixel has Dice 1 and IoU 1 (protocol medt); Dice is called F1 there",
        ),
    ),
}
"""By the name that `evaluation.protocol` gives them."""
