"""All figures of a target of cases: what is unknown counts in none, and what cannot be scored is refused."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvid.errors import DataError
from medvid.evaluation.metrics.of_classes import figures_of_classes
from medvid.evaluation.metrics.of_labels import figures_of_labels
from medvid.evaluation.metrics.of_values import figures_of_values
from medvid.evaluation.metrics.ranking import auroc, average_precision
from medvid.evaluation.metrics.target_figures import Resampling, TargetFigures
from medvid.plugin.info import UNKNOWN

Scored = tuple[np.ndarray, np.ndarray, Callable[..., TargetFigures]]
SEEDS = st.integers(0, 2**32 - 1)


def classes(seed: int, count: int) -> Scored:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(count), size=30)
    return (
        probabilities,
        random.integers(UNKNOWN, count, size=30),
        lambda p, y, **given: figures_of_classes(p, y, [f"class{number}" for number in range(count)], **given),
    )


def labels(seed: int) -> Scored:
    random = np.random.default_rng(seed)
    truth = random.integers(UNKNOWN, 2, size=(30, 3))
    return random.random((30, 3)), truth, lambda p, y, **given: figures_of_labels(p, y, ("a", "b", "c"), **given)


def values(seed: int) -> Scored:
    random = np.random.default_rng(seed)
    truth = random.normal(50, 10, size=(30, 2))
    predictions = truth + random.normal(0, 5, size=truth.shape)
    truth[random.random(truth.shape) < 0.3] = math.nan
    return predictions, truth, lambda p, y, **given: figures_of_values(p, y, ("ef", "age"), ("%", "years"), **given)


TARGETS: dict[str, Callable[[int], Scored]] = {
    "two classes": lambda seed: classes(seed, 2),
    "seven classes": lambda seed: classes(seed, 7),
    "labels": labels,
    "values": values,
}


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(sorted(TARGETS)), st.sampled_from([math.nan, math.inf, -1e9, 0.5]))
def test_what_is_predicted_where_nothing_is_known_changes_no_figure(seed: int, target: str, other: float) -> None:
    predictions, truth, score = TARGETS[target](seed)
    resampling = Resampling(patients=np.arange(30) // 2, resamples=3, seed=seed)
    unknown = np.isnan(truth) if truth.dtype == float else truth == UNKNOWN
    replaced = predictions.copy()
    replaced[unknown] = other
    found, wanted = (score(given, truth, resampling=resampling) for given in (replaced, predictions))
    np.testing.assert_equal(dict(found.metrics), dict(wanted.metrics))
    assert (found.intervals, found.notes, found.unknown) == (wanted.intervals, wanted.notes, int(unknown.sum()))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(sorted(TARGETS)))
def test_the_order_of_cases_changes_no_figure(seed: int, target: str) -> None:
    predictions, truth, score = TARGETS[target](seed)
    order = np.random.default_rng(seed).permutation(len(truth))
    found, wanted = score(predictions[order], truth[order]).metrics, score(predictions, truth).metrics
    assert found == pytest.approx(wanted, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from([np.exp, np.cbrt, lambda score: 3 * score - 1]), st.integers(1, 3))
def test_ranking_is_by_order_alone(seed: int, monotone: Callable[[np.ndarray], np.ndarray], digits: int) -> None:
    random = np.random.default_rng(seed)
    truth, score = random.integers(2, size=25), random.random(25).round(digits)
    for figure in (auroc, average_precision):
        assert figure(truth, monotone(score)) == pytest.approx(figure(truth, score), nan_ok=True)
    assert auroc(1 - truth, -score) == pytest.approx(auroc(truth, score), nan_ok=True)
    pairs = np.sign(np.subtract.outer(score[truth == 1], score[truth == 0]))
    assert auroc(truth, score) == pytest.approx((pairs.mean() + 1) / 2 if pairs.size else math.nan, nan_ok=True)


def test_an_absent_class_is_left_out_and_named() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=20)
    found = figures_of_classes(probabilities, np.arange(20) % 2, ("a", "b", "c"))
    assert math.isnan(found.by_name["auroc"]["c"])
    assert found.values["auroc"] == pytest.approx(np.mean([found.by_name["auroc"][name] for name in "ab"]))
    assert (found.defined["auroc"], found.positives) == (2, {"a": 10, "b": 10, "c": 0})
    assert any(note.startswith("not defined for c: ") and "AUROC" in note for note in found.notes)


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("cases", [0, 1])
def test_no_case_and_one_case_are_scored(target: str, cases: int) -> None:
    predictions, truth, score = TARGETS[target](0)
    found = score(predictions[:cases], truth[:cases], resampling=Resampling(resamples=2))
    undefined = {"auroc", "r2", "pearson"} & set(found.values)
    assert undefined
    assert all(math.isnan(found.values[column]) for column in undefined)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_score_that_is_not_a_number_names_its_case(target: str) -> None:
    predictions, truth, score = TARGETS[target](0)
    truth[4] = 0
    predictions[4] = math.nan
    with pytest.raises(DataError, match="case scan4: score nan in column 0"):
        score(predictions, truth, cases=[f"scan{number}" for number in range(30)])


@pytest.mark.parametrize(
    ("target", "wrong", "message"),
    [
        ("seven classes", 7, "class id 7 is not one of 0 to 6"),
        ("labels", 2, "case number 4: 2 is not an annotation of a"),
        ("values", math.inf, "case number 4: score inf in column 0 is not a finite number"),
    ],
)
def test_a_truth_that_cannot_be_is_refused(target: str, wrong: float, message: str) -> None:
    predictions, truth, score = TARGETS[target](0)
    truth[4] = wrong
    with pytest.raises(DataError, match=message):
        score(predictions, truth)


def test_logits_are_not_probabilities() -> None:
    with pytest.raises(DataError, match="is not a probability, within 0 and 1"):
        figures_of_labels(np.array([[-3.0]]), np.array([[1]]), ("a",))


def test_patients_are_drawn_whole() -> None:
    """Copies of a case in one patient make no interval narrower; copies as patients of their own would."""
    random = np.random.default_rng(0)
    truth = random.normal(50, 10, size=(20, 1))
    predictions = truth + random.normal(0, 5, size=truth.shape)
    widths = []
    for copies, patients in ((1, np.arange(20)), (9, np.tile(np.arange(20), 9)), (9, None)):
        resampling = Resampling(patients, resamples=200)
        repeated = (np.tile(part, (copies, 1)) for part in (predictions, truth))
        interval = figures_of_values(*repeated, ("ef",), ("%",), resampling=resampling).intervals["mae"]
        widths.append(interval.high - interval.low)
    assert widths[0] == pytest.approx(widths[1])
    assert widths[2] < 0.6 * widths[0]


def test_resamples_without_a_figure_are_counted() -> None:
    truth = np.array([[1], *[[0]] * 9])
    found = figures_of_labels(np.linspace(0, 1, 10)[:, None], truth, ("a",), resampling=Resampling(resamples=100))
    interval = found.intervals["auroc/a"]
    assert 15 < interval.undefined < 60  # (9/10)^10 = 35 % have no positive
    assert interval.resamples == 100
    assert any(f"auroc/a {interval.undefined}" in note for note in found.notes)


def test_values_of_several_units_have_no_mean_error() -> None:
    predictions, truth, _ = values(0)
    apart = figures_of_values(predictions, truth, ("ef", "age"), ("%", "years"))
    assert ("mae" in apart.values, "r2" in apart.values, set(apart.by_name["mae"])) == (False, True, {"ef", "age"})
    alike = figures_of_values(predictions, truth, ("esv", "edv"), ("ml", "ml"))
    assert alike.values["mae"] == pytest.approx(np.mean(list(alike.by_name["mae"].values())))
    assert alike.figures[0].heading == "MAE (ml)"
