import math

import pytest

from medvid.config.task import Constant, MultiStep, Poly, WarmupCosine
from medvid.training.schedule import rate_factor


def factors(schedule: Constant | WarmupCosine | Poly | MultiStep, steps: int) -> list[float]:
    return [rate_factor(schedule, step, steps) for step in range(steps)]


def test_warmup_is_linear_and_reaches_the_peak() -> None:
    assert factors(Constant(name="constant", warmup_steps=4), 6) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_warmup_cosine_as_the_unetr_authors_compute_it() -> None:
    # Recorded from the published scheduler: 5 warm-up epochs of 30. It reaches the peak one epoch earlier than ours
    # (at warmup - 1) and stays there for one more, so the cosine part is the same.
    published = [0.0001, 9.96057350657239e-05, 9.842915805643155e-05, 9.648882429441257e-05]
    ours = [1e-4 * factor for factor in factors(WarmupCosine(name="warmup_cosine", warmup_steps=5), 30)]
    assert ours[5:9] == pytest.approx(published, rel=1e-12)
    assert ours[-1] == pytest.approx(3.942649342761118e-07, rel=1e-9)


def test_warmup_cosine_between_its_ends() -> None:
    rates = factors(WarmupCosine(name="warmup_cosine", warmup_steps=2, warmup_start=0.5, final=0.1), 1002)
    assert rates[:2] == [0.5, 0.75]
    assert rates[2] == 1.0
    assert rates[502] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1, abs=1e-5)


def test_poly_as_published() -> None:
    # Recorded from TransUNet's loop: base 0.01, 12 iterations, power 0.9.
    published = {0: 0.01, 1: 0.01, 2: 0.009246775107445347, 11: 0.001993718664752192}
    ours = factors(Poly(name="poly", lag=1), 12)
    assert {step: 0.01 * ours[step] for step in published} == pytest.approx(published, rel=1e-12)
    assert factors(Poly(name="poly"), 12)[1:] == [*ours[2:], pytest.approx((1 / 12) ** 0.9)]


def test_a_held_rate_changes_once_in_so_many_steps() -> None:
    by_epoch = factors(Poly(name="poly"), 3)
    assert factors(Poly(name="poly", hold=4), 12) == pytest.approx([rate for rate in by_epoch for _ in range(4)])
    after_warmup = factors(Poly(name="poly", hold=4, warmup_steps=2), 14)
    assert after_warmup == pytest.approx([0, 0.5, *(rate for rate in by_epoch for _ in range(4))])


def test_step_multiplies_at_each_milestone() -> None:
    assert factors(MultiStep(name="step", milestones=(4, 2), gamma=0.5), 6) == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_every_rate_is_finite_for_a_training_of_one_step() -> None:
    for schedule in (Constant(name="constant"), WarmupCosine(name="warmup_cosine"), Poly(name="poly")):
        assert math.isfinite(rate_factor(schedule, 0, 1))
