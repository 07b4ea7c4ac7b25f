"""What the `search` block of a study may hold."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from medvid.config.options import Options

Method = Literal["grid", "random", "tpe", "gp"]


class Interval(Options):
    """Numbers from one limit to another, both included; whole ones if both limits, and the step, are written so."""

    low: int | float
    high: int | float
    log: bool = False
    """Whether a number and its double are as far apart everywhere, as suits learning rates."""
    step: Annotated[int | float, Field(gt=0)] | None = None
    """Distance between the numbers that are tried, counted from `low`; default: any number, or each whole one."""

    @property
    def is_whole(self) -> bool:
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))

    @model_validator(mode="after")
    def _is_interval(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low}, which should be less than high, {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low}, but only positive numbers have a logarithm")
        if self.log and self.step:
            raise ValueError("log and step cannot be combined: list the values instead")
        return self


Choices = Annotated[tuple[Any, ...], Field(min_length=1)]
"""Values of any kind, one of which is taken."""


class PruneOptions(Options):
    """When a trial is given up before its end, by its validations so far."""

    method: Literal["median", "halving"] = "median"
    """median: its best figure so far is worse than the median that the other trials had after as many validations.
    halving: it is not in the best third of the trials that have got as far, after 1, 3, 9, ... validations beyond
    `warmup_validations` (Li et al., MLSys 2020)."""
    warmup_validations: NonNegativeInt = 1
    """Validations before which no trial is given up."""
    startup_trials: NonNegativeInt = 4
    """Trials that are compared with, at least, for one to be given up."""


class ThenOptions(Options):
    """What the best trials are run for after the search, all folds and so many seeds each."""

    best: PositiveInt = 1
    """Number of trials."""
    seeds: PositiveInt = 1
    """Seeds of each, counted from that of the search."""


class SearchOptions(Options):
    """The search of a study. Trial 0 has the task's own values."""

    method: Method
    """grid: all combinations; random; tpe (tree-structured Parzen estimators) and gp (a Gaussian process), which need
    Optuna: pip install 'medvid[search]'."""
    trials: PositiveInt | None = None
    """Number of trials, the task's own values included; default: the whole grid."""
    metric: str | None = None
    """Figure of the closing evaluation that is searched for; default: the one by which runs choose their best
    weights."""
    direction: Literal["maximise", "minimise"] | None = None
    """Which way the metric is better; default: as the definition of the figure says, once a trial has finished."""
    space: Annotated[dict[str, Interval | Choices], Field(min_length=1)]
    """Options by dotted key, as for `--set`: {low, high, log, step}, or a list of values."""
    prune: PruneOptions | None = None
    """Give up trials that do badly; default: all are trained to their end."""
    then: ThenOptions | None = None
    """Run the best trials for all folds and several seeds; default: end with the search, of the first fold and seed."""

    @model_validator(mode="after")
    def _can_be_listed(self) -> Self:
        if self.method != "grid":
            if self.trials is None:
                raise ValueError(f"trials is missing: how many trials method {self.method} has")
            return self
        for key, values in self.space.items():
            if isinstance(values, Interval) and not values.is_whole and not values.step:
                raise ValueError(f"a grid needs a list of values for {key}, or a step")
        return self


def points(values: Interval | tuple[Any, ...]) -> list[Any]:
    """The values of an option in a grid."""
    if not isinstance(values, Interval):
        return list(values)
    step = values.step or 1
    count = math.floor((values.high - values.low) / step + 1e-9) + 1
    return [values.low + index * step for index in range(count)]
