"""Statistics of figures of cases, against closed cases, scipy, and what has to hold for any figures."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from medvid.evaluation.metrics.aggregate import headline, per_label
from medvid.evaluation.metrics.ranking import auroc
from medvid.studies.statistics import (
    bootstrap_interval,
    holm,
    mean_figure,
    paired_difference,
    patient_means,
    patient_shares,
    pooled_draws,
    sign_flip_p,
    spread,
    swap_p,
    t_interval,
    wilcoxon_p,
)

NAN = math.nan
numbers = st.floats(-100, 100, allow_subnormal=False).map(lambda value: round(value, 3))
some_figures = st.tuples(st.integers(1, 8), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.one_of(numbers, st.just(NAN)))
)


def each_alone(figures: np.ndarray) -> np.ndarray:
    return np.arange(len(figures))


@given(some_figures)
def test_the_mean_is_that_of_an_evaluation(figures: np.ndarray) -> None:
    rows = [
        {"label_id": name, "label": str(name), "state": "scored", "dice": value}
        for case in figures.tolist()
        for name, value in enumerate(case)
    ]
    assert mean_figure(figures) == pytest.approx(headline(per_label(rows, ["dice"]))["dice"], nan_ok=True)


@given(some_figures, st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_shares_of_patients_add_up_to_the_mean(figures: np.ndarray, owners: list[int]) -> None:
    groups = np.array(owners[: len(figures)])
    total = patient_shares(figures, groups).sum()
    assert total == pytest.approx(0.0 if np.isnan(figures).all() else mean_figure(figures), abs=1e-9)


def test_patient_means_are_over_names_then_over_cases() -> None:
    figures = np.array([[1.0, 3.0], [6.0, NAN], [NAN, NAN], [5.0, 7.0]])
    found = patient_means(figures, np.array(["b", "b", "a", "c"]))
    np.testing.assert_equal(found, [NAN, 4.0, 6.0])


def test_the_interval_is_over_patients_and_so_wider_than_over_their_scans() -> None:
    random = np.random.default_rng(0)
    figures = np.repeat(random.normal(0.8, 0.1, 20), 3)[:, None]
    patients = np.repeat(np.arange(20), 3)
    by_patient, by_scan = bootstrap_interval(figures, patients), bootstrap_interval(figures, each_alone(figures))
    assert by_patient.low < by_scan.low < figures.mean() < by_scan.high < by_patient.high
    error = figures[::3].std() / math.sqrt(20)
    assert by_patient.high - by_patient.low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert by_patient == bootstrap_interval(figures, patients)  # the same seed draws the same patients


def test_an_interval_leaves_out_draws_without_a_figure_and_counts_them() -> None:
    figures = np.array([[1.0], [NAN]])
    found = bootstrap_interval(figures, each_alone(figures), resamples=4000)
    assert (found.low, found.high) == (1.0, 1.0)
    assert found.undefined / found.resamples == pytest.approx(1 / 4, abs=0.03)
    nothing = bootstrap_interval(np.full((3, 2), NAN), np.arange(3), resamples=10)
    assert math.isnan(nothing.low)
    assert nothing.undefined == 10
    assert math.isnan(bootstrap_interval(np.ones((2, 1)), np.zeros(2)).low)  # both of one patient


@given(some_figures)
def test_an_interval_lies_within_the_figures(figures: np.ndarray) -> None:
    found = bootstrap_interval(figures, each_alone(figures), resamples=50)
    if found.undefined < found.resamples:
        assert np.nanmin(figures) - 1e-9 <= found.low <= found.high <= np.nanmax(figures) + 1e-9


def test_the_t_interval_is_scipys() -> None:
    values = [0.81, 0.79, 0.84]
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = t_interval(values)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert spread(values) == pytest.approx(np.std(values, ddof=1))
    assert math.isnan(t_interval([0.8]).low)
    assert math.isnan(spread([0.8]))


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=7))
def test_few_sign_flips_are_all_gone_through(differences: list[int]) -> None:
    observed = abs(sum(differences))
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = np.mean([found >= observed for found in sums])
    assert sign_flip_p(np.array(differences, float)) == pytest.approx(expected)


def test_five_folds_can_never_give_less_than_a_sixteenth() -> None:
    assert sign_flip_p(np.array([0.1, 0.1, 0.1, 0.1, 0.1])) == 1 / 16


@given(st.lists(numbers, min_size=14, max_size=20))
def test_many_sign_flips_are_drawn_the_same_for_either_side(differences: list[float]) -> None:
    values = np.array(differences)
    p = sign_flip_p(values, resamples=200)
    assert 0 < p <= 1
    assert p == sign_flip_p(values, resamples=200)
    assert p == pytest.approx(sign_flip_p(-values, resamples=200), abs=0.1)


def test_wilcoxon_is_scipys_without_zeros() -> None:
    values = np.array([0.3, -0.1, 0.0, 0.5, 0.2, 0.7])
    assert wilcoxon_p(values) == stats.wilcoxon(values[values != 0]).pvalue


@pytest.mark.parametrize("p", [sign_flip_p, wilcoxon_p])
@pytest.mark.parametrize("differences", [np.zeros(6), np.empty(0)])
def test_no_difference_at_all_has_p_1(p, differences: np.ndarray) -> None:
    assert p(differences) == 1.0


def test_holm_on_the_example_of_the_method() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_nor_changes_their_order(values: list[float]) -> None:
    corrected = holm(values)
    assert all(p <= found <= min(1.0, len(values) * p) or p == 0 for p, found in zip(values, corrected, strict=True))
    assert sorted(range(len(values)), key=lambda i: (values[i], i)) == sorted(
        range(len(values)), key=lambda i: (corrected[i], values[i], i)
    )


def test_pairs_are_where_both_have_a_figure() -> None:
    one = np.array([[0.9, NAN], [0.8, 0.5], [0.7, 0.4]])
    other = np.array([[0.8, 0.3], [0.8, NAN], [0.9, 0.5]])
    found = paired_difference(one, other, np.arange(3))
    assert found.pairs == 4
    assert found.left_out == 2
    assert found.mean == pytest.approx(((0.1 + 0.0 - 0.2) / 3 + -0.1) / 2)
    assert (found.higher, found.lower, found.equal) == (1, 1, 1)


@given(some_figures, st.integers(0, 5))
def test_a_difference_is_the_opposite_the_other_way_round(figures: np.ndarray, seed: int) -> None:
    other = np.random.default_rng(seed).permutation(figures.ravel()).reshape(figures.shape)
    groups = each_alone(figures)
    there = paired_difference(figures, other, groups, resamples=50)
    back = paired_difference(other, figures, groups, resamples=50)
    assert there.mean == pytest.approx(-back.mean, nan_ok=True, abs=1e-9)
    assert (there.higher, there.lower, there.equal) == (back.lower, back.higher, back.equal)
    assert (there.pairs, there.left_out) == (back.pairs, back.left_out)
    assert there.interval.low == pytest.approx(-back.interval.high, nan_ok=True, abs=1e-9)
    assert there.p == pytest.approx(back.p)


def test_a_test_over_scans_of_the_same_patients_would_claim_too_much() -> None:
    differences = np.repeat([0.1, 0.2, 0.1, -0.05], 5)[:, None]
    zeros, patients = np.zeros_like(differences), np.repeat(np.arange(4), 5)
    assert paired_difference(differences, zeros, patients).p == 0.25
    assert paired_difference(differences, zeros, np.arange(20)).p < 0.01


def test_a_figure_of_all_cases_together() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(2, size=60)
    good = (truth + random.normal(0, 0.5, 60))[:, None]
    bad = random.normal(0, 1, 60)[:, None]

    def figure(answers: np.ndarray, truth: np.ndarray) -> float:
        return auroc(truth, answers[:, 0])

    groups = np.arange(60)
    drawn = [pooled_draws(figure, [answers], truth, groups, resamples=100) for answers in (good, bad)]
    for answers, found in zip((good, bad), drawn, strict=True):
        assert np.quantile(found, 0.025) < auroc(truth, answers[:, 0]) < np.quantile(found, 0.975)
    assert (drawn[0] - drawn[1] > 0).mean() > 0.95  # the same patients are drawn for both
    assert swap_p(figure, [good], [bad], truth, groups, resamples=100) == pytest.approx(1 / 101)
    assert swap_p(figure, [good], [good], truth, groups, resamples=20) == 1.0
    assert math.isnan(swap_p(figure, [good], [bad, bad], truth, groups, resamples=5))
