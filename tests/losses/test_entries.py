"""Losses of labels and values: as torch and the papers define them, wherever the labels or values are."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from medvid.losses.entries.binary import BCE, Asymmetric
from medvid.losses.entries.options import (
    AsymmetricOptions,
    BCEOptions,
    GaussianNLLOptions,
    HuberOptions,
    L1Options,
    MSEOptions,
)
from medvid.losses.entries.values import L1, MSE, GaussianNLL, Huber
from medvid.losses.loss import Loss
from medvid.plugin.info import UNKNOWN, TargetInfo
from medvid.plugin.specs import Where

LABELS = TargetInfo("case", "labels", ("a", "b", "c"))
VALUES = TargetInfo("case", "value", ("a", "b", "c"), ("mm", "%", ""))
WEIGHTS = (1.0, 2.0, 5.0)


def labels(*shape: int) -> tuple[Tensor, Tensor]:
    return 3 * torch.randn(shape, requires_grad=True), torch.randint(2, shape).float()


@pytest.mark.parametrize("weight", [None, (3.0, 1.0, 0.5)])
def test_bce_is_torchs(weight: tuple[float, ...] | None) -> None:
    output, target = labels(5, 3)
    positive = None if weight is None else torch.tensor(weight)
    wanted = functional.binary_cross_entropy_with_logits(output, target, pos_weight=positive)
    torch.testing.assert_close(BCE(BCEOptions(pos_weight=weight), LABELS)(output, target), {"loss": wanted})


def test_weights_of_labels_are_those_of_a_mean() -> None:
    output, target = labels(5, 3)
    each = functional.binary_cross_entropy_with_logits(output, target, reduction="none").mean(0)
    found = BCE(BCEOptions(label_weights=WEIGHTS), LABELS)(output, target)
    torch.testing.assert_close(found["loss"], (each * torch.tensor(WEIGHTS)).sum() / sum(WEIGHTS))


@pytest.mark.parametrize(("positive", "negative", "clip"), [(0.0, 4.0, 0.05), (1.0, 2.0, 0.2), (0.5, 0.5, 0.0)])
def test_the_asymmetric_loss_is_that_of_its_paper(positive: float, negative: float, clip: float) -> None:
    output, target = labels(50, 3)
    p = output.sigmoid()
    shifted = (p - clip).clamp_min(0)
    present, absent = (1 - p) ** positive * p.log(), shifted**negative * (1 - shifted).log()
    wanted = -(target * present + (1 - target) * absent).mean()
    options = AsymmetricOptions(gamma_pos=positive, gamma_neg=negative, clip=clip)
    torch.testing.assert_close(Asymmetric(options, LABELS)(output, target)["loss"], wanted)


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_the_asymmetric_loss_has_a_gradient_wherever_a_logit_is(clip: float) -> None:
    output = torch.tensor([-200.0, -90, -20, 0, 20, 90, 200]).unsqueeze(1).requires_grad_()
    options = AsymmetricOptions(gamma_pos=0.5, gamma_neg=0.5, clip=clip)
    for target in (torch.zeros(7, 1), torch.ones(7, 1)):
        (gradient,) = torch.autograd.grad(Asymmetric(options, LABELS)(output, target)["loss"], output)
        assert torch.isfinite(gradient).all()


def test_losses_of_values_are_torchs() -> None:
    output, target = 3 * torch.randn(5, 3), torch.randn(5, 3)
    for loss, torchs in (
        (MSE(MSEOptions(), VALUES), nn.MSELoss()),
        (L1(L1Options(), VALUES), nn.L1Loss()),
        (Huber(HuberOptions(delta=0.7), VALUES), nn.HuberLoss(delta=0.7)),
    ):
        torch.testing.assert_close(loss(output, target), {"loss": torchs(output, target)})


def test_the_learnt_variance_is_best_at_that_of_the_errors() -> None:
    loss, output, target = GaussianNLL(GaussianNLLOptions(), VALUES), torch.randn(40, 3), 5 * torch.randn(40, 3)
    torch.testing.assert_close(loss(output, target)["loss"], nn.GaussianNLLLoss()(output, target, torch.ones(40, 3)))
    with torch.no_grad():
        loss.log_variance.copy_((output - target).square().mean(0).log())
    torch.autograd.backward(loss(output, target)["loss"])
    assert loss.log_variance.grad is not None
    torch.testing.assert_close(loss.log_variance.grad, torch.zeros(3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("where", ["voxel", "frame"])
def test_voxels_and_frames_are_as_many_cases(where: Where) -> None:
    output, target = labels(4, 6, 3)
    options = BCEOptions(label_weights=WEIGHTS, pos_weight=(3, 1, 0.5))
    wanted = BCE(options, LABELS)(output.flatten(0, 1), target.flatten(0, 1))
    if where == "voxel":
        output, target = output.movedim(-1, 1), target.movedim(-1, 1)
    torch.testing.assert_close(BCE(options, TargetInfo(where, "labels", LABELS.names))(output, target), wanted)


@given(known=st.lists(st.booleans(), min_size=18, max_size=18).filter(any), is_weighted=st.booleans())
def test_unknown_entries_are_as_if_they_were_not_there(known: list[bool], is_weighted: bool) -> None:
    """The mean over the known ones alone, whatever the output is at the others."""
    mask = torch.tensor(known).view(6, 3)
    weights = WEIGHTS if is_weighted else None
    each = torch.tensor(weights or (1.0,) * 3).double().expand(6, 3)[mask]
    pairs: list[tuple[type, Any, TargetInfo, float]] = [
        (BCE, BCEOptions(label_weights=weights), LABELS, UNKNOWN),
        (MSE, MSEOptions(value_weights=weights), VALUES, torch.nan),
    ]
    for kind, options, info, unknown in pairs:
        output, target = torch.randn(6, 3, dtype=torch.float64), torch.randint(2, (6, 3)).double()
        partly = TargetInfo(info.where, info.what, info.names, info.units, has_unknown=True)
        loss: Loss = kind(options, partly)
        found = loss(output.where(mask, torch.nan), target.where(mask, unknown))
        costs = kind(options, info).entries(output, target)[mask]
        torch.testing.assert_close(found, {"loss": (each * costs).sum() / each.sum(), "weight": each.sum()})


@pytest.mark.parametrize(
    ("options", "info", "said"),
    [
        (BCEOptions(label_weights=(1, 2)), LABELS, "label_weights has 2 weights, the data set 3 labels"),
        (BCEOptions(pos_weight=(1, 2)), LABELS, "pos_weight has 2 weights, the data set 3 labels"),
        (MSEOptions(value_weights=(1, 2)), VALUES, "value_weights has 2 weights, the data set 3 values"),
    ],
)
def test_a_weight_for_each_is_needed(options: Any, info: TargetInfo, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        options.check_target(info)
