"""Figures of phases of each video, from the rows of their frames, so that videos can be compared as cases are."""

from collections.abc import Sequence

import numpy as np

from medvid.data.framed import PLACES
from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.phases import PhaseScores, phase_scores
from medvid.evaluation.videos import Video
from medvid.plugin.info import UNKNOWN
from medvid.studies.rows import Row

_PREFIX = "phase_"
_BY_VIDEO = "_by_video"


def figures_of_videos(rows: Sequence[Row], column: str) -> tuple[tuple[str, ...], tuple[str, ...], np.ndarray] | None:
    """The figures of videos that a metric of the protocols of phases is the mean of.

    Args:
        rows: of frames that have a class.
        column: of the metric, such as ``phase_jaccard``.

    Returns:
        Videos (N,), phases (M,), ("",) where the figure is of the video as a whole, and values (N, M), NaN where they
        are not defined. None where it is another metric; so are relaxed figures, and those of segments.
    """
    if not column.startswith(_PREFIX) or not any(place in rows[0] for place in PLACES):
        return None
    figure = column.removeprefix(_PREFIX).removesuffix(_BY_VIDEO)
    if figure not in ("accuracy", "precision", "recall", "jaccard", "f1"):
        return None
    names = _names(rows)
    videos = [video for video in _videos(rows, names) if len(video.truth)]
    scores = [phase_scores(video.truth, video.prediction, len(names)) for video in videos]
    keys = tuple(video.name for video in videos)
    if figure == "accuracy":
        return keys, ("",), np.array([[one.accuracy / 100] for one in scores]).reshape(-1, 1)
    values = np.array([_of(one, figure) for one in scores]).reshape(-1, len(names))
    if figure == "f1" or column.endswith(_BY_VIDEO):  # over phases first
        return keys, ("",), np.array([mean(row) for row in values.tolist()]).reshape(-1, 1)
    return keys, names, values


def _of(scores: PhaseScores, figure: str) -> np.ndarray:
    values: np.ndarray = (scores.f1_in_truth if figure == "f1" else getattr(scores, figure)) / 100
    return values


def _names(rows: Sequence[Row]) -> tuple[str, ...]:
    """The classes that occur, those of the truth in the order of their ids."""
    true = dict(sorted((int(row["label_id"]), row["label"]) for row in rows if int(row["label_id"]) != UNKNOWN))
    return tuple(dict.fromkeys([*true.values(), *(row["predicted"] for row in rows)]))


def _videos(rows: Sequence[Row], names: Sequence[str]) -> list[Video]:
    ids = {"": UNKNOWN, **{name: number for number, name in enumerate(names)}}
    frames: dict[str, list[Row]] = {}
    for row in rows:
        frames.setdefault(row["case"], []).append(row)
    return [
        Video.of(
            case, np.array([ids[row["label"]] for row in own]), np.array([ids[row["predicted"]] for row in own]), None
        )
        for case, own in frames.items()
    ]
