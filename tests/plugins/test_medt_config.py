"""What the options of MedT accept."""

import subprocess
import sys
from fnmatch import fnmatch
from typing import Any

import pytest
from pydantic import ValidationError

from medvid.plugin.info import InputInfo
from medvid.plugin.specs import load_attribute
from medvid_medt.config import MedTOptions
from medvid_medt.model import MedT
from medvid_medt.plugin import medvid_components


def options(**given: Any) -> MedTOptions:
    return MedTOptions.model_validate({"name": "medt", "img_size": (128, 128)} | given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"img_size": (130, 128)},
            r"\[130, 128\] is not a multiple of patch_grid \[4, 4\]; \[128, 128\] and \[132",
        ),
        ({"img_size": (2, 8)}, r"patch_grid \[4, 4\]; \[4, 8\] works"),
        ({"img_size": (16, 16), "variant": "gated"}, r"img_size \[16, 16\] leaves the norms .* a single pixel"),
        ({"img_size": (64, 64), "local_order": "sequential"}, r"img_size \[64, 64\] leaves the norms"),
        ({"img_size": (4, 4)}, r"img_size \[4, 4\] leaves the norms"),
        ({"img_size": (16, 16), "patch_grid": (1, 1)}, r"img_size \[16, 16\] leaves the norms"),
        ({"img_size": (128,)}, "img_size"),
        ({"img_size": (128, 128, 128)}, "img_size"),
        ({"s": 0.3}, r"s \(0.3\) is not a multiple of 1/64 \(0.015625\)"),
        ({"s": 0.0625}, r"s \* width_per_group \(4\) is not a multiple of groups \(8\)"),
        ({"width_per_group": 100}, r"s \* width_per_group \(12.5\) is not a multiple of groups \(8\)"),
        ({"layers": (1, 2, 4)}, "layers"),
        ({"layers": (1, 2, 0, 1)}, "greater than 0"),
        ({"variant": "wopos"}, "'medt', 'logo', 'gated' or 'axial'"),
        ({"local_order": "random"}, "'batched' or 'sequential'"),
        ({"weights": {"source": "timm", "path": "x.pth"}}, "'medt'"),
        ({"patches": 4}, "patches"),
    ],
)
def test_impossible_backbones_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"img_size": (132, 64)},
        {"img_size": (60, 90), "patch_grid": (2, 3)},
        {"img_size": (130, 17), "variant": "axial"},
        {"img_size": (8, 8)},
        {"s": 0.0625, "groups": 4},
        {"s": 0.0625, "width_per_group": 128},
    ],
)
def test_what_is_possible(given: dict[str, Any]) -> None:
    options(**given)


@pytest.mark.parametrize("size", [(256, 256), (128, 64), (128, 128, 128)])
def test_an_input_of_another_size_is_refused(size: tuple[int, ...]) -> None:
    options().check_input(InputInfo("image", 1, (128, 128)))
    with pytest.raises(ValueError, match=r"img_size is \[128, 128\], but .* of size \[\d+, \d+.*\]; make them equal"):
        options().check_input(InputInfo("image", 1, size))


def test_a_recipe_can_name_the_gates() -> None:
    backbone = MedT(options(layers=(1, 1, 1, 1)), InputInfo("image", 3, (128, 128)))
    names = [f"backbone.{name}" for name, _ in backbone.named_parameters()]
    gates = [name for name in names if fnmatch(name, "backbone.*f_*")]
    assert len(gates) == 2 * 2 * 4  # blocks with gates, axes, gates
    assert {name.rpartition(".")[2] for name in gates} == {"f_qr", "f_kr", "f_sve", "f_sv"}


def test_component_resolves_and_listing_it_imports_no_torch() -> None:
    spec, _ = medvid_components()
    assert load_attribute(spec.target) is MedT
    assert load_attribute(spec.config) is MedTOptions
    code = "import sys, medvid_medt.plugin, medvid_medt.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
