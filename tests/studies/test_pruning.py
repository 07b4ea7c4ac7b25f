"""When a trial is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.studies.search.pruning import is_to_prune
from medvid.studies.search_options import PruneOptions

MEDIAN = PruneOptions(warmup_validations=1, startup_trials=3)
HALVING = PruneOptions(method="halving", warmup_validations=1, startup_trials=3)
OTHERS = [(0.1, 0.5), (0.2, 0.6, 0.1), (0.3, 0.7), (0.9,)]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ((), False),
        ((0.0,), False),  # the first validation is for warming up
        ((0.0, 0.59), True),  # the median after two validations is 0.6
        ((0.0, 0.6), False),
        ((0.65, 0.0), False),  # its best counts
        ((0.0, 0.1, 0.1), False),  # only one other has got as far
    ],
)
def test_worse_than_the_median(figures: tuple[float, ...], expected: bool) -> None:
    assert is_to_prune(MEDIAN, figures, OTHERS) == expected


def test_halving_keeps_the_best_third_at_each_rung() -> None:
    others = [(0.1 * number,) * 12 for number in range(8)]
    kept = [figure for figure in (0.05, 0.45, 0.55, 0.65, 0.9) if not is_to_prune(HALVING, (figure,) * 2, others)]
    assert kept == [0.55, 0.65, 0.9]  # 3 of 9
    rungs = [count for count in range(1, 12) if is_to_prune(HALVING, (0.0,) * count, others)]
    assert rungs == [2, 4, 10]  # 1, 3 and 9 after warming up


figures = st.lists(st.floats(0, 1), max_size=6).map(tuple)


@given(st.sampled_from([MEDIAN, HALVING]), st.lists(figures, max_size=8), st.integers(2, 6))
def test_the_best_is_never_given_up(options: PruneOptions, others: list[tuple[float, ...]], count: int) -> None:
    assert not is_to_prune(options, (1.0,) * count, others)
