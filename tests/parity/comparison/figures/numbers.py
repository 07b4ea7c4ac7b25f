"""Predicted numbers: truth and prediction (N,), of clips also the video of each."""

import re
from collections.abc import Callable

import numpy as np

from comparison.figures.binary import ends, level
from comparison.figures.cases import Case, Rules
from medvid.evaluation.metrics import intervals, ranking, regression
from medvid.evaluation.metrics.of_values import figures_of_values

Pair = tuple[np.ndarray, np.ndarray]
FIGURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mae": regression.mean_absolute_error,
    "rmse": regression.root_mean_squared_error,
    "r2": regression.r2,
    "pearson": regression.pearson,
}


def _pair(case: Case, match: re.Match[str]) -> Pair:
    """Truth and prediction; of clips as the first key says they become one per video."""
    clips = match["clips"]
    if not clips:
        return case["truth"], case["prediction"]
    truth, video, prediction = case["truth"], case["clip_video"], case["clip_prediction"]
    if clips.startswith("all clips"):
        return truth, np.bincount(video, prediction) / np.bincount(video)
    if clips.startswith("one clip"):
        return truth, prediction[np.unique(video, return_index=True)[1]]
    return truth[video], prediction


def _r2_sklearn(truth: np.ndarray, prediction: np.ndarray) -> float:
    """0 for a constant truth, or 1 if it is met."""
    found = regression.r2(truth, prediction)
    if len(truth) < 2 or not np.isnan(found):
        return found
    return float((truth == prediction).all())


def _agreement(case: Case, match: re.Match[str]) -> regression.BlandAltman:
    return regression.bland_altman(*_pair(case, match))


def _bias_interval(case: Case, match: re.Match[str]) -> list[float]:
    found = _agreement(case, match)
    return [found.bias - found.bias_half_width, found.bias + found.bias_half_width]


def _above(case: Case, match: re.Match[str]) -> float:
    truth, prediction = _pair(case, match)
    return ranking.auroc(truth > float(match["threshold"]), prediction)


def _resampled(case: Case, match: re.Match[str]) -> np.ndarray:
    figure = FIGURES[match["figure"]]
    found = intervals.bootstrap(
        lambda drawn: {"figure": figure(case["truth"][drawn], case["prediction"][drawn])}, case["resample"]
    )
    return found["figure"]


def score_all(case: Case) -> object:
    """All figures, which refuses predictions that are not finite."""
    return figures_of_values(case["prediction"][:, None], case["truth"][:, None], ("value",), ("",))


_CLIPS = r"(?:(?P<clips>all clips.*|one clip.*|clips pooled.*) > )?"
NUMBERS: Rules = {
    _CLIPS + r"n": lambda c, m: len(_pair(c, m)[0]),
    _CLIPS + r"(?P<figure>mae|rmse|pearson)": lambda c, m: FIGURES[m["figure"]](*_pair(c, m)),
    _CLIPS + r"mse": lambda c, m: regression.mean_squared_error(*_pair(c, m)),
    _CLIPS + r"median_absolute_error": lambda c, m: regression.median_absolute_error(*_pair(c, m)),
    _CLIPS + r"r2\.sklearn": lambda c, m: _r2_sklearn(*_pair(c, m)),
    _CLIPS + r"r2 \(undefined.*\)": lambda c, m: regression.r2(*_pair(c, m)),
    _CLIPS + r"spearman": lambda c, m: regression.spearman(*_pair(c, m)),
    _CLIPS + r"pearson_squared": lambda c, m: regression.pearson(*_pair(c, m)) ** 2,
    _CLIPS + r"lin_concordance \(variances / n\)": lambda c, m: regression.concordance(*_pair(c, m)),
    _CLIPS + r"bias \(prediction - truth\)": lambda c, m: _agreement(c, m).bias,
    _CLIPS + r"sd_of_differences \(ddof 1\)": lambda c, m: _agreement(c, m).sd,
    _CLIPS + r"limits_of_agreement \(bias \+- 1\.96 sd\)": lambda c, m: _agreement(c, m).limits,
    _CLIPS + r"mape \(percent\)": lambda c, m: regression.mean_absolute_percentage_error(*_pair(c, m)),
    _CLIPS + r"bias_ci95": _bias_interval,
    _CLIPS + r"limits_ci95_half_width.*": lambda c, m: _agreement(c, m).limits_half_width,
    _CLIPS + r"icc_2_1.*": lambda c, m: regression.intraclass_correlation(*_pair(c, m))[0],
    _CLIPS + r"icc_3_1.*": lambda c, m: regression.intraclass_correlation(*_pair(c, m))[1],
    _CLIPS + r"auroc of truth > t by the prediction > (?P<threshold>[\d.]+)": _above,
}

RESAMPLED: Rules = {
    r"(?P<figure>\w+) > values": _resampled,
    r"(?P<figure>\w+) > undefined_resamples": lambda c, m: intervals.percentile(_resampled(c, m)).undefined,
    r"(?P<figure>\w+) > ci(?P<level>\d+)_percentile .*": lambda c, m: ends(
        intervals.percentile(_resampled(c, m), level(m))
    ),
    r"(?P<figure>\w+) > echonet rule.*": lambda c, m: ends(intervals.echonet_interval(_resampled(c, m))),
}
