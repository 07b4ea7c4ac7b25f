"""Statistics of figures of cases: intervals, spreads and paired tests. Pure functions of numbers, in double precision.

`figures` is (cases, names): the figure of each case and name (a label, a class, a value), NaN where it is not defined.
As everywhere in medvid, its mean is over cases first, for each name, and then over names. `groups` (cases,) says which
cases belong together, since scans of one patient are not independent: they are drawn, and change sides, together.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import stats

from medvid.evaluation.metrics.intervals import Interval, draw_patients, percentile
from medvid.seeding import derive_seed

RESAMPLES = 10_000
"""Of the bootstrap and of the permutation test; with up to 13 patients the test goes through all 2^n instead."""
POOLED_RESAMPLES = 1_000
"""The same, of figures that have to be computed anew for each resample."""
TestName = Literal["permutation", "wilcoxon"]

_ROUNDING = 1e-12
_AT_ONCE = 1 << 22
"""Counts of drawn patients that are held at once."""


def mean_figure(figures: np.ndarray) -> float:
    """The mean over cases, and then over names; NaN where there is none."""
    return float(_mean_over_names(np.nansum(figures, axis=0), (~np.isnan(figures)).sum(axis=0)))


def bootstrap_interval(
    figures: np.ndarray, groups: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> Interval:
    """The percentile interval of the mean figure, over patients drawn with replacement, all cases of each together.

    Args:
        figures: (cases, names).
        groups: (cases,) of any type.
        resamples: how often as many patients are drawn as there are.
        seed: the same one draws the same patients.
        level: how often such an interval holds the true value.

    Returns:
        NaN of a single patient, who says nothing of others.
    """
    names, owner = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return Interval(math.nan, math.nan, level)
    sums, counts = (_by_group(part, owner, len(names)) for part in (np.nan_to_num(figures), ~np.isnan(figures)))
    chunk, found = max(1, _AT_ONCE // len(names)), []
    for start in range(0, resamples, chunk):
        drawn = _drawn(len(names), min(chunk, resamples - start), derive_seed(seed, "bootstrap", start))
        found.append(_mean_over_names(drawn @ sums, drawn @ counts))
    return percentile(np.concatenate(found), level)


@lru_cache(maxsize=4)  # all figures of a study, and all its configurations, are of as many patients
def _drawn(patients: int, times: int, seed: int) -> np.ndarray:
    """How often each patient is drawn (times, patients), where as many are drawn as there are."""
    random = np.random.default_rng(seed)
    return random.multinomial(patients, np.full(patients, 1 / patients), size=times).astype(np.float64)


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of the mean of independent values, such as those of seeds; NaN for fewer than two."""
    if len(values) < 2:
        return Interval(math.nan, math.nan, level)
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * spread(values) / math.sqrt(len(values))
    centre = float(np.mean(values))
    return Interval(centre - half, centre + half, level)


def spread(values: Sequence[float]) -> float:
    """The standard deviation of values, with n - 1; NaN for fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two sets of figures of the same cases are apart.

    Args:
        mean: of one less the other.
        interval: of this mean.
        p: of no difference.
        higher: number of patients (or cases) in which one is higher, by its mean over them.
        lower: number in which it is lower.
        equal: number of ties.
        pairs: number of figures, of a case and name, that both have.
        left_out: number of those that only one of them has.
    """

    mean: float
    interval: Interval
    p: float
    higher: int
    lower: int
    equal: int
    pairs: int
    left_out: int

    @property
    def counted(self) -> int:
        """Number of patients (or cases) that have a difference of their own; 0 where there is one of all together."""
        return self.higher + self.lower + self.equal


def paired_difference(
    one: np.ndarray,
    other: np.ndarray,
    groups: np.ndarray,
    *,
    test: TestName = "permutation",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare the figures of two models on the same cases, where both have them.

    Args:
        one: (cases, names).
        other: likewise, in the same order.
        groups: (cases,).
        test: sign flips of the mean difference, or Wilcoxon's signed ranks of the patients' mean differences.
        resamples: of the interval, and of the permutation test.
        seed: of both.
    """
    differences = one - other
    shares, means = patient_shares(differences, groups), patient_means(differences, groups)
    means = means[~np.isnan(means)]
    return Difference(
        mean=mean_figure(differences),
        interval=bootstrap_interval(differences, groups, resamples=resamples, seed=seed),
        p=sign_flip_p(shares, resamples=resamples, seed=seed) if test == "permutation" else wilcoxon_p(means),
        higher=int((means > 0).sum()),
        lower=int((means < 0).sum()),
        equal=int((means == 0).sum()),
        pairs=int((~np.isnan(differences)).sum()),
        left_out=int((np.isnan(one) != np.isnan(other)).sum()),
    )


Pooled = Callable[[np.ndarray, np.ndarray], float]
"""A figure that is not a mean over cases, as AUROC: of the answers for these cases (N, K) and their truth (N, ...)."""


def pooled_draws(
    figure: Pooled,
    seeds: Sequence[np.ndarray],
    truth: np.ndarray,
    groups: np.ndarray,
    *,
    resamples: int = POOLED_RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """The mean over seeds of a figure of all answers together, on resampled patients: the same for all of a seed.

    Args:
        figure: from answers and truth.
        seeds: answers (N, K) of each seed.
        truth: (N, ...).
        groups: (N,).
        resamples: how often as many patients are drawn as there are.
        seed: of the draws.
    """
    return np.array(
        [
            pooled_mean(figure, [answers[drawn] for answers in seeds], truth[drawn])
            for drawn in draw_patients(groups, resamples, seed)
        ]
    )


def swap_p(
    figure: Pooled,
    one: Sequence[np.ndarray],
    other: Sequence[np.ndarray],
    truth: np.ndarray,
    groups: np.ndarray,
    *,
    resamples: int = POOLED_RESAMPLES,
    seed: int = 0,
) -> float:
    """As `sign_flip_p`, of a figure of all answers together: patients change sides with all their answers.

    NaN where the figure is not defined, and with different numbers of seeds, between which nothing can be swapped.
    """
    observed = abs(pooled_mean(figure, one, truth) - pooled_mean(figure, other, truth))
    if len(one) != len(other) or math.isnan(observed):
        return math.nan
    names, owner = np.unique(groups, return_inverse=True)
    random, as_far = np.random.default_rng(derive_seed(seed, "swaps")), 1  # the one that was observed
    for _ in range(resamples):
        stays = random.integers(2, size=len(names), dtype=bool)[owner][:, None]
        ours = [np.where(stays, mine, its) for mine, its in zip(one, other, strict=True)]
        theirs = [np.where(stays, its, mine) for mine, its in zip(one, other, strict=True)]
        difference = abs(pooled_mean(figure, ours, truth) - pooled_mean(figure, theirs, truth))
        as_far += not difference < observed * (1 - _ROUNDING)
    return as_far / (resamples + 1)


def pooled_mean(figure: Pooled, seeds: Sequence[np.ndarray], truth: np.ndarray) -> float:
    """The mean over seeds of a figure of their answers."""
    return float(np.mean([figure(answers, truth) for answers in seeds]))


def patient_shares(figures: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """What each patient (in sorted order) adds to the mean figure: their sum is `mean_figure`."""
    names, owner = np.unique(groups, return_inverse=True)
    counts = (~np.isnan(figures)).sum(axis=0)
    defined = counts > 0
    if not defined.any():
        return np.zeros(len(names))
    shares = np.nan_to_num(figures[:, defined]) / counts[defined] / defined.sum()
    return _by_group(shares.sum(axis=1, keepdims=True), owner, len(names))[:, 0]


def patient_means(figures: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The mean of each patient's figures (in sorted order), over names and then over cases; NaN without any."""
    names, owner = np.unique(groups, return_inverse=True)
    cases = _ratio(np.nansum(figures, axis=1), (~np.isnan(figures)).sum(axis=1))[:, None]
    sums, counts = (_by_group(part, owner, len(names)) for part in (np.nan_to_num(cases), ~np.isnan(cases)))
    return _ratio(sums, counts)[:, 0]


def sign_flip_p(shares: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """The two-sided p of a sum of differences that had either sign as likely: over all sign flips where they are few.

    1 where all differences but one are zero: it is as far from 0 with either sign.
    """
    shares = shares[shares != 0]
    if len(shares) < 2:
        return 1.0
    found = stats.permutation_test(
        (shares,),
        np.sum,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _AT_ONCE // len(shares)),
        rng=np.random.default_rng(derive_seed(seed, "sign flips")),
    )
    return float(found.pvalue)


def wilcoxon_p(differences: np.ndarray) -> float:
    """The two-sided p of Wilcoxon's signed ranks, without zeros; 1 where all are zero, or there are none."""
    differences = differences[differences != 0]
    return float(stats.wilcoxon(differences).pvalue) if len(differences) else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """Correct the p values of several tests by Holm's method; they keep their order.

    Source: Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    corrected, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = highest
    return corrected


def _mean_over_names(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over the last axis, of names, of sums by their counts; names without a count are left out."""
    return _ratio(np.nansum(_ratio(sums, counts), axis=-1), (counts > 0).sum(axis=-1))


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means of sums by their counts; NaN where there is nothing."""
    found: np.ndarray = np.divide(sums, counts, out=np.full(np.shape(counts), np.nan), where=counts > 0)
    return found


def _by_group(values: np.ndarray, owner: np.ndarray, groups: int) -> np.ndarray:
    """The sums (groups, names) of values (cases, names)."""
    sums = np.zeros((groups, values.shape[1]))
    np.add.at(sums, owner, values)
    return sums
