"""Soft Dice plus cross entropy against MONAI's, and where voxels are unknown."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.losses import DiceCELoss
from torch import Tensor, nn

from medvid.losses.dice import DiceCE
from medvid.losses.options import DiceCEOptions
from medvid.plugin.info import UNKNOWN, TargetInfo

INFO = TargetInfo("voxel", "class", ("a", "b", "c", "d"))
PARTLY = replace(INFO, has_unknown=True)


def dice_ce_loss(logits: Tensor, target: Tensor, options: DiceCEOptions, info: TargetInfo = INFO) -> dict[str, Tensor]:
    losses: dict[str, Tensor] = DiceCE(options, info)(logits, target)
    return losses


def example(*shape: int, labels: int = 4) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    target = torch.randint(labels - 1, (shape[0], *shape[1:]))  # the last label does not occur
    return torch.randn(shape[0], labels, *shape[1:], requires_grad=True), target


@pytest.mark.parametrize("shape", [(2, 7, 5), (3, 4, 6, 5)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"squared_pred": False, "smooth_nr": 1e-5, "smooth_dr": 1e-5},
        {"include_background": False},
        {"batch": True, "lambda_dice": 0.5, "lambda_ce": 2.0},
    ],
)
def test_loss_and_gradient_equal_monais(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    logits, target = example(*shape)
    ours = dice_ce_loss(logits, target, DiceCEOptions(**options))
    defaults = {"squared_pred": True, "smooth_nr": 0.0, "smooth_dr": 1e-6}
    monai = DiceCELoss(to_onehot_y=True, softmax=True, **(defaults | options))(logits, target.unsqueeze(1))
    torch.testing.assert_close(ours["loss"], monai)
    (our_gradient,) = torch.autograd.grad(ours["loss"], logits)
    (monai_gradient,) = torch.autograd.grad(monai, logits)
    torch.testing.assert_close(our_gradient, monai_gradient, atol=1e-8, rtol=1e-5)


def test_parts_add_up() -> None:
    logits, target = example(2, 6, 6)
    losses = dice_ce_loss(logits, target, DiceCEOptions(lambda_dice=0.3, lambda_ce=0.7))
    torch.testing.assert_close(losses["loss"], 0.3 * losses["dice"] + 0.7 * losses["ce"])


def test_low_precision_logits_are_summed_in_float32() -> None:
    logits, target = example(1, 64, 64)
    low = logits.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        losses = dice_ce_loss(low, target, DiceCEOptions())
    assert losses["loss"].dtype == torch.float32
    assert torch.equal(losses["loss"], dice_ce_loss(low.float(), target, DiceCEOptions())["loss"])


def test_a_perfect_prediction_costs_nothing() -> None:
    target = torch.arange(3).repeat(1, 5, 2)
    logits = 100.0 * nn.functional.one_hot(target, 3).movedim(-1, 1)
    assert dice_ce_loss(logits, target, DiceCEOptions())["loss"] < 1e-6


@given(seed=st.integers(0, 2**16), squared=st.booleans(), background=st.booleans(), batch=st.booleans())
def test_unknown_voxels_are_as_if_they_were_not_there(seed: int, squared: bool, background: bool, batch: bool) -> None:
    """In a batch of examples of which the same voxels are known, those voxels alone give the same loss and gradient."""
    generator = torch.Generator().manual_seed(seed)
    options = DiceCEOptions(squared_pred=squared, include_background=background, batch=batch)
    logits = torch.randn(3, 4, 20, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.randint(4, (3, 20), generator=generator)
    known = torch.randperm(20, generator=generator)[:7]
    partly = torch.full_like(target, UNKNOWN)
    partly[:, known] = target[:, known]
    partly[2] = UNKNOWN  # an example without any
    wanted = dice_ce_loss(logits[:2, :, known], target[:2, known], options)
    found = dice_ce_loss(logits, partly, options, PARTLY)
    assert found.pop("weight") == 2
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(*(torch.autograd.grad(one["loss"], logits)[0] for one in (found, wanted)))


def test_where_all_turn_out_to_be_known_it_is_the_same_loss() -> None:
    logits, target = example(2, 6, 6)
    found, wanted = (dice_ce_loss(logits, target, DiceCEOptions(), info) for info in (PARTLY, INFO))
    assert found.pop("weight") == 2
    torch.testing.assert_close(found, wanted)
