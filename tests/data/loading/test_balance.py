"""Which cases an epoch draws where rare classes or labels are to be drawn as often as others."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medvid.data.loading.balance import balanced_order, draw_weights, effect
from medvid.data.loading.batches import draw_places
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN, TargetInfo

CLASSES = TargetInfo("case", "class", ("a", "b", "c"), has_unknown=True)
LABELS = TargetInfo("case", "labels", ("a", "b"), has_unknown=True)


def test_classes_are_drawn_equally_often_and_unknown_ones_never() -> None:
    targets = torch.tensor([0] * 7 + [1] * 2 + [UNKNOWN] * 3)
    weights = draw_weights(targets, CLASSES)
    drawn = Counter(
        int(targets[index]) for _, index in draw_places(len(targets), 3, 0, 10 * len(targets), weights=weights)
    )
    assert drawn == {0: 60, 1: 60}
    assert effect(targets, weights, CLASSES) == (
        "train.balance: an epoch of 12 draws has, without and with it: a 7 -> 6, b 2 -> 6, c 0 -> 0; "
        "3 cases of which nothing is known are never drawn"
    )


def test_labels_and_none_of_them_are_drawn_equally_often() -> None:
    targets = torch.tensor([[1.0, 0], [0, 1], *[[0, 0]] * 6, [UNKNOWN, 1], [UNKNOWN, UNKNOWN], [0, UNKNOWN]])
    weights = draw_weights(targets, LABELS)
    # A third for a; a third for b, which has two cases; a third for those of which it is only known what they lack.
    expected = [1, 1 / 2, *[1 / 7] * 6, 1 / 2, 0, 1 / 7]
    assert weights.tolist() == pytest.approx([weight / 3 for weight in expected])


def test_places_are_a_function_of_the_position_alone_and_each_is_drawn_anew() -> None:
    weights = draw_weights(torch.tensor([0, 0, 0, 0, 1]), CLASSES)
    whole = list(draw_places(5, 3, 0, 40, weights=weights))
    assert list(draw_places(5, 3, 13, 40, weights=weights)) == whole[13:]
    assert list(draw_places(5, 3, 1, 40, 2, weights=weights)) == whole[1::2]
    assert len(set(whole)) == len(whole)


@given(st.lists(st.integers(UNKNOWN, 2), min_size=1).filter(lambda ids: max(ids) >= 0), st.integers(0, 99))
def test_an_epoch_draws_each_case_its_expected_number_of_times(ids: list[int], seed: int) -> None:
    weights = draw_weights(torch.tensor(ids), CLASSES)
    order = balanced_order(weights, torch.Generator().manual_seed(seed))
    times = torch.bincount(order, minlength=len(ids))
    assert len(order) == len(ids)
    assert bool(((times - weights * len(ids)).abs() < 1 + 1e-9).all())
    assert not times[torch.tensor(ids) == UNKNOWN].any()


@pytest.mark.parametrize(
    ("targets", "info"), [(torch.full((4,), UNKNOWN), CLASSES), (torch.full((4, 2), float(UNKNOWN)), LABELS)]
)
def test_targets_of_which_nothing_is_known_are_refused(targets: Tensor, info: TargetInfo) -> None:
    with pytest.raises(DataError, match="none has a known"):
        draw_weights(targets, info)
