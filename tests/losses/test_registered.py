"""What holds of every loss that is registered, on every target that it is for."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from medvid.config.compatibility import check_loss
from medvid.config.examples import read_options
from medvid.errors import ConfigError
from medvid.losses.loss import Loss
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN, TargetInfo, none_of
from medvid.plugin.specs import WHAT, WHERE, LossSpec
from medvid.testing.targets import random_target, toy_target

HOST = make_host()
BATCH, SIZE = 3, (2, 3, 2)


def cells() -> list[tuple[str, Any, TargetInfo]]:
    """Each loss with its examples on each target, where something is unknown."""
    found = []
    for spec, where, what in product(HOST.specs(LossSpec), WHERE, WHAT):
        info = replace(toy_target(where, what), has_unknown=True)
        for number, example in enumerate(spec.examples):
            options = read_options(HOST, spec, example.options)
            try:
                check_loss(options, info, HOST)
            except ConfigError:
                continue
            found.append((f"{spec.name} {number} {where} {what}", options, info))
    return found


CELLS = cells()
Result = tuple[dict[str, Tensor], Tensor, list[Tensor]]


def run(loss: Loss, output: Tensor, target: Tensor) -> Result:
    """What it returns, its gradient by the output, and by what is trained along."""
    output = output.clone().requires_grad_()
    losses = loss(output, target)
    gradient, *others = torch.autograd.grad(losses["loss"], [output, *loss.parameters()])
    return {name: value.detach() for name, value in losses.items()}, gradient, others


@settings(max_examples=80, deadline=None)
@given(cell=st.sampled_from(CELLS), seed=st.integers(0, 2**16), share=st.floats(0, 1), scale=st.sampled_from([1, 1e3]))
def test_no_output_matters_where_the_target_is_unknown(
    cell: tuple[str, Any, TargetInfo], seed: int, share: float, scale: float
) -> None:
    name, options, info = cell
    loss, generator = HOST.build(options, info).double(), torch.Generator().manual_seed(seed)
    target = random_target(info, "video", SIZE, batch=BATCH, seed=seed)
    unknown = torch.rand(target.shape, generator=generator) < share
    target[unknown] = torch.nan if info.what == "value" else UNKNOWN
    shape = BATCH, *info.output_shape("video", SIZE)
    one, other = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    if info.what == "class":
        unknown = unknown.unsqueeze(1 if info.where == "voxel" else -1).expand(shape)
    wanted, found = run(loss, one, target), run(loss, torch.where(unknown, scale * other, one), target)
    torch.testing.assert_close(found, wanted, msg=lambda said: f"{name}: {said}")
    assert not found[1][unknown].any(), name


@pytest.mark.parametrize("name", ["ce", "dice_ce", "focal", "tversky"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_which_of_the_possible_classes_is_predicted_does_not_matter(name: str, seed: int) -> None:
    """To move probability between classes that nobody drew apart changes no loss, only which of them is told."""
    spec, generator = HOST.spec(LossSpec, name), torch.Generator().manual_seed(seed)
    info = replace(toy_target("voxel", "class"), has_unknown=True, has_partial=True)
    loss = HOST.build(read_options(HOST, spec, {}), info).double()
    target = torch.where(torch.rand((2, 4, 4), generator=generator) < 0.5, 1, none_of([1]))
    output = torch.randn((2, 3, 4, 4), generator=generator, dtype=torch.float64)
    together, share = output[:, [0, 2]].logsumexp(1), torch.rand((2, 4, 4), generator=generator, dtype=torch.float64)
    moved = torch.stack([together + share.log(), output[:, 1], together + (1 - share).log()], dim=1)
    torch.testing.assert_close(loss(moved, target), loss(output, target))


def test_every_loss_and_every_target_is_there() -> None:
    assert {name.split()[0] for name, _, _ in CELLS} == {spec.name for spec in HOST.specs(LossSpec)}
    assert {(info.where, info.what) for _, _, info in CELLS} == set(product(WHERE, WHAT))
