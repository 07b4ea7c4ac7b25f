"""nnU-Net's plans are met exactly, and a wrong number in one is found."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.parity.recorded import FIXTURES, sidecar

Main = Callable[[Sequence[str]], int]


@pytest.mark.parametrize(
    "name", ["ct_liver", "rgb_2d", "us_in_plane_coarse", "regions_ignore_mixed_norms", "mri_hippocampus_tiny"]
)
def test_published_plans_agree(verify: Main, name: str) -> None:
    assert verify([str(FIXTURES / f"nnunet_plan_{name}.json")]) == 0


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("3d_fullres", "patch_size", 0), 48),
        (("3d_fullres", "spacing", 1), 0.2 * (1 + 1e-8)),
        (("2d", "batch_dice"), False),
        (("3d_lowres", "architecture", "arch_kwargs", "kernel_sizes", 0, 0), 3),
        (("3d_cascade_fullres", "inherits_from"), "2d"),
    ],
)
def test_a_wrong_number_is_found(
    verify: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str], keys: tuple[str | int, ...], value: object
) -> None:
    content = sidecar("nnunet_plan_us_in_plane_coarse")
    block: Any = content["plans"]["nnUNetPlans"]["configurations"]
    for key in keys[:-1]:
        block = block[key]
    block[keys[-1]] = value
    (tmp_path / "plan.json").write_text(json.dumps(content))
    assert verify([str(tmp_path / "plan.json")]) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if "DIFFERS" in line] == ["nnUNetPlans"]
