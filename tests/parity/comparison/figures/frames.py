"""Phases of surgery, and segments of actions: a class per frame, videos gt0, pred0, gt1, ..."""

import re
from collections.abc import Callable

import numpy as np

from comparison.figures.cases import Case, Rules
from medvid.evaluation.metrics import decisions, segments
from medvid.evaluation.metrics.phases import PhaseMeans, PhaseScores, phase_means, phase_scores, relaxed, relaxed_matlab
from medvid.evaluation.metrics.selfsupsurg import selfsupsurg_scores

PHASES = 7
Video = tuple[np.ndarray, np.ndarray]


def videos(case: Case) -> list[Video]:
    """Truth and prediction of each."""
    count = sum(name.startswith("gt") for name in case.arrays)
    return [(case[f"gt{number}"], case[f"pred{number}"]) for number in range(count)]


def _right(case: Case) -> Callable[[np.ndarray, np.ndarray], np.ndarray | None]:
    """What counts as right, by the name of the case: how wide the border is, and whether with the script's fault."""
    if found := re.fullmatch(r"relaxed_(intended|matlab)_(?:fps(\d+)_on_1fps|(\d+)s)", case.name):
        width = 10 * int(found[2]) if found[2] else int(found[3])
        rule = relaxed if found[1] == "intended" else relaxed_matlab
        return lambda truth, prediction: rule(truth, prediction, width)
    return lambda _truth, _prediction: None


def _scores(case: Case) -> list[PhaseScores]:
    if "selfsupsurg" in case.name:
        return [selfsupsurg_scores(*video, PHASES) for video in videos(case)]
    return [phase_scores(*video, PHASES, _right(case)(*video)) for video in videos(case)]


def _clipped(case: Case) -> list[PhaseScores]:
    return [score.clipped() for score in _scores(case)]


def _table(scores: list[PhaseScores], figure: str) -> list[np.ndarray]:
    return [getattr(score, figure) for score in scores]


def _means(case: Case, match: re.Match[str]) -> PhaseMeans:
    return phase_means(_table(_clipped(case), match["figure"]))


def _accuracies(case: Case) -> np.ndarray:
    return np.array([score.accuracy for score in _scores(case)])


def _mean(case: Case, figure: str) -> float:
    """SelfSupSurg's: over phases, then over videos."""
    if figure == "accuracy":
        return float(_accuracies(case).mean())
    return phase_means(_table(_scores(case), figure)).phases_then_videos


def _counts(case: Case) -> list[np.ndarray]:
    return [decisions.confusion(*video, PHASES) for video in videos(case)]


def _harmonic(case: Case) -> float:
    precision, recall = (
        phase_means(_table(_clipped(case), name)).videos_then_phases for name in ("precision", "recall")
    )
    return 2 * precision * recall / (precision + recall)


def _f1_in_truth(case: Case) -> np.ndarray:
    """0 where a phase of the truth is never predicted, NaN where it is not in the truth."""
    return np.array([np.where(counts.sum(axis=1) > 0, decisions.f1(counts), np.nan) for counts in _counts(case)]) * 100


def _macro(counts: np.ndarray, figure: str) -> float:
    """In percent over phases in truth or prediction, 0 where it is undefined, as scikit-learn has it."""
    jaccard = decisions.f1(counts) / (2 - decisions.f1(counts))
    of = {"precision": decisions.precision, "recall": decisions.recall, "f1": decisions.f1}
    values = jaccard if figure == "jaccard" else of[figure](counts)
    return 100 * float(np.nan_to_num(values)[(counts.sum(axis=0) + counts.sum(axis=1)) > 0].mean())


_FIGURE = r"(?P<figure>jaccard|precision|recall) > "
PHASE_RULES: Rules = {
    r"accuracy_per_video": lambda c, _: _accuracies(c),
    r"accuracy_mean": lambda c, _: _accuracies(c).mean(),
    r"accuracy_std_over_videos \(ddof 1\)": lambda c, _: _accuracies(c).std(ddof=1),
    _FIGURE + r"per_video_phase": lambda c, m: _table(_clipped(c), m["figure"]),
    _FIGURE + r"mean over videos, per phase": lambda c, m: _means(c, m).per_phase,
    _FIGURE + r"videos then phases": lambda c, m: _means(c, m).videos_then_phases,
    _FIGURE + r"std over phases \(ddof 1\)": lambda c, m: _means(c, m).sd_of_phases,
    _FIGURE + r"phases then videos": lambda c, m: _means(c, m).phases_then_videos,
    _FIGURE + r"std over videos \(ddof 1\)": lambda c, m: _means(c, m).sd_of_videos,
    _FIGURE + r"all pairs": lambda c, m: _means(c, m).all_pairs,
    r"before the clip at 100 > (\w+)": lambda c, m: _table(_scores(c), m[1]),
    r"f1 > per_video_phase F1 \(NaN if never predicted\)": lambda c, _: _table(_clipped(c), "f1"),
    r"f1 > videos then phases": lambda c, _: phase_means(_table(_clipped(c), "f1")).videos_then_phases,
    r"f1 > phases then videos": lambda c, _: phase_means(_table(_clipped(c), "f1")).phases_then_videos,
    r"f1 > harmonic mean of mean precision and mean recall": lambda c, _: _harmonic(c),
    r"f1 > per_video_phase F1 \(0 if never predicted.*": lambda c, _: _f1_in_truth(c),
    r"f1 > macro F1 per video, mean over videos \(0 if.*": lambda c, _: (
        phase_means([*_f1_in_truth(c)]).phases_then_videos
    ),
    r"f1 > macro F1 per video, mean over videos \(sklearn.*": lambda c, _: np.mean(
        [_macro(counts, "f1") for counts in _counts(c)]
    ),
    r"f1 > pooled frames macro F1.*": lambda c, _: 100 * np.nan_to_num(decisions.f1(sum(_counts(c)))).mean(),
    r"f1 > pooled frames accuracy": lambda c, _: 100 * decisions.accuracy(sum(_counts(c))),
    r"(precision|recall|jaccard)_per_video_phase": lambda c, m: _table(_scores(c), m[1]),
    r"mean > (\w+)": lambda c, m: _mean(c, m[1]),
    r"macro over phases in truth or prediction.* > (\w+)": lambda c, m: [_macro(counts, m[1]) for counts in _counts(c)],
    r"pooled over all frames > (\w+)": lambda c, m: _macro(sum(_counts(c)), m[1]),
}


def _background(case: Case) -> list[int]:
    return case.expected.get("background", [])


def _edits(case: Case) -> list[float]:
    return [segments.edit_score(*video, _background(case)) for video in videos(case)]


def _matches(case: Case, match: re.Match[str]) -> list[segments.SegmentCounts]:
    overlap = int(match["overlap"]) / 100
    return [segments.segment_counts(*video, overlap, _background(case)) for video in videos(case)]


def _pooled(case: Case, match: re.Match[str]) -> float:
    first, *rest = _matches(case, match)
    return sum(rest, start=first).f1


_F1 = r"f1@(?P<overlap>\d+) > "
SEGMENT_RULES: Rules = {
    r"edit_per_video": lambda c, _: _edits(c),
    r"edit_mean": lambda c, _: np.mean(_edits(c)),
    r"frame_accuracy_pooled": lambda c, _: (
        100 * np.mean(np.concatenate([truth == prediction for truth, prediction in videos(c)]))
    ),
    _F1 + r"tp fp fn per video": lambda c, m: [
        (of.true_positives, of.false_positives, of.false_negatives) for of in _matches(c, m)
    ],
    _F1 + r"dataset.*": _pooled,
    _F1 + r"mean of per-video F1": lambda c, m: np.mean([of.f1 for of in _matches(c, m)]),
}
FRAMES: Rules = {**PHASE_RULES, **SEGMENT_RULES}
