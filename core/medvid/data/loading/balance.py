"""Balanced drawing: how often an epoch draws each case, so that rare classes or labels are seen as often as others.

As in class-aware sampling (Shen et al., ECCV 2016, section 3.3), a draw is of any class with the same probability, and
then of any of its cases. Labels are drawn likewise: each of them, and "none of them", as often as the others.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from medvid.data.dataset import Dataset, ViewedCase
from medvid.data.targets import is_known, unknown_target
from medvid.errors import DataError
from medvid.plugin.info import TargetInfo
from medvid.sentences import listed


def read_targets(dataset: Dataset, cases: Sequence[str]) -> Tensor:
    """What cases are annotated with, (N,) classes or (N, L) labels; where a case is not annotated, it is unknown."""
    found = (cast(ViewedCase, dataset.open_case(case)).target for case in cases)
    return torch.stack([unknown_target(dataset.target_info) if target is None else target for target in found])


def draw_weights(targets: Tensor, info: TargetInfo) -> Tensor:
    """With which probability a draw is of each case, (N,) float64; 0 for cases of which nothing is known.

    Args:
        targets: (N,) classes or (N, L) labels.
        info: what they are.

    Raises:
        DataError: nothing is known of any case.
    """
    members = _members(targets, info).double()
    members = members[:, members.any(dim=0)]
    if not members.shape[1]:
        kind = "class" if info.what == "class" else "label"
        raise DataError(
            f"train.balance cannot weigh the training cases: none has a known {kind}", hint="leave out train.balance"
        )
    return (members / members.sum(dim=0)).mean(dim=1)


def balanced_order(weights: Tensor, generator: torch.Generator) -> Tensor:
    """An epoch of as many draws as there are cases: each is drawn its expected number of times, rounded up or down.

    Args:
        weights: (N,) as of `draw_weights`.
        generator: decides on the rounding (systematic sampling in a random order) and on the order of the draws.

    Returns:
        (N,) indices of cases.
    """
    count = len(weights)
    shuffled = torch.randperm(count, generator=generator)
    ends = (weights[shuffled] * count).cumsum(0)
    points = torch.arange(count) + torch.rand((), generator=generator, dtype=torch.float64)
    last = int(weights[shuffled].nonzero().max())  # the sum may be rounded to less than the last point
    drawn = shuffled[torch.searchsorted(ends, points, right=True).clamp_(max=last)]
    return drawn[torch.randperm(count, generator=generator)]


def effect(targets: Tensor, weights: Tensor, info: TargetInfo) -> str:
    """The cases of each class or label in an epoch, without and with the balance, as a line of the log."""
    members, names = _members(targets, info), (*info.names, "none of them")
    drawn = (members * weights[:, None]).sum(dim=0) * len(weights)
    shown = [
        f"{name} {before} -> {after:.0f}"
        for name, before, after in zip(names, members.sum(dim=0).tolist(), drawn.tolist(), strict=False)
    ]
    left_out = int((weights == 0).sum())
    unknown = f"; {left_out} cases of which nothing is known are never drawn" if left_out else ""
    return f"train.balance: an epoch of {len(weights)} draws has, without and with it: {listed(shown)}{unknown}"


def _members(targets: Tensor, info: TargetInfo) -> Tensor:
    """Which cases are of each class; or have each label, and last, of which it is only known that they lack some."""
    if info.what == "class":
        return targets[:, None] == torch.arange(len(info.names))
    has = targets == 1
    return torch.cat([has, (is_known(targets, info).any(dim=1) & ~has.any(dim=1))[:, None]], dim=1)
