"""Videos as a protocol's figures need them: the answers of all frames in order, from a row for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from medvid.data.framed import PLACES
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.intervals import Interval
from medvid.evaluation.metrics.target_figures import Resampling
from medvid.plugin.events import Table
from medvid.plugin.info import UNKNOWN


@dataclass(frozen=True, slots=True)
class Video:
    """The frames of a video, in order, that have a class.

    Args:
        name: of the video.
        truth: class of each frame (T,), from 0.
        prediction: likewise.
        unknown: how many further frames nobody has annotated; they are left out.
        rate: frames per second, of all frames; NaN where that is not known.
    """

    name: str
    truth: np.ndarray
    prediction: np.ndarray
    unknown: int
    rate: float

    @classmethod
    def of(cls, name: str, truth: np.ndarray, prediction: np.ndarray, times: Sequence[float] | None) -> Self:
        """A video from all its frames, of which some may be `UNKNOWN`; times are in seconds, if they are known."""
        known = truth != UNKNOWN
        rate = float("nan") if times is None else frame_rate(times)
        return cls(name, truth[known], prediction[known], int((~known).sum()), rate)


@dataclass(frozen=True, slots=True)
class VideoScores:
    """What a protocol says of videos.

    Args:
        rows: a row for each video.
        metrics: headline figures by name.
        intervals: of them, where they are asked for.
        table: for people; empty where that of the frames will do.
        notes: sentences that a reader has to know.
    """

    rows: Sequence[Mapping[str, Any]]
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]
    table: Table
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VideoFigures:
    """Figures of whole videos, of a class per frame, that a protocol has besides those of frames.

    Args:
        figures: columns, with the sentences that travel with them.
        of: from the videos, and how to resample them for intervals, to their scores.
        monitor: the column that chooses the best weights; higher is better.
    """

    figures: tuple[Figure, ...]
    of: Callable[[Sequence[Video], Resampling | None], VideoScores]
    monitor: str


def videos_of(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Video]:
    """The videos of rows with a class per frame.

    Args:
        rows: of the frames, those of a video in order: case, label_id, predicted, and where they lie.
        names: of the classes.
    """
    ids = {name: number for number, name in enumerate(names)}
    by_case: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_case.setdefault(row["case"], []).append(row)
    return [_video(case, own, ids) for case, own in by_case.items()]


def frame_rate(times: Sequence[float]) -> float:
    """Frames per second of times in seconds; NaN of fewer than two, and of times that do not rise."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return 1 / step if step > 0 else float("nan")


def _video(case: str, rows: Sequence[Mapping[str, Any]], ids: Mapping[str, int]) -> Video:
    time = PLACES["frame"]
    truth = np.array([row["label_id"] for row in rows])
    prediction = np.array([ids[row["predicted"]] for row in rows])
    return Video.of(case, truth, prediction, [row[time] for row in rows] if time in rows[0] else None)
