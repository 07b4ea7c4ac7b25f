"""Checks of optimizers: steps that change what they should, and a state that a training can be resumed from."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from medvid.testing.check import Subject, expect

SHAPES = ((3, 4), (4,))
"""Of the parameters, one group each: a matrix, decayed, and a bias, not decayed."""


def check_step(subject: Subject) -> None:
    """A step changes every parameter that has a gradient, to finite values, and no other one."""
    parameters = _parameters()
    optimizer = _make(subject, parameters)
    before = [parameter.detach().clone() for parameter in parameters]
    optimizer.step()
    expect(_equal(parameters, before), "a step without gradients changes parameters")
    _step(optimizer, parameters, 1)
    for old, new in zip(before, parameters, strict=True):
        expect(bool(torch.isfinite(new).all()), f"a step makes a parameter of shape {list(old.shape)} infinite or NaN")
        expect(bool((old != new).any()), f"a step leaves a parameter of shape {list(old.shape)} as it was")


def check_descent(subject: Subject) -> None:
    """Steps along the gradient of a bowl lead downhill."""
    parameters = _parameters()
    optimizer, heights = _make(subject, parameters), []
    for _ in range(20):
        optimizer.zero_grad()
        height = sum((parameter**2).sum() for parameter in parameters)
        assert isinstance(height, Tensor)
        torch.autograd.backward(height)
        optimizer.step()
        heights.append(float(height.detach()))
    expect(heights[-1] < heights[0], f"20 steps lead from {heights[0]:g} to {heights[-1]:g}, and not downhill")


def check_groups(subject: Subject) -> None:
    """Each group has its own learning rate, which the training sets at each step, and keeps the keys it came with."""
    parameters = _parameters()
    optimizer = _make(subject, parameters)
    expect(len(optimizer.param_groups) == len(SHAPES), f"of {len(SHAPES)} groups are {len(optimizer.param_groups)}")
    expect(all("lr_scale" in group for group in optimizer.param_groups), "the groups have lost their key lr_scale")
    optimizer.param_groups[0]["lr"] = 0.0
    before = [parameter.detach().clone() for parameter in parameters]
    _step(optimizer, parameters, 1)
    expect(torch.equal(parameters[0], before[0]), "a group of learning rate 0 is changed: group['lr'] is not followed")
    expect(not torch.equal(parameters[1], before[1]), "a group is left alone because another one's rate is 0")


def check_state(subject: Subject) -> None:
    """With its state in a new one, training continues to the same bits."""
    parameters = _parameters()
    optimizer = _make(subject, parameters)
    for seed in (1, 2):
        _step(optimizer, parameters, seed)
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    again = _make(subject, copies)
    again.load_state_dict(deepcopy(optimizer.state_dict()))
    for seed in (3, 4):
        _step(optimizer, parameters, seed)
        _step(again, copies, seed)
    expect(_equal(copies, parameters), "with its state restored, it arrives at other parameters")


OPTIMIZER_CHECKS = (check_step, check_descent, check_groups, check_state)


def _parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def _make(subject: Subject, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer over the parameters, in groups as the training makes them."""
    decays = subject.options.weight_decay, 0.0
    groups: list[dict[str, Any]] = [
        {"params": [parameter], "weight_decay": decay, "lr_scale": 1.0}
        for parameter, decay in zip(parameters, decays, strict=True)
    ]
    optimizer: torch.optim.Optimizer = subject.make_target(groups)
    return optimizer


def _step(optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()


def _equal(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
