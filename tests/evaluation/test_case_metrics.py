"""What holds of figures of cases and frames whatever the data; recorded values are in tests/parity."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medvid.evaluation.metrics import calibration, decisions, intervals, multilabel, ranking, regression
from medvid.evaluation.metrics.delong import delong, paired_test
from medvid.evaluation.metrics.phases import phase_scores, relaxed, relaxed_matlab
from medvid.evaluation.metrics.segments import edit_score, segment_counts
from medvid.evaluation.metrics.temporal_detection import ACTIVITYNET, THUMOS14, detection_average_precision
from medvid.plugin.info import UNKNOWN

SEEDS = st.integers(0, 2**32 - 1)
FRAMES = arrays(np.uint8, 40, elements=st.integers(0, 6))


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_delong_has_the_auroc_and_needs_two_of_each(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, scores = random.integers(2, size=12), random.random((2, 12)).round(1)
    auc, covariance = delong(truth, scores)
    assert auc == pytest.approx([ranking.auroc(truth, score) for score in scores], nan_ok=True)
    assert np.isnan(covariance).any() == (min(truth.sum(), (1 - truth).sum()) < 2)
    same = delong(truth, scores[[0, 0]])
    assert all(math.isnan(value) for value in paired_test(*same))


@given(st.integers(1, 60), st.data())
def test_the_exact_interval_is_the_wider(cases: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, cases))
    wilson, exact = intervals.wilson(successes, cases), intervals.clopper_pearson(successes, cases)
    for interval in (wilson, exact):
        assert 0 <= interval.low <= successes / cases <= interval.high <= 1
    assert exact.high - exact.low > 0.95 * (wilson.high - wilson.low)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(2, 5))
def test_decisions_do_not_depend_on_the_order_of_classes(seed: int, classes: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 9, size=(classes, classes))
    turned = counts[::-1, ::-1]
    for figure in (
        decisions.accuracy,
        decisions.balanced_accuracy,
        decisions.cohen_kappa,
        lambda counts: decisions.cohen_kappa(counts, "quadratic"),
        decisions.matthews_correlation,
    ):
        assert figure(turned) == pytest.approx(figure(counts), nan_ok=True)


def test_all_right_is_one_and_chance_is_undefined() -> None:
    right = np.diag([3, 5])
    assert decisions.cohen_kappa(right) == decisions.matthews_correlation(right) == 1
    one_class = np.array([[4, 0], [0, 0]])
    assert math.isnan(decisions.cohen_kappa(one_class))
    assert math.isnan(decisions.matthews_correlation(one_class))


def test_ties_count_against_the_top_k() -> None:
    probabilities, truth = np.full((4, 3), 1 / 3), np.array([0, 1, 2, 0])
    assert [decisions.top_k_accuracy(truth, probabilities, k) for k in (1, 2, 3)] == [0, 0, 1]


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_means_of_bins_are_means_of_cases(seed: int) -> None:
    random = np.random.default_rng(seed)
    confidence, right = random.random(30).round(1), random.integers(2, size=30)
    for closed in ("right", "left"):
        bins = calibration.calibration_bins(confidence, right, closed=closed)
        assert bins.cases.sum() == 30
        assert bins.cases @ bins.confidence == pytest.approx(confidence.sum())
        assert abs(confidence.mean() - right.mean()) <= bins.expected_error + 1e-12
        assert bins.expected_error <= bins.maximum_error + 1e-12


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_agreement_knows_shift_and_scale(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, prediction = random.normal(size=(2, 20))
    assert regression.pearson(truth, 3 * prediction + 2) == pytest.approx(regression.pearson(truth, prediction))
    assert regression.spearman(truth, np.exp(prediction)) == pytest.approx(regression.spearman(truth, prediction))
    assert regression.r2(truth, truth) == regression.concordance(truth, truth) == 1
    shifted = regression.intraclass_correlation(truth, truth + 5)
    assert shifted[1] == pytest.approx(1)
    assert shifted[0] < 0.5
    assert regression.bland_altman(truth, truth + 5).bias == pytest.approx(5)


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_charades_precision_is_the_usual_one_where_all_have_a_label_and_none_ties(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(2, size=(20, 3))
    truth[:, 0] |= 1 - truth.any(axis=1)
    scores = random.permuted(np.linspace(0, 1, 60)).reshape(20, 3)
    usual = multilabel.average_precision_per_label(truth, scores)
    assert multilabel.charades_average_precision(truth, scores) == pytest.approx(usual, nan_ok=True)


def test_overlaps_are_those_of_the_benchmarks() -> None:
    assert ACTIVITYNET == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert THUMOS14 == (0.3, 0.4, 0.5, 0.6, 0.7)


def test_a_second_detection_of_a_segment_is_false() -> None:
    truth = np.array([[0, 3, 0.0, 10.0], [1, 3, 0.0, 10.0]])
    twice = np.array([[0, 3, 0.0, 10.0, 0.9], [0, 3, 0.0, 10.0, 0.8], [1, 3, 0.0, 10.0, 0.7], [1, 4, 0.0, 10.0, 0.6]])
    np.testing.assert_allclose(detection_average_precision(truth, twice, [0.5]), [[(1 + 2 / 3) / 2]])
    assert detection_average_precision(truth, twice[:0], [0.5, 0.9]).tolist() == [[0, 0]]


@settings(max_examples=50, deadline=None)
@given(FRAMES, FRAMES, st.integers(0, 50))
def test_a_border_forgives_and_never_condemns(truth: np.ndarray, prediction: np.ndarray, width: int) -> None:
    plain = truth == prediction
    for rule in (relaxed, relaxed_matlab):
        assert (rule(truth, prediction, width) >= plain).all()
        assert (rule(truth, prediction, 0) == plain).all()
    assert phase_scores(truth, prediction, 7).accuracy == pytest.approx(100 * plain.mean())


@settings(max_examples=50, deadline=None)
@given(FRAMES, FRAMES, SEEDS)
def test_unknown_frames_change_no_phase(truth: np.ndarray, prediction: np.ndarray, seed: int) -> None:
    random = np.random.default_rng(seed)
    known = random.random(len(truth)) < 0.7
    annotated = np.where(known, truth.astype(int), UNKNOWN)
    other = np.where(known, prediction, random.integers(7, size=len(truth)))
    found, wanted, alone = (
        astuple(phase_scores(*video, 7))
        for video in ((annotated, other), (annotated, prediction), (truth[known], prediction[known]))
    )
    np.testing.assert_equal(found, wanted)
    np.testing.assert_equal(found, alone)


@settings(max_examples=50, deadline=None)
@given(FRAMES, FRAMES)
def test_segments_are_symmetric_in_their_edits_and_all_counted(truth: np.ndarray, prediction: np.ndarray) -> None:
    assert edit_score(truth, prediction) == edit_score(prediction, truth)
    assert edit_score(truth, truth) == segment_counts(truth, truth, 0.5).f1 == 100
    counts = segment_counts(truth, prediction, 0.25)
    assert counts.true_positives + counts.false_negatives == 1 + (np.diff(truth.astype(int)) != 0).sum()
    assert math.isnan(edit_score(truth, truth, background=range(7)))
    assert segment_counts(truth, prediction, 0.25, background=range(7)).f1 != 0
