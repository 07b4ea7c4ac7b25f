"""What a search tries next."""

import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medvid.errors import ConfigError
from medvid.studies.search.proposals import number_of_trials, propose
from medvid.studies.search.trials import Outcome, Trial
from medvid.studies.search_options import Interval, SearchOptions, points
from medvid.studies.states import State

SPACE: dict[str, Any] = {
    "train.optimizer.lr": {"low": 1e-4, "high": 1.0, "log": True},
    "backbone.depth": {"low": 1, "high": 4},
    "head.loss": ["dice_ce", {"name": "tversky", "beta": 0.7}, [1, 2]],
}
OWN = {"train.optimizer.lr": 1e-3, "backbone.depth": 2, "head.loss": "dice_ce"}


def options(method: str, space: dict[str, Any] = SPACE, **more: Any) -> SearchOptions:
    return SearchOptions.model_validate({"method": method, "trials": 40, "space": space, **more})


def searched(method: str, number: int) -> list[Outcome]:
    """The outcomes of a search whose figure is best at a rate of 0.1 and a depth of 3."""
    chosen, outcomes = options(method), []  # type: ignore[var-annotated]
    for trial in range(number):
        values = propose(chosen, 7, trial, OWN, outcomes)
        figure = -((math.log10(values["train.optimizer.lr"]) + 1) ** 2) - (values["backbone.depth"] - 3) ** 2
        outcomes.append(Outcome(Trial(trial, values), State.FINISHED, figure))
    return outcomes


def test_a_grid_has_the_tasks_own_values_and_each_combination_once() -> None:
    space = {"a": [1, 2], "b": {"low": 0.1, "high": 0.5, "step": 0.2}, "c": {"low": 1, "high": 3}}
    chosen = options("grid", space, trials=None)
    own = {"a": 2, "b": 0.1, "c": 3}
    found = [propose(chosen, 0, number, own) for number in range(number_of_trials(chosen, own))]
    assert found[0] == own
    assert len(found) == 2 * 3 * 3
    assert len({tuple(values.items()) for values in found}) == len(found)
    assert [values["c"] for values in found[1:4]] == [1, 2, 3]
    assert sorted({round(values["b"], 9) for values in found}) == [0.1, 0.3, 0.5]
    assert number_of_trials(options("grid", space), own) == 18
    assert number_of_trials(options("grid", space, trials=5), own | {"a": 7}) == 5


@given(
    st.integers(0, 2**32),
    st.integers(1, 10**6),
    st.one_of(
        st.tuples(st.integers(1, 50), st.integers(1, 50), st.booleans()),
        st.tuples(st.floats(1e-6, 10), st.floats(1e-6, 10), st.booleans()),
    ),
)
def test_random_values_are_a_function_of_seed_and_number(seed: int, number: int, drawn: tuple[Any, Any, bool]) -> None:
    low, length, log = drawn
    chosen = options("random", {"a": {"low": low, "high": low + length, "log": log}, "b": ["x", "y"]})
    found = propose(chosen, seed, number, {})
    assert found == propose(chosen, seed, number, {"a": 3})
    assert low <= found["a"] <= low + length
    assert isinstance(found["a"], int) == isinstance(low, int)
    assert found["b"] in ("x", "y")


def test_random_whole_numbers_reach_both_limits() -> None:
    chosen = options("random", {"a": {"low": 1, "high": 4, "log": True}, "b": {"low": 0, "high": 6, "step": 3}})
    found = [propose(chosen, 0, number, {}) for number in range(1, 60)]
    assert {values["a"] for values in found} == {1, 2, 3, 4}
    assert {values["b"] for values in found} == {0, 3, 6}


@pytest.mark.parametrize(("method", "number"), [("tpe", 40), ("gp", 16)])
def test_optunas_methods_learn_from_what_was_tried(method: str, number: int) -> None:
    outcomes = searched(method, number)
    assert outcomes[0].trial.values == OWN
    late = [outcome.value or 0.0 for outcome in outcomes[number // 2 :]]
    random = [outcome.value or 0.0 for outcome in searched("random", number)[number // 2 :]]
    assert max(late) > -0.3
    assert sum(late) / len(late) > sum(random) / len(random)
    # Again from the same files: the same proposal, whoever asks.
    assert propose(options(method), 7, number, OWN, outcomes) == propose(options(method), 7, number, OWN, outcomes)


@pytest.mark.parametrize("method", ["tpe", "gp"])
def test_whatever_happened_to_trials_the_next_is_proposed(method: str) -> None:
    good = OWN | {"train.optimizer.lr": 0.01}
    outcomes = [
        Outcome(Trial(0, OWN | {"backbone.depth": 99}), State.FINISHED, 0.5),  # the task's own may be outside
        Outcome(Trial(1, OWN | {"head.loss": None}), State.FINISHED, 0.5),
        Outcome(Trial(2, good), State.FAILED),
        Outcome(Trial(3, good), State.FINISHED, None, (0.1,)),
        Outcome(Trial(4, good | {"head.loss": [1, 2]}), State.PRUNED, None, (0.1, 0.2)),
        Outcome(Trial(5, good), State.RUNNING, None, (0.1,)),
        Outcome(Trial(6, good), State.WAITING),
        Outcome(Trial(7, good), State.FINISHED, 0.7, (0.1, 0.7)),
    ]
    found = propose(options(method), 0, 8, OWN, outcomes)
    assert 1e-4 <= found["train.optimizer.lr"] <= 1
    assert found["head.loss"] in SPACE["head.loss"]


def test_workers_that_ask_at_once_do_not_try_the_same() -> None:
    outcomes = searched("tpe", 15)
    for _ in range(3):
        number = len(outcomes)
        outcomes.append(Outcome(Trial(number, propose(options("tpe"), 7, number, OWN, outcomes)), State.RUNNING))
    rates = [outcome.trial.values["train.optimizer.lr"] for outcome in outcomes[15:]]
    assert len(set(rates)) == 3


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match="needs Optuna") as raised:
        propose(options("tpe"), 0, 1, OWN)
    assert "pip install 'medvid[search]'" in raised.value.hint
    assert propose(options("random"), 0, 1, OWN)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"space": {"a": {"low": 2, "high": 1}}}, "should be less than high"),
        ({"space": {"a": {"low": 0, "high": 1, "log": True}}}, "only positive numbers"),
        ({"space": {"a": {"low": 1, "high": 2, "log": True, "step": 1}}}, "cannot be combined"),
        ({"space": {"a": []}}, "at least 1 item"),
        ({"space": {}}, "at least 1 item"),
        ({"trials": None}, "trials is missing"),
        ({"method": "grid"}, "needs a list of values for train.optimizer.lr, or a step"),
        ({"method": "genetic"}, "'grid', 'random', 'tpe' or 'gp'"),
    ],
)
def test_what_cannot_be_searched_is_refused(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SearchOptions.model_validate({"method": "random", "trials": 3, "space": SPACE} | block)


def test_points_of_an_interval_include_both_limits() -> None:
    assert points(Interval(low=0.1, high=0.3, step=0.1)) == pytest.approx([0.1, 0.2, 0.3])
    assert points(Interval(low=2, high=9, step=3)) == [2, 5, 8]
