"""Confidence intervals: of proportions, and of any figure by resampling patients."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, ndtri

from medvid.seeding import derive_seed


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Args:
        low: its lower end.
        high: its upper end.
        level: how often such an interval holds the true value.
        undefined: number of resamples in which the figure was not defined, and which are left out.
        resamples: number of all of them; 0 where nothing was resampled.
    """

    low: float
    high: float
    level: float = 0.95
    undefined: int = 0
    resamples: int = 0


def wilson(successes: int, cases: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion; NaN without a case."""
    if not cases:
        return Interval(math.nan, math.nan, level)
    z, share = float(ndtri((1 + level) / 2)), successes / cases
    scale = 1 + z**2 / cases
    centre = (share + z**2 / (2 * cases)) / scale
    half = z * math.sqrt(share * (1 - share) / cases + z**2 / (4 * cases**2)) / scale
    return Interval(centre - half if successes else 0.0, centre + half if successes < cases else 1.0, level)


def clopper_pearson(successes: int, cases: int, level: float = 0.95) -> Interval:
    """The exact (conservative) interval of a proportion; NaN without a case."""
    if not cases:
        return Interval(math.nan, math.nan, level)
    tail, failures = (1 - level) / 2, cases - successes
    low = float(betaincinv(successes, failures + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
    return Interval(low, high, level)


def percentile(values: np.ndarray, level: float = 0.95) -> Interval:
    """The interval between two percentiles of resampled figures, linear between them; NaN ones are left out."""
    defined = values[~np.isnan(values)]
    tail = (1 - level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail]).tolist() if len(defined) else (math.nan, math.nan)
    return Interval(low, high, level, len(values) - len(defined), len(values))


def echonet_interval(values: np.ndarray) -> Interval:
    """EchoNet-Dynamic's 90 % interval of resampled figures: sorted[round(0.05 n)], sorted[round(0.95 n)]."""
    low, high = np.sort(values)[[round(0.05 * len(values)), round(0.95 * len(values))]].tolist()
    return Interval(low, high, 0.9, int(np.isnan(values).sum()), len(values))


def draw_patients(patients: np.ndarray, resamples: int, seed: int) -> Iterable[np.ndarray]:
    """Draw as many patients as there are, with replacement, and yield the indices of all their cases, again and again.

    Args:
        patients: of each case (N,), of any type.
        resamples: how often.
        seed: the same one draws the same patients.
    """
    names, owner, sizes = np.unique(patients, return_inverse=True, return_counts=True)
    cases = np.split(np.argsort(owner, kind="stable"), np.cumsum(sizes)[:-1])
    for number in range(resamples):
        random = np.random.default_rng(derive_seed(seed, "bootstrap", number))
        yield np.concatenate([cases[patient] for patient in random.integers(len(names), size=len(names))])


def bootstrap(
    figures: Callable[[np.ndarray], Mapping[str, float]], resamples: Iterable[np.ndarray]
) -> dict[str, np.ndarray]:
    """Compute figures on resamples of the cases.

    Args:
        figures: from indices of cases, which may repeat, to figures by name; NaN where not defined.
        resamples: indices of the cases of each, see `draw_patients`.

    Returns:
        Each figure's values, one per resample.
    """
    found = [figures(indices) for indices in resamples]
    return {name: np.array([one[name] for one in found]) for name in (found[0] if found else ())}
