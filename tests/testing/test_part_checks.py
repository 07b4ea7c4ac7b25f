"""The checks of losses, transforms and optimizers: each fails on a component that breaks just that promise."""

from collections.abc import Callable
from typing import Any

import pytest

from medvid.plugin.specs import ComponentSpec, Example, LossSpec, OptimizerSpec, TransformSpec
from medvid.testing import CheckResult
from medvid.testing.spec_checks import SPEC_CHECKS

KINDS: dict[str, Callable[..., ComponentSpec]] = {
    "Loss": lambda **given: LossSpec(what=("class",), where=("case", "voxel"), **given),
    "Transform": lambda **given: TransformSpec(axes=("image", "volume"), **given),
    "Optimizer": lambda **given: OptimizerSpec(examples=(Example({"lr": 0.01}),), **given),
}
BROKEN = {
    "Loss": {
        "scalars": ("Vector", "'loss' has shape [3], not that of a scalar"),
        "scalars ": ("Nameless", 'without "loss"'),
        "scalars  ": ("Root", "a gradient is not finite"),
        "order": ("Rewarding", "not less than wrong ones"),
        "parts": ("Summing", "in parts of 1 and 2, gradient deviates"),
        "weight": ("Lopsided", "the weight of 3 examples is"),
        "unknown": ("Gullible", "unknown entries get a gradient"),
        "unknown ": ("Dividing", "the loss of a batch without annotations is not finite"),
        "precision": ("Coarse", "the loss of bf16 outputs is torch.bfloat16, not float32"),
        "devices": ("Waiting", "on the meta device, it fails, as a GPU would or would have to wait"),
    },
    "Transform": {
        "generator": ("Gambling", "torch's global generator"),
        "change": ("Idle", "nothing changes with any of 20 generators"),
        "input": ("Spoiling", "it changes the batch that it is given"),
        "shapes": ("Inventive", "labels that there were not"),
        "pickles": ("Clinging", "pickle"),
        "device": ("Asking", "on images that are on the meta device it fails"),
        "device ": ("Lingering", "gets tensors of cpu and meta"),
    },
    "Optimizer": {
        "step": ("Idle", "leaves a parameter of shape [4] as it was"),
        "descent": ("Climbing", "not downhill"),
        "groups": ("Stubborn", "group['lr'] is not followed"),
        "state": ("Forgetful", "arrives at other parameters"),
    },
}
CASES = [(kind, check, *broken) for kind, checks in BROKEN.items() for check, broken in checks.items()]
Outcome = Callable[[ComponentSpec, str], tuple[str, str]]


def make(kind: str, target: str = "Good") -> ComponentSpec:
    config = f"toy_parts:Toy{kind}Options"
    return KINDS[kind](name="toy", target=f"toy_parts:{target}{kind}", config=config, summary="a toy")


@pytest.mark.parametrize(("kind", "check", "target", "reason"), CASES, ids=[f"{case[2]}{case[0]}" for case in CASES])
def test_broken_components_fail(kind: str, check: str, target: str, reason: str, outcome: Outcome) -> None:
    found, said = outcome(make(kind, target), check.strip())
    assert found == "failed"
    assert reason in said


@pytest.mark.parametrize("kind", KINDS)
def test_what_keeps_to_the_contract_passes_and_every_check_can_fail(kind: str, results: Any) -> None:
    found: dict[str, CheckResult] = results(make(kind))
    general = {check.__name__.removeprefix("check_") for check in SPEC_CHECKS}
    assert {name for name, result in found.items() if result.outcome != "ok"} <= {"light_imports"}  # the toys are heavy
    assert set(found) == general | {name.strip() for name in BROKEN[kind]}
