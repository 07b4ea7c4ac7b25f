"""Surgical phases, a class per frame: per video and phase, with or without a relaxed border.

The field's procedure (TMRNet's MATLAB, also Trans-SVNet and Surgformer). Figures are in percent. A phase that is not in
a video's truth is NaN there and left out of every mean, even if it was predicted. One that is in the truth but never
predicted has recall and Jaccard 0 and precision NaN, which is left out, too.

Report figures without a border first. Published ones with a border of 10 s are `relaxed_matlab`, whose script applies
what it finds at the end of a run to its start; `relaxed` is what its comments say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from medvid.config.phases import CHOLEC80, Allowance
from medvid.evaluation.metrics.aggregate import mean
from medvid.plugin.info import UNKNOWN


@dataclass(frozen=True, slots=True)
class PhaseScores:
    """The figures of a video, in percent.

    Args:
        accuracy: share of the frames that are right, or forgiven.
        jaccard: of each phase.
        precision: of each phase.
        recall: of each phase.
    """

    accuracy: float
    jaccard: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    def clipped(self) -> "PhaseScores":
        """At most 100, which frames that are forgiven to a phase can pass, as the script has it."""
        return PhaseScores(self.accuracy, *(scores.clip(None, 100) for scores in self._per_phase))

    @property
    def f1(self) -> np.ndarray:
        """2 P R / (P + R) of each phase; NaN where it is never predicted, or never right."""
        with np.errstate(invalid="ignore"):
            scores: np.ndarray = 2 * self.precision * self.recall / (self.precision + self.recall)
        return scores

    @property
    def f1_in_truth(self) -> np.ndarray:
        """As `f1`, but 0 for a phase of the truth that is never predicted, or never right."""
        return np.where(np.isnan(self.recall), np.nan, np.nan_to_num(self.f1))

    @property
    def _per_phase(self) -> tuple[np.ndarray, ...]:
        return self.jaccard, self.precision, self.recall


def phase_scores(
    truth: np.ndarray, prediction: np.ndarray, phases: int, right: np.ndarray | None = None
) -> PhaseScores:
    """Score a video.

    Args:
        truth: phase of each frame (T,), from 0; frames that are `UNKNOWN` count in nothing.
        prediction: likewise.
        phases: number of phases.
        right: frames that count as right (T,), see `relaxed` and `relaxed_matlab`; by default those that are.
    """
    known = truth != UNKNOWN
    right = (truth == prediction if right is None else right)[known]
    truth, prediction = truth[known], prediction[known]
    true, predicted = (np.arange(phases)[:, None] == frames for frames in (truth, prediction))
    hits = ((true | predicted) & right).sum(axis=1)
    hits = np.where(true.any(axis=1), hits, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [100 * hits / frames.sum(axis=1) for frames in (true | predicted, predicted, true)]
    return PhaseScores(100 * mean(right.tolist()), *shares)


def relaxed(truth: np.ndarray, prediction: np.ndarray, width: int, allowance: Allowance = CHOLEC80) -> np.ndarray:
    """Frames (T,) that are right, or late at the start of a run of the truth, or early at its end.

    Args:
        truth: phase of each frame (T,), from 0.
        prediction: likewise.
        width: of a border, in frames.
        allowance: what is forgiven.
    """
    right: np.ndarray = truth == prediction
    for phase, run in runs(truth):
        late, early = _forgiven(truth[run], prediction[run], phase, allowance)
        border = min(width, len(late))
        right[run][:border] |= late[:border]
        right[run][len(late) - border :] |= early[len(late) - border :]
    return right


def relaxed_matlab(
    truth: np.ndarray, prediction: np.ndarray, width: int, allowance: Allowance = CHOLEC80
) -> np.ndarray:
    """As `relaxed`, with the fault of the published script: what is early in the last frames is forgiven to the first.

    For comparison with published figures alone.
    """
    right: np.ndarray = truth == prediction
    for phase, run in runs(truth):
        late, early = _forgiven(truth[run], prediction[run], phase, allowance)
        border = min(width, len(late))
        right[run][:border] |= late[:border] | early[len(late) - border :]
    return right


def runs(frames: np.ndarray) -> list[tuple[int, slice]]:
    """Each stretch of frames (T,) of one phase, in order: the phase, and where it is."""
    edges = [0, *(np.flatnonzero(np.diff(frames)) + 1).tolist(), len(frames)]
    return [(int(frames[start]), slice(start, end)) for start, end in pairwise(edges) if end > start]


@dataclass(frozen=True, slots=True)
class PhaseMeans:
    """The means of a figure by video and phase, in the orders that papers take them in; NaN is left out of each.

    Args:
        per_phase: over videos, of each phase.
        videos_then_phases: mean of those, as the field's script has it.
        sd_of_phases: their standard deviation, over N - 1: its "+-".
        phases_then_videos: over phases in each video, then over videos.
        sd_of_videos: standard deviation of the videos' means, over N - 1.
        all_pairs: over all videos and phases at once.
    """

    per_phase: np.ndarray
    videos_then_phases: float
    sd_of_phases: float
    phases_then_videos: float
    sd_of_videos: float
    all_pairs: float


def phase_means(scores: Sequence[np.ndarray]) -> PhaseMeans:
    """Average a figure of each video (phases,) over videos and phases."""
    table = np.stack(scores)
    per_phase, per_video = (np.array([mean(row) for row in part.tolist()]) for part in (table.T, table))
    return PhaseMeans(
        per_phase=per_phase,
        videos_then_phases=mean(per_phase.tolist()),
        sd_of_phases=_deviation(per_phase),
        phases_then_videos=mean(per_video.tolist()),
        sd_of_videos=_deviation(per_video),
        all_pairs=mean(table.ravel().tolist()),
    )


def _deviation(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.std(ddof=1)) if len(defined) > 1 else float("nan")


def _forgiven(
    truth: np.ndarray, prediction: np.ndarray, phase: int, allowance: Allowance
) -> tuple[np.ndarray, np.ndarray]:
    """Frames that are late, and early, by no more than the phase's allowance."""
    difference = np.subtract(prediction, truth, dtype=np.int64)
    late = (difference < 0) & (difference >= -allowance.late[phase])
    early = (difference > 0) & (difference <= allowance.early[phase])
    return late, early
