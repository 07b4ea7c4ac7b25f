"""Cross entropy of the hardest voxels."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from medvid.losses.options import TopKOptions
from medvid.losses.topk import TopK
from medvid.plugin.info import UNKNOWN, TargetInfo, none_of

NAMES = ("background", "a", "b")


def topk(*, has_unknown: bool = False, has_partial: bool = False, **options: Any) -> TopK:
    info = TargetInfo("voxel", "class", NAMES, has_unknown=has_unknown, has_partial=has_partial)
    return TopK(TopKOptions(**options), info)


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def target() -> Tensor:
    return torch.randint(3, (2, 4, 5), generator=torch.Generator().manual_seed(1))


def test_it_is_the_mean_of_the_highest_cross_entropies(logits: Tensor, target: Tensor) -> None:
    losses = functional.cross_entropy(logits, target, reduction="none").flatten(1).sort(descending=True).values
    assert topk(share=0.15)(logits, target)["loss"].item() == pytest.approx(losses[:, :3].mean().item())
    hardest = losses.flatten().sort(descending=True).values[:6]
    assert topk(share=0.15, batch=True)(logits, target)["loss"].item() == pytest.approx(hardest.mean().item())
    assert topk(share=0.01)(logits, target)["loss"].item() == pytest.approx(losses[:, 0].mean().item())
    assert topk(share=1)(logits, target)["loss"].item() == pytest.approx(losses.mean().item())


def test_unknown_voxels_are_as_if_they_were_not_there(logits: Tensor, target: Tensor) -> None:
    target[0, 2:], target[1] = UNKNOWN, UNKNOWN
    losses = topk(has_unknown=True, share=0.3)(logits, target)
    expected = topk(share=0.3)(logits[:1, :, :2], target[:1, :2])["loss"]
    assert losses["loss"].item() == pytest.approx(expected.item())
    assert losses["weight"].item() == 1


def test_what_may_be_one_of_several_classes_costs_their_likelihood_together(logits: Tensor) -> None:
    target = torch.full((2, 4, 5), none_of([1]))
    together = logits.softmax(1)[:, [0, 2]].sum(1).log().neg().flatten(1)
    found = topk(has_unknown=True, has_partial=True, share=1)(logits, target)["loss"]
    assert found.item() == pytest.approx(together.mean().item(), rel=1e-5)


def test_the_hardest_voxels_of_a_batch_are_not_those_of_its_parts() -> None:
    info = TargetInfo("voxel", "class", NAMES)
    TopKOptions().check_split(2, 2, info)
    TopKOptions(batch=True).check_split(1, 1, info)
    for split in ((2, 1), (1, 2)):
        with pytest.raises(ValueError, match="the hardest voxels of the whole batch"):
            TopKOptions(batch=True).check_split(*split, info)
