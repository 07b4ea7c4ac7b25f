"""How segmentations are inferred and scored, case by case."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from medvid.config.evaluation import SegmentationEvaluationOptions
from medvid.data.dataset import Case, SegmentationCase
from medvid.data.output import PICTURES
from medvid.errors import ConfigError
from medvid.evaluation.aggregate import HD95_COLUMNS, headline, per_label, state_notes
from medvid.evaluation.label_table import label_table
from medvid.evaluation.protocols import PROTOCOLS, Collector
from medvid.evaluation.report import file_name
from medvid.evaluation.sliding_window import SliceWise, stream_scores
from medvid.evaluation.views import View, make_view
from medvid.models.head import Prediction, Summary
from medvid.plugin.info import InputInfo, TargetInfo


class SegmentationEvaluator:
    """Sliding-window inference, scored per case and foreground label by one of the `PROTOCOLS`.

    A model of images also labels volumes and stacks of images, slice by slice, and is scored on the whole of them.

    Every mean is taken per label over the cases in which the figure is defined, and then over labels.

    Args:
        options: the task's evaluation block.
        input_info: what the model was trained on; its size is the window.
        target_info: names of the labels; id 0 is the background and not scored.

    Raises:
        ConfigError: the protocol cannot score these labels.
    """

    monitor = "dice"
    loads_ahead = False  # what a case reads is too large to be sent between processes

    def __init__(self, options: SegmentationEvaluationOptions, input_info: InputInfo, target_info: TargetInfo) -> None:
        if options.protocol == "medt" and len(target_info.labels) != 2:
            raise ConfigError(
                f"evaluation.protocol is medt, which knows foreground and background only, but the data set has "
                f"{len(target_info.labels)} labels",
                hint="set evaluation.protocol: medvid",
            )
        self._options = options
        self._protocol = PROTOCOLS[options.protocol]
        self._window = input_info.size
        self._labels = target_info.labels

    def load(self, case: Case) -> Case:
        """The case itself, which reads its arrays when asked for them."""
        return case

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, loaded: Case, *, final: bool, folder: Path) -> list[dict[str, Any]]:
        """Score one case; if final, by all figures of the protocol, and write its prediction and what pictures need.

        Returns:
            One row per foreground label: case, label, label_id, state (see `medvid.evaluation.aggregate.State`),
            voxels_true, voxels_predicted, dice (and iou) and, if final, hd95_<unit> and surface_dice, as the protocol
            has them.
        """
        case = _segmentation(loaded)
        native = self._protocol.native_labels(case.grid)
        scored = native if self._protocol.grid == "native" else self._protocol.prepared_labels()
        self._infer(model, case, {scored, native} if final else {scored})
        tolerance = self._options.tolerance if final else None
        rows = self._protocol.rows(case, scored.labels(), self._labels, tolerance)
        if final:
            self._write(case, native.labels(), rows, folder)
        return rows

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Summary:
        """Reduce the rows of all cases to each figure's mean, ``dice``, and its means by label, ``dice/<label>``."""
        summaries = per_label(rows)
        figures = headline(summaries)
        notes = (*self._definitions(figures), *state_notes(summaries, self._protocol.empty))
        return Summary(metrics=figures, table=label_table(summaries), notes=notes)

    def figures(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:  # noqa: ARG002 (views have it all)
        """Draw as many cases as the options ask for, spread evenly from the lowest to the highest mean Dice.

        Each says in its title which place it has.
        """
        ranked = sorted((folder / "views").glob("*.npz"), key=lambda path: (View.load_mean_dice(path), path))
        chosen = np.linspace(0, len(ranked) - 1, min(self._options.figures, len(ranked))).round().astype(int)
        return [
            self._draw(View.load(ranked[index]), folder / "figures", _place(index, len(ranked)))
            for index in chosen.tolist()
        ]

    @torch.inference_mode()
    def predict(self, model: nn.Module, case: Case, folder: Path) -> Prediction:
        """Write the label map of a case on the grid of its file, and a picture below `PICTURES` unless they are off."""
        case = _segmentation(case)
        native = self._protocol.native_labels(case.grid)
        self._infer(model, case, {native})
        prediction = native.labels()
        folder.mkdir(parents=True, exist_ok=True)
        files = [case.write(prediction, folder)]
        if self._options.figures:
            view = _view(case, prediction)
            files.append(self._draw(view, folder / PICTURES))
        return Prediction(tuple(files))

    def _infer(self, model: nn.Module, case: SegmentationCase, collectors: Collection[Collector]) -> None:
        """Stream a case's scores to the collectors."""
        prepared, window = case.input(), self._window
        if prepared.ndim > 1 + len(window):
            model, window = SliceWise(model), (*window, 1)
        options = self._options
        for slab in stream_scores(
            model,
            prepared,
            window,
            overlap=options.overlap,
            blending=options.blending,
            window_batch=options.window_batch,
        ):
            for collector in collectors:
                collector.add(slab)

    def _write(
        self, case: SegmentationCase, prediction: np.ndarray, rows: Sequence[Mapping[str, Any]], folder: Path
    ) -> None:
        """Write the prediction, and the few slices that `figures` draws once all cases are known."""
        (folder / "predictions").mkdir(parents=True, exist_ok=True)
        case.write(prediction, folder / "predictions")
        if self._options.figures:
            view = _view(case, prediction, case.native_truth(), [math.nan, *(row["dice"] for row in rows)])
            (folder / "views").mkdir(exist_ok=True)
            view.save(folder / "views" / f"{file_name(case.id)}.npz")

    def _draw(self, view: View, folder: Path, reason: str = "") -> Path:
        from medvid.evaluation.figures import draw

        folder.mkdir(parents=True, exist_ok=True)
        return draw(view, self._labels, folder / f"{file_name(view.case)}.png", reason)

    def _definitions(self, figures: Mapping[str, float]) -> list[str]:
        """What a reader has to know of these figures, in the order in which they appear."""
        general, *surfaces = self._protocol.definitions
        notes = [general, "means are over cases, then over labels, background left out"]
        unit = next((name.removeprefix("hd95_") for name in figures if name in HD95_COLUMNS), None)
        if unit is not None:
            notes += surfaces
        if "surface_dice" in figures:
            notes[-1] += f"; the tolerance is {self._options.tolerance:g} {unit}"
        return notes


def _view(
    case: SegmentationCase, prediction: np.ndarray, truth: np.ndarray | None = None, dice: Sequence[float] = ()
) -> View:
    return make_view(
        case.id,
        case.grid,
        case.layout,
        image=case.native_input(),
        prediction=prediction,
        truth=truth,
        dice=dice,
        window=case.display_window,
    )


def _place(index: int, count: int) -> str:
    """Why a case is shown, by its place in the order of mean Dice."""
    names = {count // 2: "the median", count - 1: "the highest", 0: "the lowest"}
    if count == 1:
        return "the only case"
    return f"{names.get(index, f'number {index + 1} from below')} of {count} cases"


def _segmentation(case: Case) -> SegmentationCase:
    """The case as what it is: the host pairs heads with data sets of the same task only."""
    return cast(SegmentationCase, case)
