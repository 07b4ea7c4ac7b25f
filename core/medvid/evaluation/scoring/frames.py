"""How answers of frames of videos, or slices of volumes, are scored: each as that of a case, with a row of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from medvid.config.evaluation import FrameEvaluationOptions
from medvid.data.framed import PLACES
from medvid.data.output import PICTURES
from medvid.evaluation.evaluator import Prediction, Summary
from medvid.evaluation.inference.frames import InferredFrames
from medvid.evaluation.metrics.figure import definitions, directions
from medvid.evaluation.protocols import ViewProtocol
from medvid.evaluation.report import file_name, write_cases, write_rows
from medvid.evaluation.scoring.case_labels import LabelsScorer
from medvid.evaluation.scoring.case_values import ValueScorer
from medvid.evaluation.scoring.classes import ClassScorer
from medvid.evaluation.scoring.closing import patient_column, resampling_of, write_metrics
from medvid.evaluation.scoring.entries import EntryScorer
from medvid.evaluation.videos import videos_of
from medvid.plugin.info import UNKNOWN, TargetInfo
from medvid.plugin.specs import What

NAMED = 5
"""Names whose answers are said in words."""
_OF_CASES: Mapping[What, Callable[..., ClassScorer | EntryScorer]] = {
    "class": ClassScorer,
    "labels": LabelsScorer,
    "value": ValueScorer,
}


class FrameScorer:
    """Classes, labels or values per frame, by the scorer of cases: figures count frames.

    For their intervals patients are drawn, or cases where no patients are known, with all their frames.

    Args:
        options: the task's evaluation block.
        protocol: how windows were combined.
        target_info: the classes, labels or values.
    """

    def __init__(self, options: FrameEvaluationOptions, protocol: ViewProtocol, target_info: TargetInfo) -> None:
        self._options, self._info, self._videos = options, target_info, protocol.videos
        self._each = _OF_CASES[target_info.what](options, protocol, target_info)
        self._each.counted = "frames"
        self.monitor = protocol.videos.monitor if protocol.videos else self._each.monitor

    def score(self, inferred: InferredFrames, *, final: bool, folder: Path) -> list[dict[str, Any]]:  # noqa: ARG002 (rows have it all)
        """A row for each frame: case, patient where known, the frame's number and place, and the columns of a case.

        Raises:
            DataError: a frame has no annotation, though every frame of the data set should have one.
        """
        case, self._each.manner = inferred.case, inferred.manner
        targets = [None] * case.frame_count if case.target is None else [*case.target]
        whose = {"case": case.id, **patient_column(case)}
        return [
            self._each.row({**whose, **place}, target, answer, final=final)
            for place, target, answer in zip(_rows(case.places), targets, _one_by_one(inferred.answers), strict=True)
        ]

    def write(self, inferred: InferredFrames, folder: Path) -> Prediction:
        """Write a row for each frame, one by one, and draw the answers along them below `PICTURES` unless off."""
        case, answers = inferred.case, self._each.numbers(inferred.answers)
        folder.mkdir(parents=True, exist_ok=True)
        columns = [*case.places, *self._each.answer_row(inferred.answers[0])]
        rows = (
            {**place, **self._each.answer_row(answer)}
            for place, answer in zip(_rows(case.places), _one_by_one(inferred.answers), strict=True)
        )
        files = [table := write_rows(rows, columns, folder / f"{file_name(case.id)}.csv")]
        if self._options.figures:
            *_, (column, where) = case.places.items()
            files.append(self._draw(case.id, np.array(where), column, answers, None, folder / PICTURES))
        return Prediction(tuple(files), self._lines(answers, case.places), table=table)

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Summary:
        """Reduce the rows of all frames to figures, as those of cases, and to those that the protocol has of videos."""
        summary = self._each.summarise(rows)
        if self._videos is None:
            return summary
        scores = self._videos.of(videos_of(rows, self._info.names), None)
        return Summary(
            metrics={**scores.metrics, **summary.metrics},
            table=scores.table or summary.table,
            notes=(*scores.notes, *definitions(self._videos.figures), *summary.notes),
            better={**directions(self._videos.figures), **summary.better},
        )

    def figures(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        """Those of cases, and answers and truth along the frames of some cases, spread evenly over all.

        videos.csv has a row for each video where the protocol has figures of them, figures_of_videos.csv these.
        """
        if self._videos and rows:
            firsts = [*{row["case"]: row for row in reversed(rows)}.values()][::-1]
            scores = self._videos.of(videos_of(rows, self._info.names), resampling_of(firsts, self._options))
            write_cases(scores.rows, folder / "videos.csv")
            write_metrics(scores.metrics, scores.intervals, folder / "figures_of_videos.csv")
        files, by_case = self._each.figures(rows, folder), dict[str, list[Mapping[str, Any]]]()
        for row in rows:
            by_case.setdefault(row["case"], []).append(row)
        cases, count = [*by_case], min(self._options.figures, len(by_case))
        for number in np.linspace(0, len(cases) - 1, count).round().astype(int).tolist():
            own = by_case[cases[number]]
            column = next(place for place in PLACES.values() if place in own[0])
            where = np.array([row[column] for row in own])
            files.append(self._draw(cases[number], where, column, *self._each.along(own), folder / "figures"))
        if self._info.what == "class" and count:
            files += self._draw_mistakes(rows, folder / "figures")
        return files

    def _draw(
        self,
        case: str,
        where: np.ndarray,
        column: str,
        answers: np.ndarray,
        truth: np.ndarray | None,
        folder: Path,
    ) -> Path:
        from medvid.evaluation.along import Cells
        from medvid.evaluation.frame_figures import draw_timelines, draw_values
        from medvid.evaluation.phase_figures import draw_ribbon

        folder.mkdir(exist_ok=True)
        cells, path, names = Cells.of(where, column), folder / f"{file_name(case)}.png", self._info.names
        if self._info.what == "class":
            return draw_ribbon(cells, answers, truth, names, case + _right(answers, truth), path)
        if self._info.what == "labels":
            return draw_timelines(cells, answers, truth, names, case, path)
        units = dict(zip(names, self._info.units, strict=True))
        return draw_values(cells, where, answers, truth, units, case, path)

    def _draw_mistakes(self, rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
        from medvid.evaluation.phase_figures import draw_mistakes

        videos = [video for video in videos_of(rows, self._info.names) if len(video.truth)]
        return [draw_mistakes(videos, self._info.names, folder / "mistakes_along_runs.png")] if videos else []

    def _lines(self, answers: np.ndarray, places: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
        """What was found most often, or at most, of the names for which that is most."""
        (column, numbers), *_ = places.items()
        names, is_class = self._info.names, self._info.what == "class"
        most = np.bincount(answers, minlength=len(names)) if is_class else answers.max(axis=0)
        lines = []
        for name in np.argsort(-most, kind="stable")[:NAMED].tolist():
            of, words = answers == name if is_class else answers[:, name], names[name]
            place = f"{column} {numbers[int(of.argmax())]}"
            if is_class:
                lines += [f"{of.mean():6.1%}  {words}, first at {place}"] if most[name] else []
            elif self._info.what == "value":
                lines.append(f"{of.min():.4g} to {of.max():.4g} {self._info.units[name]}  {words}, most at {place}")
            else:
                lines.append(f"{of.max():6.1%}  {words}, at {place}; above 50% in {(of > 0.5).sum()} of {len(of)}")
        return tuple(lines)


def _right(answers: np.ndarray, truth: np.ndarray | None) -> str:
    """The share of right frames, for a title; nothing where no frame has a class."""
    known = truth is not None and truth != UNKNOWN
    return f": {(answers == truth)[known].mean():.1%} of frames right" if np.any(known) else ""


def _one_by_one(answers: Tensor) -> Iterator[Tensor]:
    """The answer of each frame; as tensors of their own they take far more memory than together."""
    for start in range(0, len(answers), 1024):
        yield from answers[start : start + 1024]


def _rows(places: Mapping[str, Sequence[float]]) -> Iterator[dict[str, float]]:
    for row in zip(*places.values(), strict=True):
        yield dict(zip(places, row, strict=True))
