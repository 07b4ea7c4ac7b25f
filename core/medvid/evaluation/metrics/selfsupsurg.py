"""SelfSupSurg's relaxed figures of surgical phases, for comparison with those it published; not figures to report.

Its script is a Python port of the field's (see `phases`) that is called with columns (T, 1), where the indices of true
entries are pairs (frame, 0). So a run of the truth begins at frame 0, and among the frames of a phase is frame 0, once
for each of them. Nothing is clipped.
"""

import numpy as np

from medvid.config.phases import CHOLEC80, Allowance
from medvid.evaluation.metrics.phases import PhaseScores, runs


def selfsupsurg_scores(
    truth: np.ndarray, prediction: np.ndarray, phases: int, width: int = 10, allowance: Allowance = CHOLEC80
) -> PhaseScores:
    """Score a video as SelfSupSurg does.

    Args:
        truth: phase of each frame (T,), from 0.
        prediction: likewise.
        phases: number of phases.
        width: of a border, in frames.
        allowance: what is forgiven.
    """
    right = _forgiving(truth, prediction, width, allowance)
    scores = np.array([_of_phase(truth == phase, prediction == phase, right) for phase in range(phases)])
    return PhaseScores(100 * float(right.mean()), *(100 * scores.T))


def _forgiving(truth: np.ndarray, prediction: np.ndarray, width: int, allowance: Allowance) -> np.ndarray:
    """Frames that count as right, where every run begins at frame 0; runs by phase, then in order."""
    difference: np.ndarray = np.subtract(prediction, truth, dtype=np.int64)
    for phase, run in sorted(runs(truth), key=lambda item: item[0]):
        frames = difference[: run.stop]
        start, end = frames[:width], frames[-width:]
        start[(start < 0) & (start >= -allowance.late[phase])] = 0
        end[(end > 0) & (end <= allowance.early[phase])] = 0
    right: np.ndarray = difference == 0
    return right


def _of_phase(true: np.ndarray, predicted: np.ndarray, right: np.ndarray) -> tuple[float, float, float]:
    """Jaccard, precision and recall, where frame 0 counts once more for each frame of the phase."""
    if not true.any():
        return np.nan, np.nan, np.nan
    hits = (predicted & right).sum() + predicted.sum() * right[0]
    union = true | predicted
    union[0] = True
    precision = hits / (2 * predicted.sum()) if predicted.any() else np.nan
    return hits / union.sum(), precision, hits / (2 * true.sum())
