"""The loss of segmentation heads against MONAI's, and what a head hands to the evaluation."""

from typing import Any

import pytest
import torch
from monai.losses import DiceCELoss
from torch import Tensor, nn

from medvid.config.evaluation import SegmentationEvaluationOptions
from medvid.config.segmentation import DiceCEOptions, SegmentationHeadOptions
from medvid.models.features import Features
from medvid.models.segmentation import SegmentationHead, dice_ce_loss
from medvid.plugin.info import InputInfo, TargetInfo


class PixelHead(SegmentationHead):
    def __init__(self) -> None:
        super().__init__(SegmentationHeadOptions(name="pixel", loss=DiceCEOptions(lambda_ce=0.0)))
        self.out = nn.Conv2d(1, 3, 1)

    def forward(self, features: Features, input: Tensor) -> Tensor:
        return self.out(input + features.maps[0])  # type: ignore[no-any-return]


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


def test_a_head_has_its_loss_and_evaluator() -> None:
    head = PixelHead()
    logits, target = example(1, 4, 4, labels=3)
    losses = head.loss(logits, target)
    assert torch.equal(losses["loss"], losses["dice"])
    info = InputInfo("image", 1, (4, 4))
    evaluator = head.evaluator(SegmentationEvaluationOptions(), info, TargetInfo("segmentation", ("a", "b", "c")))
    assert evaluator.monitor == "dice"
