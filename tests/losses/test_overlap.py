"""Dice and Tversky of independent labels and of classes against MONAI's, and where something is unknown."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.losses import DiceLoss, TverskyLoss
from torch import Tensor
from torch.nn import functional

from medvid.losses.dice import DiceBCE, DiceCE
from medvid.losses.options import DiceBCEOptions, DiceCEOptions, TverskyOptions
from medvid.losses.tversky import Tversky
from medvid.plugin.info import UNKNOWN, TargetInfo, none_of

LABELS = TargetInfo("voxel", "labels", ("a", "b", "c", "d"))
CLASSES = TargetInfo("voxel", "class", LABELS.names)
PARTIAL = replace(CLASSES, has_unknown=True, has_partial=True)


def example(*shape: int) -> tuple[Tensor, Tensor]:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True), torch.randint(2, shape).float()


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("squared", [False, True])
def test_dice_of_labels_is_monais_with_sigmoid(batch: bool, squared: bool) -> None:
    output, target = example(3, 4, 5, 6)
    options = DiceBCEOptions(batch=batch, squared_pred=squared, lambda_dice=0.5, lambda_bce=2)
    smooth = {"smooth_nr": 1e-5, "smooth_dr": 1e-5}
    dice = DiceLoss(sigmoid=True, batch=batch, squared_pred=squared, **smooth)(output, target)
    bce = functional.binary_cross_entropy_with_logits(output, target.double())
    wanted = {"loss": 0.5 * dice + 2 * bce, "dice": dice, "bce": bce}
    torch.testing.assert_close(DiceBCE(options, LABELS)(output, target), wanted)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("background", [False, True])
def test_tversky_is_monais(batch: bool, background: bool) -> None:
    output, target = example(3, 4, 5, 6)
    options = TverskyOptions(alpha=0.4, beta=0.8, batch=batch, include_background=background)
    every = options.model_copy(update={"include_background": True})
    same = {"alpha": 0.4, "beta": 0.8, "batch": batch, "smooth_nr": 1e-5, "smooth_dr": 1e-5}
    wanted = TverskyLoss(sigmoid=True, **same)(output, target)
    torch.testing.assert_close(Tversky(every, LABELS)(output, target)["loss"], wanted)
    ids = torch.randint(4, (3, 5, 6))
    of_classes = TverskyLoss(to_onehot_y=True, softmax=True, include_background=background, **same)
    torch.testing.assert_close(Tversky(options, CLASSES)(output, ids)["loss"], of_classes(output, ids.unsqueeze(1)))


@given(seed=st.integers(0, 2**16), squared=st.booleans(), batch=st.booleans())
def test_unknown_labels_of_voxels_are_as_if_they_were_not_there(seed: int, squared: bool, batch: bool) -> None:
    """The same voxels are known in two examples of three, and in no example anything of the last label."""
    generator = torch.Generator().manual_seed(seed)
    options = DiceBCEOptions(squared_pred=squared, batch=batch)
    output = torch.randn(3, 4, 20, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.randint(2, (3, 4, 20), generator=generator).float()
    known = torch.randperm(20, generator=generator)[:7]
    partly = torch.full_like(target, UNKNOWN)
    partly[:2, :3, known] = target[:2, :3, known]
    wanted = DiceBCE(options, LABELS)(output[:2, :3, known], target[:2, :3, known])
    found = DiceBCE(options, replace(LABELS, has_unknown=True))(output, partly)
    assert found.pop("weight") == 2
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(*(torch.autograd.grad(one["loss"], output)[0] for one in (found, wanted)))


@given(seed=st.integers(0, 2**16), batch=st.booleans())
def test_what_may_be_any_of_several_classes_is_one_class_of_them_all(seed: int, batch: bool) -> None:
    """Where only class 1 was drawn the rest is "not 1", whose probability is that of all others together."""
    generator = torch.Generator().manual_seed(seed)
    output = torch.randn(3, 4, 20, generator=generator, dtype=torch.float64).requires_grad_()
    drawn = torch.rand((3, 20), generator=generator) < 0.3
    target = torch.where(drawn, 1, none_of([1]))
    target[2] = UNKNOWN
    merged = torch.stack([output[:, [0, 2, 3]].logsumexp(1), output[:, 1]], dim=1)[:2]
    wanted = DiceCE(DiceCEOptions(batch=batch, include_background=False), replace(CLASSES, names=("not", "b")))(
        merged, drawn[:2].long()
    )
    found = DiceCE(DiceCEOptions(batch=batch), PARTIAL)(output, target)
    assert found.pop("weight") == 2
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(*(torch.autograd.grad(one["loss"], output)[0] for one in (found, wanted)))


def test_where_all_labels_turn_out_to_be_drawn_it_is_the_same_loss() -> None:
    output, target = torch.randn(2, 4, 6, 6), torch.randint(4, (2, 6, 6))
    found, wanted = (DiceCE(DiceCEOptions(), info)(output, target) for info in (PARTIAL, CLASSES))
    assert found.pop("weight") == 2
    torch.testing.assert_close(found, wanted)


def test_independent_labels_have_no_background() -> None:
    with pytest.raises(ValueError, match="independent labels have no background"):
        TverskyOptions(include_background=False).check_target(LABELS)


def test_a_mean_over_a_batch_is_refused_in_parts() -> None:
    for options in (TverskyOptions(batch=True), DiceCEOptions(batch=True), DiceBCEOptions(average="voxels")):
        options.check_split(1, 8, PARTIAL)
        with pytest.raises(ValueError, match="cannot be had from its parts"):
            options.check_split(2, 1, PARTIAL)
    DiceCEOptions(average="voxels").check_split(2, 1, CLASSES)
    DiceCEOptions(batch=True, lambda_dice=0).check_split(2, 1, CLASSES)
