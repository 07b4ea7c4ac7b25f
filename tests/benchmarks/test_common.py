"""What all benchmarks share: who measures when, and what is told of it."""

import argparse
import importlib
import itertools
from types import ModuleType

import pytest
from tests.benchmarks.test_contests import BENCHMARKS


@pytest.fixture
def common(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("common")


@pytest.mark.parametrize(("rounds", "told"), [(0, 1.0), (1, 2.0), (3, 3.0)])
def test_the_median_leaves_the_warm_up_out_unless_there_is_nothing_else(
    common: ModuleType, rounds: int, told: float
) -> None:
    values = itertools.count(1)
    assert common.take_turns({"one": lambda: float(next(values))}, rounds=rounds) == {"one": told}
    assert next(values) == rounds + 2


@pytest.mark.parametrize("text", ["0", "-1"])
def test_a_number_below_one_is_refused(common: ModuleType, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is less than 1"):
        common.count(text)
    assert common.count("1") == 1
