"""How the label maps of videos are scored: annotated frame by annotated frame."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.masked import MaskedVideo
from medvid.data.output import PICTURES
from medvid.evaluation.annotated_frames import AnnotatedFrame
from medvid.evaluation.evaluator import Prediction, Summary
from medvid.evaluation.inference.videos import InferredVideo
from medvid.evaluation.metrics.figure import definitions, directions
from medvid.evaluation.metrics.pooled_dice import OF_VIDEOS, POOLED, pooled_metrics
from medvid.evaluation.overlay import write_overlay
from medvid.evaluation.pictures import SLICES, Picture, Plane, display_window, make_picture
from medvid.evaluation.report import file_name
from medvid.evaluation.scoring.label_maps import LabelMapScorer, write_probabilities


class VideoMaskScorer(LabelMapScorer):
    """As `LabelMapScorer`, with a row for each annotated frame and foreground label, scored as an image.

    Means are over annotated frames; besides, there is the Dice of all their pixels together, see
    `medvid.evaluation.metrics.pooled_dice`.
    """

    scored = "frame"

    def score(self, inferred: InferredVideo, *, final: bool, folder: Path) -> list[dict[str, Any]]:  # type: ignore[override]
        """Score the annotated frames of a video; if final, write the label maps of all its frames.

        Returns:
            Rows as of `LabelMapScorer`, with frame, from 0, and time_s besides.
        """
        times, rows = inferred.case.times, []
        for frame, labels in inferred.frames():
            found = self._rows(frame, self._process(labels), final=final)
            place = {"frame": frame.number, "time_s": times[frame.number]}
            rows += [{"case": row["case"], **place, **row} for row in found]
        if final:
            (folder / "predictions").mkdir(parents=True, exist_ok=True)
            native = self._processed(inferred)
            inferred.case.write(native, folder / "predictions")
            write_probabilities(inferred.case, inferred.probabilities, folder)
            if self._pictures and inferred.scored:
                (folder / "pictures").mkdir(exist_ok=True)
                dice = [float("nan"), *self._dice_of_labels(rows)]
                _picture(inferred.case, native, dice).save(folder / "pictures" / f"{file_name(inferred.case.id)}.npz")
        return rows

    def write(self, inferred: InferredVideo, folder: Path) -> Prediction:  # type: ignore[override]
        """Write the label maps of a video, and a video with them drawn on it below `PICTURES` unless these are off."""
        case, native = inferred.case, self._processed(inferred)
        folder.mkdir(parents=True, exist_ok=True)
        files = [*case.write(native, folder), *write_probabilities(case, inferred.probabilities, folder)]
        if self._pictures:
            (folder / PICTURES).mkdir(exist_ok=True)
            path = folder / PICTURES / f"{file_name(case.id)}.mp4"
            files.append(write_overlay(path, case.pictures(range(case.frame_count)), native, case.times))
        return Prediction(tuple(files))

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Summary:
        """As `LabelMapScorer`, with figures of the pixels of several frames together."""
        summary, figures = super().summarise(rows), (POOLED, OF_VIDEOS)
        metrics = summary.metrics if not rows else {**summary.metrics, **pooled_metrics(rows)}
        frames = len({(row["case"], row["frame"]) for row in rows})
        notes = (
            f"{frames} annotated frames of {len({row['case'] for row in rows})} videos are scored, each as an image",
            *summary.notes,
            *(f"{one.heading} {one.text(metrics[one.column])}" for one in figures if one.column in metrics),
            *definitions(figures),
        )
        return replace(summary, metrics=metrics, notes=notes, better={**summary.better, **directions(figures)})

    def _processed(self, inferred: InferredVideo) -> np.ndarray:
        """The label maps of all frames, changed frame by frame where they lie."""
        assert inferred.native is not None, "asked for"
        for frame in inferred.native if self._process.steps else ():
            frame[...] = self._process(frame)
        return inferred.native

    def _dice_of_labels(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """The Dice of each label over the frames of one video."""
        metrics = pooled_metrics(rows)
        return [metrics.get(f"{OF_VIDEOS.column}/{label}", float("nan")) for label in self._labels[1:]]


def _picture(case: MaskedVideo, native: np.ndarray, dice: Sequence[float]) -> Picture:
    """A few of the annotated frames, spread evenly."""
    known = [*case.annotated]
    spread = np.linspace(0, len(known) - 1, min(SLICES, len(known))).round().astype(int)
    numbers = [known[place] for place in spread.tolist()]
    planes: list[Plane] = []
    for number, image in zip(numbers, case.pictures(numbers), strict=True):
        frame, truth = AnnotatedFrame(case, number), case.frame_truth(number)
        shown = make_picture(case.id, frame.grid, "image", image=image, prediction=native[number], truth=truth)
        planes += [replace(plane, name="frame", index=number) for plane in shown.planes]
    return Picture(case.id, tuple(planes), display_window(planes), tuple(dice))
