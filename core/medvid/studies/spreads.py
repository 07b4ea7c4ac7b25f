"""The figures of a configuration: of the cases of all its folds together, and how far seeds and folds differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medvid.evaluation.metrics.intervals import Interval, percentile
from medvid.studies.figures import figures_of
from medvid.studies.pooled import answers_of
from medvid.studies.rows import Row
from medvid.studies.sides import Side
from medvid.studies.statistics import bootstrap_interval, mean_figure, pooled_draws, spread, t_interval
from medvid.studies.together import Finished

UNKNOWN = Interval(math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Spread:
    """A metric of a configuration over its finished cells.

    Args:
        value: of the cases of all folds together, never a mean over folds; of several seeds the mean. NaN where rows do
            not suffice for it.
        interval: of this value, over patients; not known of figures of all cases together unless asked for.
        by_seed: the value of each seed that has all folds.
        by_fold: the value of each fold, the mean over its seeds.
    """

    value: float
    interval: Interval
    by_seed: Mapping[int, float]
    by_fold: Mapping[int, float]

    @property
    def sd_seeds(self) -> float:
        """The standard deviation over seeds; NaN for fewer than two."""
        return spread([*self.by_seed.values()])

    @property
    def t_seeds(self) -> Interval:
        """Student's t interval over seeds, of what another seed would give on these cases."""
        return t_interval([*self.by_seed.values()])

    @property
    def sd_folds(self) -> float:
        """The standard deviation over folds; no interval follows from it, since folds share training cases."""
        return spread([*self.by_fold.values()])


def spread_of(
    side: Side, done: Sequence[Finished], folds: int, metric: str, owners: Mapping[str, str], *, draw: bool = False
) -> Spread:
    """A metric of a configuration.

    Args:
        side: the configuration.
        done: its finished cells.
        folds: number of folds of a seed; 0 or 1 where there are none.
        metric: one of its figures.
        owners: whose each case, or frame, is.
        draw: find the interval also of a figure of all cases together, which takes seconds.
    """
    seeds = [seed for seed in dict.fromkeys(one.cell.seed for one in done) if _count(done, seed) >= max(1, folds)]
    by_seed = {seed: value_of(side.rows[str(seed)], metric) for seed in seeds}
    by_fold = {
        fold: float(np.mean([value_of(one.rows, metric) for one in done if one.cell.fold == fold]))
        for fold in sorted({one.cell.fold for one in done if one.cell.fold is not None})
    }
    value, interval = _pooled(side, metric, owners, draw=draw)
    return Spread(value, interval, by_seed, by_fold)


def value_of(rows: Sequence[Row], metric: str) -> float:
    """A metric of these rows together; NaN where they do not suffice for it."""
    if (figures := figures_of(rows, metric)) is not None:
        return mean_figure(figures.values)
    answers = answers_of(rows, metric)
    return answers.figure(answers.answers, answers.truth) if answers else math.nan


def _pooled(side: Side, metric: str, owners: Mapping[str, str], *, draw: bool) -> tuple[float, Interval]:
    if (figures := side.figures(metric)) is not None:
        groups = np.array([owners[key] for key in figures.keys])
        return mean_figure(figures.values), bootstrap_interval(figures.values, groups)
    answers = side.answers(metric)
    if answers is None:
        return math.nan, UNKNOWN
    values = [one.figure(one.answers, one.truth) for one in answers]
    keys = answers[0].keys
    if not draw or any(set(one.keys) != set(keys) for one in answers):
        return float(np.mean(values)), UNKNOWN
    seeds = [one.at(keys) for one in answers]
    groups = np.array([owners[key] for key in keys])
    drawn = pooled_draws(seeds[0].figure, [one.answers for one in seeds], seeds[0].truth, groups)
    return float(np.mean(values)), percentile(drawn)


def _count(done: Sequence[Finished], seed: int) -> int:
    return sum(one.cell.seed == seed for one in done)
