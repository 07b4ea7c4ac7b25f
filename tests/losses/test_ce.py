"""Cross entropy: smoothing, weights of classes, mixed and unknown labels."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from medvid.losses.ce import CrossEntropy
from medvid.losses.options import CrossEntropyOptions
from medvid.plugin.info import UNKNOWN, TargetInfo, Where

NAMES = tuple("abcdefg")


def make_loss(*, where: Where = "case", has_unknown: bool = False, **options: Any) -> CrossEntropy:
    info = TargetInfo(where, "class", NAMES, has_unknown=has_unknown)
    return CrossEntropy(CrossEntropyOptions(**options), info)


def test_smoothing_and_weights_change_the_loss_as_defined() -> None:
    logits, target = torch.randn(4, 7), torch.tensor([0, 1, 6, 3])
    weights = tuple(range(1, 8))
    loss = make_loss(label_smoothing=0.1, class_weights=weights)
    log_p, w = logits.log_softmax(1), torch.tensor(weights, dtype=torch.float32)
    smooth = 0.9 * functional.one_hot(target, 7) + 0.1 / 7
    expected = -(smooth * w * log_p).sum() / w[target].sum()
    torch.testing.assert_close(loss(logits, target)["loss"], expected)


def test_a_weight_per_class_is_needed() -> None:
    options, info = CrossEntropyOptions(class_weights=(1, 2)), TargetInfo("case", "class", NAMES)
    with pytest.raises(ValueError, match="class_weights has 2 weights, the data set 7 labels"):
        options.check_target(info)


def test_weights_of_mixed_labels_are_mixed() -> None:
    """One-hot probabilities cost what their labels do, and a mean of labels weighs what they do together."""
    loss, logits, target = make_loss(class_weights=range(1, 8)), torch.randn(3, 7), torch.tensor([1, 2, 6])
    soft = functional.one_hot(target, 7).float()
    torch.testing.assert_close(loss(logits, soft), loss(logits, target))
    assert loss(logits, 0.7 * soft + 0.3 * soft.roll(1, 0))["weight"] == pytest.approx(2 + 3 + 7)


def test_soft_targets_of_hard_labels_cost_the_same() -> None:
    loss, logits, target = make_loss(label_smoothing=0.1), torch.randn(3, 7), torch.tensor([1, 2, 3])
    soft = functional.one_hot(target, 7).float()
    torch.testing.assert_close(loss(logits, soft)["loss"], loss(logits, target)["loss"])


@pytest.mark.parametrize("where", ["voxel", "frame"])
def test_voxels_and_frames_are_as_many_cases(where: Where) -> None:
    logits, target = torch.randn(2, 5, 7), torch.randint(7, (2, 5))
    output = logits.movedim(-1, 1) if where == "voxel" else logits
    for options in ({}, {"class_weights": range(1, 8), "label_smoothing": 0.1}):
        found = make_loss(where=where, **options)(output, target)
        torch.testing.assert_close(found, make_loss(**options)(logits.flatten(0, 1), target.flatten()))


@given(
    known=st.lists(st.booleans(), min_size=6, max_size=6).filter(any),
    smoothing=st.sampled_from([0.0, 0.2]),
    weights=st.sampled_from([None, tuple(range(1, 8))]),
    is_mixed=st.booleans(),
)
def test_unknown_labels_are_as_if_they_were_not_there(
    known: list[bool], smoothing: float, weights: tuple[int, ...] | None, is_mixed: bool
) -> None:
    options = {"label_smoothing": smoothing, "class_weights": weights}
    logits, mask = torch.randn(6, 7, dtype=torch.float64, requires_grad=True), torch.tensor(known)
    ids = torch.randint(7, (6,))
    target = functional.one_hot(ids, 7).double() * mask.unsqueeze(1) if is_mixed else ids.where(mask, UNKNOWN)
    found = make_loss(has_unknown=True, **options)(logits, target)
    wanted = make_loss(**options)(logits[mask], ids[mask])
    torch.testing.assert_close(found["loss"], wanted["loss"])
    assert found["weight"] == pytest.approx(float(wanted.get("weight", mask.sum())))
    torch.testing.assert_close(*(torch.autograd.grad(one["loss"], logits)[0] for one in (found, wanted)))
