"""A weighted sum of losses: its parts, what it refuses, and where it stands in a task."""

import re
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from medvid.config.compatibility import check_loss
from medvid.config.examples import read_options
from medvid.errors import ConfigError
from medvid.losses.options import SumOptions
from medvid.plugin.host import make_host
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import LossSpec

HOST = make_host()
CLASSES = TargetInfo("voxel", "class", ("a", "b", "c"))


def read(block: dict[str, Any]) -> SumOptions:
    options = read_options(HOST, HOST.spec(LossSpec, "sum"), block)
    assert isinstance(options, SumOptions)
    return options


def test_it_is_the_sum_of_its_parts() -> None:
    options = read({"parts": ["dice_ce", {"name": "focal", "gamma": 1}, {"name": "focal"}], "weights": [1, 0.5, 2]})
    output, target = torch.randn(2, 3, 4, 5, requires_grad=True), torch.randint(3, (2, 4, 5))
    wanted = [HOST.build(part, CLASSES)(output, target)["loss"] for part in options.parts]
    found = HOST.build(options, CLASSES)(output, target)
    assert [*found] == ["loss", "dice_ce", "focal", "focal_2"]
    torch.testing.assert_close([*found.values()], [wanted[0] + 0.5 * wanted[1] + 2 * wanted[2], *wanted])


def test_a_loss_that_has_weights_of_its_own_is_trained() -> None:
    info = TargetInfo("case", "value", ("a", "b", "c"), ("", "", ""))
    loss = HOST.build(read({"parts": ["gaussian_nll", "l1"]}), info)
    assert [*dict(loss.named_parameters())] == ["parts.0.log_variance"]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"parts": ["mse"], "weights": [1, 2]}, "weights has 2 numbers for 1 parts; give one for each"),
        ({"parts": []}, "parts: "),
        ({}, "parts: missing"),
        ({"parts": ["mse", "mze"]}, "parts.1.name: no loss named 'mze'; enabled: "),
        ({"parts": [{"name": "sum", "parts": [{"name": "huber", "delta": 0}]}]}, "parts.0.parts.0.delta: "),
    ],
)
def test_what_is_wrong_in_it_is_said(block: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        read(block)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("mse", "head.loss 'mse' is not for a class per voxel"),
        ({"name": "ce", "class_weights": [1, 2]}, "head.loss, ce: class_weights has 2 weights, the data set 3 labels"),
    ],
)
def test_each_part_has_to_be_for_the_target(part: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_loss(read({"parts": ["dice_ce", {"name": "sum", "parts": [part]}]}), CLASSES, HOST)


def test_a_batch_in_parts_is_for_means_over_examples() -> None:
    read({"parts": ["dice_ce", "focal"]}).check_split(2, 1, CLASSES)
    weighted = read({"parts": ["dice_ce", {"name": "ce", "class_weights": [1, 2, 3]}]})
    weighted.check_split(1, 8, CLASSES)
    with pytest.raises(ValueError, match=r"a sum with ce, means over .* \(train.accumulate is 2\)"):
        weighted.check_split(2, 1, CLASSES)
    with pytest.raises(ValueError, match=r"head\.loss\.batch is true"):
        read({"parts": [{"name": "dice_ce", "batch": True}]}).check_split(2, 1, CLASSES)


def test_without_a_host_it_takes_options() -> None:
    with pytest.raises(ValidationError):
        SumOptions(parts=())
