"""Focal loss of classes and labels; cross entropy of what may be one of several classes."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from medvid.losses.ce import CrossEntropy
from medvid.losses.focal import focal
from medvid.losses.options import CrossEntropyOptions, FocalOptions
from medvid.plugin.info import UNKNOWN, TargetInfo, none_of

CLASSES = TargetInfo("case", "class", ("a", "b", "c"))
LABELS = TargetInfo("case", "labels", ("a", "b", "c"))
PARTIAL = replace(CLASSES, has_unknown=True, has_partial=True)
WEIGHTS = (1.0, 2.0, 5.0)


def test_of_classes_it_is_that_of_the_paper() -> None:
    output, target = 3 * torch.randn(20, 3), torch.randint(3, (20,))
    p = output.softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)
    wanted = -((1 - p) ** 2.5 * p.log()).mean()
    torch.testing.assert_close(focal(FocalOptions(gamma=2.5), CLASSES)(output, target), {"loss": wanted})


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_of_labels_it_is_torchvisions(alpha: float | None) -> None:
    output, target = 3 * torch.randn(20, 3), torch.randint(2, (20, 3)).float()
    wanted = sigmoid_focal_loss(output, target, -1 if alpha is None else alpha, gamma=2, reduction="mean")
    torch.testing.assert_close(focal(FocalOptions(alpha=alpha), LABELS)(output, target), {"loss": wanted})


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_without_focus_it_is_cross_entropy(weights: Any) -> None:
    """Of ids, of probabilities, and where classes are unknown or one of several."""
    output, ids = torch.randn(6, 3), torch.tensor([0, 1, 2, UNKNOWN, none_of([1]), none_of([0, 2])])
    options = FocalOptions(gamma=0, class_weights=weights), CrossEntropyOptions(class_weights=weights)
    for info, target in (
        (CLASSES, ids[:3]),
        (CLASSES, torch.rand(6, 3).softmax(1)),
        (replace(CLASSES, has_unknown=True), ids[:4]),
        (PARTIAL, ids),
    ):
        found = focal(options[0], info)(output[: len(target)], target)
        wanted = CrossEntropy(options[1], info)(output[: len(target)], target)
        torch.testing.assert_close(found["loss"], wanted["loss"])
        assert float(found.get("weight", 0)) == pytest.approx(float(wanted.get("weight", 0)))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_what_is_certain_has_a_gradient(gamma: float) -> None:
    for info, target in ((CLASSES, torch.tensor([0, 1])), (LABELS, torch.tensor([[1.0, 0, 0], [0, 1, 0]]))):
        output = torch.tensor([[200.0, -200, -200], [200, -200, -200]], requires_grad=True)
        torch.autograd.backward(focal(FocalOptions(gamma=gamma), info)(output, target)["loss"])
        assert output.grad is not None
        assert torch.isfinite(output.grad).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_one_of_several_classes_has_their_probabilities_together(smoothing: float) -> None:
    output, target = torch.randn(4, 3), torch.tensor([0, none_of([1]), UNKNOWN, none_of([0, 1])])
    log_p = output.log_softmax(1)
    p = log_p.exp()
    smooth = -log_p.mean(1)
    said = -torch.stack([p[0, 0], p[1, 0] + p[1, 2], p[3, 2]]).log()
    wanted = ((1 - smoothing) * said + smoothing * smooth[[0, 1, 3]]).mean()
    found = CrossEntropy(CrossEntropyOptions(label_smoothing=smoothing), PARTIAL)(output, target)
    torch.testing.assert_close(found, {"loss": wanted, "weight": torch.tensor(3.0)})


def test_where_all_classes_turn_out_to_be_drawn_it_is_the_same_loss() -> None:
    output, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 1])
    options = CrossEntropyOptions(label_smoothing=0.1, class_weights=WEIGHTS)
    torch.testing.assert_close(*(CrossEntropy(options, info)(output, target) for info in (PARTIAL, CLASSES)))
    wanted = functional.cross_entropy(output, target, torch.tensor(WEIGHTS), label_smoothing=0.1)
    torch.testing.assert_close(CrossEntropy(options, PARTIAL)(output, target)["loss"], wanted)


def test_alpha_is_for_labels() -> None:
    FocalOptions(alpha=0.25).check_target(LABELS)
    with pytest.raises(ValueError, match="alpha is for independent labels"):
        FocalOptions(alpha=0.25).check_target(CLASSES)
