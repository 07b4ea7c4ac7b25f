"""Proposals of Optuna's samplers. Its study is made anew from the trials' own files each time, and is kept nowhere."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from medvid.errors import ConfigError
from medvid.studies.search.trials import Outcome
from medvid.studies.search_options import Interval, SearchOptions
from medvid.studies.states import State


def check_installed(method: str) -> None:
    """Refuse a method whose library is missing.

    Raises:
        ConfigError: with what to install.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"search.method {method} needs Optuna, which cannot be imported: {error}",
            hint="pip install 'medvid[search]', or set search.method to random or grid",
        ) from error


def suggest(options: SearchOptions, seed: int, number: int, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The values that a sampler proposes for the next trial.

    A trial that still runs counts as a bad one (constant liar), so that several workers do not try the same. One whose
    values are outside of the space, as the task's own can be, is not learnt from.

    Args:
        options: of the search; its method is tpe or gp.
        seed: of the sampler.
        number: of the trial.
        outcomes: of the trials so far.

    Raises:
        ConfigError: Optuna is not installed.
    """
    check_installed(options.method)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler = (
            optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
            if options.method == "tpe"
            else optuna.samplers.GPSampler(seed=seed)
        )
        study = optuna.create_study(sampler=sampler, direction="maximize")
        space = {key: _distribution(values) for key, values in options.space.items()}
        for outcome in outcomes:
            if outcome.trial.number != number and (known := _as_optuna(outcome, options, space)):
                study.add_trial(known)
        found = study.ask(space).params
    return {key: _value(options.space[key], found[key]) for key in options.space}


def _distribution(values: Interval | tuple[Any, ...]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Interval):
        return CategoricalDistribution(tuple(range(len(values))))  # choices can be lists and blocks
    if values.is_whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log, step=int(values.step or 1))
    return FloatDistribution(values.low, values.high, log=values.log, step=values.step)


def _value(values: Interval | tuple[Any, ...], found: Any) -> Any:
    return found if isinstance(values, Interval) else values[found]


def _as_optuna(outcome: Outcome, options: SearchOptions, space: Mapping[str, Any]) -> Any:
    """A trial as Optuna keeps it; None if there is nothing to learn from it."""
    import optuna

    if outcome.state == State.FAILED or (outcome.state == State.FINISHED and outcome.value is None):
        return None
    parameters = {}
    for key, values in options.space.items():
        given = outcome.trial.values.get(key)
        parameters[key] = given if isinstance(values, Interval) else _index(given, values)
        if not _is_inside(parameters[key], space[key]):
            return None
    states = {State.FINISHED: optuna.trial.TrialState.COMPLETE, State.PRUNED: optuna.trial.TrialState.PRUNED}
    return optuna.trial.create_trial(
        state=states.get(outcome.state, optuna.trial.TrialState.RUNNING),
        value=outcome.value,
        params=parameters,
        distributions=dict(space),
        intermediate_values=dict(enumerate(outcome.validations, start=1)),
    )


def _index(given: object, values: Sequence[Any]) -> int:
    return next((index for index, value in enumerate(values) if value == given), -1)


def _is_inside(value: Any, distribution: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (TypeError, ValueError):
        return False
