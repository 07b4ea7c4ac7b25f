"""A loss at several scales: its targets, its weights, and what it refuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from medvid.config.options import LossOptions
from medvid.losses.deep_supervision import loss_of_scales, reduced, scale_weights
from medvid.losses.loss import Loss
from medvid.losses.options import CrossEntropyOptions, DiceBCEOptions, DiceCEOptions
from medvid.models.options import DecoderOptions
from medvid.plugin.host import make_host
from medvid.plugin.info import TargetInfo, none_of

HOST = make_host()
NAMES = ("background", "a", "b")
CLASSES = TargetInfo("voxel", "class", NAMES)
SIZES = ((8, 12), (4, 6), (2, 3))


def outputs(labels: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, labels, *size, generator=generator, requires_grad=True) for size in SIZES]


def criterion(options: LossOptions, info: TargetInfo) -> Loss:
    loss: Loss = HOST.build(options, info)
    return loss


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3))
def test_targets_are_those_of_torchs_nearest_exact(lengths: list[tuple[int, int]]) -> None:
    given, wanted = [max(pair) for pair in lengths], [min(pair) for pair in lengths]
    target = torch.arange(torch.Size(given).numel()).view(1, *given)
    expected = functional.interpolate(target.double().unsqueeze(1), size=wanted, mode="nearest-exact")
    found = reduced(target, wanted)
    centred = [(2 * torch.arange(b) + 1) * a % (2 * b) == 0 for a, b in zip(given, wanted, strict=True) if a % b]
    if not any(bool(item.any()) for item in centred):  # torch rounds the scale, so that it may miss the next voxel
        assert torch.equal(found, expected.squeeze(1).long())
    assert found.shape == (1, *wanted)


def test_ids_that_are_only_partly_known_keep_all_their_bits() -> None:
    target = torch.full((1, 8, 8), none_of([0, 2, 61]))
    assert reduced(target, (4, 3)).unique().tolist() == [none_of([0, 2, 61])]


def test_weights_halve_and_add_up_to_one() -> None:
    assert scale_weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert scale_weights(1) == [1]


@pytest.mark.parametrize(
    ("options", "info"),
    [
        (DiceCEOptions(), CLASSES),
        (DiceCEOptions(batch=True, average="voxels"), TargetInfo("voxel", "class", NAMES, has_unknown=True)),
        (CrossEntropyOptions(class_weights=(1, 2, 5)), CLASSES),
        (DiceBCEOptions(), TargetInfo("voxel", "labels", NAMES)),
    ],
    ids=["classes", "unknown", "weighted", "labels"],
)
def test_it_is_the_weighted_sum_of_the_losses_of_the_scales(options: LossOptions, info: TargetInfo) -> None:
    shape = (2, 8, 12) if info.what == "class" else (2, 3, 8, 12)
    target = torch.randint(-1 if info.has_unknown else 0, 2, shape)
    loss, found = criterion(options, info), outputs()
    losses = loss_of_scales(loss, found, target)
    expected = [loss(output, reduced(target, output.shape[2:])) for output in found]
    for name, value in losses.items():
        first, second, third = (scale[name].item() for scale in expected)
        assert value.item() == pytest.approx((4 * first + 2 * second + third) / 7)
    assert "weight" not in losses
    assert losses.keys() == expected[0].keys() - {"weight"}
    torch.autograd.backward(losses["loss"])
    assert all(bool(output.grad.any()) for output in found if output.grad is not None)


@pytest.mark.parametrize("deep_supervision", [True, False])
def test_parts_of_batches_are_refused_where_scales_have_weights_of_their_own(deep_supervision: bool) -> None:
    head = DecoderOptions(name="any", deep_supervision=deep_supervision)
    unknown = TargetInfo("voxel", "class", NAMES, has_unknown=True)
    head.check_split(2, 1, CLASSES)
    head.check_split(1, 2, unknown)
    if not deep_supervision:
        head.check_split(2, 1, unknown)
        return
    with pytest.raises(ValueError, match=r"head.deep_supervision .* \(train.accumulate is 2\)"):
        head.check_split(2, 1, unknown)
