"""How label maps, a class per voxel or labels that may overlap, are scored case by case."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medvid.config.evaluation import VoxelEvaluationOptions
from medvid.data.dataset import SegmentationCase
from medvid.data.output import PICTURES, PROBABILITIES
from medvid.evaluation.evaluator import Prediction, Summary
from medvid.evaluation.inference.windows import InferredVoxels
from medvid.evaluation.metrics.aggregate import headline, per_label, state_notes, unknown_notes
from medvid.evaluation.metrics.figure import definitions, directions, occurring
from medvid.evaluation.metrics.groups import group_metrics, group_notes
from medvid.evaluation.metrics.label_table import label_table
from medvid.evaluation.patients import patient_metrics, patient_notes, patient_rows
from medvid.evaluation.pictures import Picture, make_picture
from medvid.evaluation.postprocessing import LargestComponents
from medvid.evaluation.protocols import LabelMapProtocol
from medvid.evaluation.report import file_name, write_cases
from medvid.evaluation.scoring.closing import group_column, patient_column
from medvid.plugin.info import UNKNOWN, TargetInfo


class LabelMapScorer:
    """Label maps, scored per case and foreground label as the protocol says.

    Every mean is taken per label over the cases in which the figure is defined, and then over labels.

    Args:
        options: the task's evaluation block.
        protocol: the figures.
        target_info: names of the labels; of classes, id 0 is the background and not scored.
    """

    monitor = "dice"
    scored = "case"
    """What has a row for each label."""

    def __init__(self, options: VoxelEvaluationOptions, protocol: LabelMapProtocol, target_info: TargetInfo) -> None:
        self._pictures, self._protocol, self._labels = options.figures, protocol, target_info.names
        steps = options.largest_component
        self._process = LargestComponents(() if steps == "if_better" else steps, target_info)  # chosen at the run's end
        self._shown = self._labels if target_info.what == "class" else ("", *self._labels)

    def score(self, inferred: InferredVoxels, *, final: bool, folder: Path) -> list[dict[str, Any]]:
        """Score one case; if final, by all figures of the protocol, and write its prediction and what pictures need.

        Returns:
            One row per foreground label: case, label, label_id, state (a `State`), voxels_true, voxels_predicted, dice
            and, if final, all figures of the protocol; also the patient and the groups where the case says them.
        """
        case = inferred.case
        scored = self._process(inferred.scored.labels())
        rows = self._rows(case, scored, final=final)
        if final:
            write_probabilities(inferred.case, _values(inferred), folder)
            native = scored if inferred.native is inferred.scored else self._process(inferred.native.labels())
            self._write(case, native, self._dice(case, scored, rows), folder)
        return rows

    def write(self, inferred: InferredVoxels, folder: Path) -> Prediction:
        """Write the labels of a case on the grid of its file, and a picture below `PICTURES` unless they are off."""
        case, prediction = inferred.case, self._process(inferred.native.labels())
        folder.mkdir(parents=True, exist_ok=True)
        files = [*case.write(prediction, folder), *write_probabilities(inferred.case, _values(inferred), folder)]
        if self._pictures:
            picture = _picture(case, prediction)
            files.append(self._draw(picture, folder / PICTURES))
        return Prediction(tuple(files))

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Summary:
        """Reduce the rows of all cases to each figure's mean, ``dice``, and its means by label, ``dice/<label>``.

        Likewise over the cases of each group, ``ED/dice``, and the agreement of figures of patients.
        """
        figures = occurring(self._protocol.figures, rows[0]) if rows else []
        summaries = per_label(rows, [figure.column for figure in figures])
        patients = patient_rows(rows, self._protocol.patients)
        metrics = {
            **headline(summaries),
            **group_metrics(rows, figures),
            **patient_metrics(patients, self._protocol.patients),
        }
        notes = (
            self._protocol.definition,
            f"means are over {self.scored}s, then over labels, background left out",
            *group_notes(rows, figures),
            *patient_notes(patients, self._protocol.patients),
            *definitions(figures),
            *state_notes(summaries, self._protocol.empty, self.scored),
            *unknown_notes(rows, self.scored),
        )
        return Summary(metrics, label_table(summaries, figures), notes, directions(figures))

    def figures(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        """Draw as many cases as the options ask for, spread evenly from the lowest to the highest mean Dice.

        Each says in its title which place it has. Of several cases also how the figures of each label spread. Figures
        of patients, if there are any, are written into patients.csv.
        """
        ranked = sorted((folder / "pictures").glob("*.npz"), key=lambda path: (Picture.load_mean_dice(path), path))
        chosen = np.linspace(0, len(ranked) - 1, min(self._pictures, len(ranked))).round().astype(int)
        files = [
            self._draw(Picture.load(ranked[index]), folder / "figures", _place(index, len(ranked)))
            for index in chosen.tolist()
        ]
        if patients := patient_rows(rows, self._protocol.patients):
            write_cases(patients, folder / "patients.csv")
        return [*files, *self._draw_spread(rows, folder / "figures")]

    def _rows(self, case: SegmentationCase, scored: np.ndarray, *, final: bool) -> list[dict[str, Any]]:
        """A row for each label."""
        about = patient_column(case) | group_column(case)
        return [
            {"case": case.id, **about, **row} for row in self._protocol.rows(case, scored, self._labels, final=final)
        ]

    def _dice(self, case: SegmentationCase, scored: np.ndarray, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """The Dice of each label, which pictures show even where regions are scored."""
        if self._protocol.regions:
            rows = replace(self._protocol, regions={}).rows(case, scored, self._labels, final=False)
        return [math.nan, *(row["dice"] for row in rows)]

    def _write(self, case: SegmentationCase, prediction: np.ndarray, dice: Sequence[float], folder: Path) -> None:
        """Write the prediction, and the few slices that `figures` draws once all cases are known."""
        (folder / "predictions").mkdir(parents=True, exist_ok=True)
        case.write(prediction, folder / "predictions")
        if self._pictures:
            picture = _picture(case, prediction, case.native_truth(), dice)
            (folder / "pictures").mkdir(exist_ok=True)
            picture.save(folder / "pictures" / f"{file_name(case.id)}.npz")

    def _draw_spread(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        from medvid.evaluation.boxes import draw_boxes

        if not self._pictures or len({row["case"] for row in rows}) < 2:
            return []
        folder.mkdir(parents=True, exist_ok=True)
        return [draw_boxes(rows, occurring(self._protocol.figures, rows[0]), folder / "box_plots.png")]

    def _draw(self, picture: Picture, folder: Path, reason: str = "") -> Path:
        from medvid.evaluation.figures import draw

        folder.mkdir(parents=True, exist_ok=True)
        return draw(picture, self._shown, folder / f"{file_name(picture.case)}.png", reason)


def write_probabilities(case: SegmentationCase, values: np.ndarray | None, folder: Path) -> tuple[Path, ...]:
    """Write the probabilities of a case into their folder, if they were asked for."""
    if values is None:
        return ()
    (folder / PROBABILITIES).mkdir(parents=True, exist_ok=True)
    return case.write_probabilities(values, folder / PROBABILITIES)


def _values(inferred: InferredVoxels) -> np.ndarray | None:
    return None if inferred.probabilities is None else inferred.probabilities.values()


def _picture(
    case: SegmentationCase, prediction: np.ndarray, truth: np.ndarray | None = None, dice: Sequence[float] = ()
) -> Picture:
    if prediction.ndim > len(case.grid.axes):
        order = _from_largest(prediction if truth is None else truth)
        prediction, truth = _drawn(prediction, order), None if truth is None else _drawn(truth, order)
    elif truth is not None and truth.dtype.kind == "i":
        truth = np.maximum(truth, UNKNOWN)  # what only some labels are said of is drawn like that
    return make_picture(
        case.id,
        case.grid,
        case.axes,
        image=case.native_input(),
        prediction=prediction,
        truth=truth,
        dice=dice,
        window=case.display_window,
    )


def _from_largest(labels: np.ndarray) -> Sequence[int]:
    """The order in which labels that overlap are drawn, so that none hides a smaller one."""
    return sorted(range(len(labels)), key=lambda number: -int((labels[number] > 0).sum()))


def _drawn(labels: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """One label map of labels that overlap, with ids from 1; unknown where one of them is."""
    drawn = np.where((labels == UNKNOWN).any(axis=0), UNKNOWN, 0).astype(np.int16)
    for number in order:
        drawn[labels[number] > 0] = number + 1
    return drawn


def _place(index: int, count: int) -> str:
    """Why a case is shown, by its place in the order of mean Dice."""
    names = {count // 2: "the median", count - 1: "the highest", 0: "the lowest"}
    if count == 1:
        return "the only case"
    return f"{names.get(index, f'number {index + 1} from below')} of {count} cases"
