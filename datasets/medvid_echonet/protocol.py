"""The figures of EchoNet-Dynamic (Ouyang et al., Nature 2020), beside medvid's MAE, RMSE and R2, which are its own.

As in its code: the answers for the clips of a video are averaged; videos are drawn with replacement, and an interval is
between sorted[round(0.05 n)] and sorted[round(0.95 n)] of the n figures; ROC curves of true fractions above 35, 40, 45
and 50 % are of the predicted fraction.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.intervals import Interval, echonet_interval
from medvid.evaluation.metrics.ranking import auroc
from medvid.evaluation.protocols import CaseFigures, ViewProtocol
from medvid.plugin.info import TargetInfo
from medvid.seeding import derive_seed
from medvid_echonet.protocol_config import EchoNetProtocolOptions

FIGURES = ("mae", "rmse", "r2")
"""Those that have intervals."""
FEWEST = 20
"""Resamples that an interval needs."""
_AT_ONCE = 1 << 20  # answers that are drawn at once


def echonet_protocol(options: EchoNetProtocolOptions, target_info: TargetInfo) -> ViewProtocol:
    """The mean over clips; R2 chooses the weights, where the authors take the loss: with MSE the order is the same."""
    measure = target_info.names.index(options.measure)
    of = partial(figures_of, measure=measure, options=options)
    figures = (*(_interval_figures() if options.resamples else ()), *_area_figures(options))
    return ViewProtocol("spread", "probabilities", target_info.what, CaseFigures(figures, of, monitor="r2"))


def figures_of(
    answers: np.ndarray, truth: np.ndarray, measure: int, options: EchoNetProtocolOptions
) -> dict[str, float]:
    """The ends of the intervals, and the areas under the ROC curves.

    Args:
        answers: (N, V).
        truth: (N, V), NaN where unknown.
        measure: which of the values is the ejection fraction.
        options: of the protocol.
    """
    known = ~np.isnan(truth[:, measure])
    true, predicted = truth[known, measure], answers[known, measure].astype(np.float64)
    areas = {_area(one): auroc(true > one, predicted) for one in options.thresholds}
    if not options.resamples:
        return areas
    found = intervals(true, predicted, options.resamples)
    ends = {f"{name}_{end}": getattr(one, end) for name, one in found.items() for end in ("low", "high")}
    return ends | areas


def intervals(truth: np.ndarray, prediction: np.ndarray, resamples: int) -> dict[str, Interval]:
    """The 90 % intervals of `FIGURES`; resamples in which R2 is not defined are left out of its interval."""
    random = np.random.default_rng(derive_seed(0, "echonet"))
    rows = max(_AT_ONCE // max(len(truth), 1), 1)
    parts = []
    for start in range(0, resamples if len(truth) else 0, rows):
        draws = random.integers(len(truth), size=(min(rows, resamples - start), len(truth)))
        parts.append(resampled(truth, prediction, draws))
    return {
        name: _interval(np.concatenate([part[name] for part in parts]) if parts else np.empty(0)) for name in FIGURES
    }


def resampled(truth: np.ndarray, prediction: np.ndarray, draws: np.ndarray) -> Mapping[str, np.ndarray]:
    """`FIGURES` of each resample (R,), of indices of videos (R, N)."""
    true, error = truth[draws], (prediction - truth)[draws]
    squared = (error**2).sum(axis=1)
    spread = ((true - true.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    varies = (true != true[:, :1]).any(axis=1)
    return {
        "mae": np.abs(error).mean(axis=1),
        "rmse": np.sqrt(squared / draws.shape[1]),
        "r2": 1 - np.divide(squared, spread, out=np.full(len(draws), np.nan), where=varies),
    }


def _interval(values: np.ndarray) -> Interval:
    defined = values[~np.isnan(values)]
    return echonet_interval(defined) if len(defined) >= FEWEST else Interval(np.nan, np.nan, 0.9)


def _interval_figures() -> list[Figure]:
    said = {
        "mae_low": "mae, rmse and r2 have 90 % intervals, _low to _high, as EchoNet-Dynamic finds them: between the "
        "figures of resampled videos at 5 and 95 % of their order"
    }
    return [
        Figure(f"{name}_{end}", f"{name.upper()} {end}", 3, said.get(f"{name}_{end}", ""))
        for name in FIGURES
        for end in ("low", "high")
    ]


def _area_figures(options: EchoNetProtocolOptions) -> list[Figure]:
    definition = (
        f"auroc_above_x is the area under the ROC curve of {options.measure} above x by the predicted one; not defined "
        "where all or no videos are above"
    )
    return [
        Figure(_area(one), f"AUROC > {one:g}", 3, definition if number == 0 else "", better="higher")
        for number, one in enumerate(options.thresholds)
    ]


def _area(threshold: float) -> str:
    return f"auroc_above_{threshold:g}"
