"""The matrix from specs and examples alone, with a reason for every pair that does not fit."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from medvid.config.examples import example_input, fitting_example, read_options
from medvid.config.matrix import Cell, matrix
from medvid.errors import ConfigError
from medvid.plugin import BackboneSpec, Example, HeadSpec
from medvid.plugin.host import Host
from medvid.plugin.specs import Axes, ComponentSpec
from medvid.testing import host_with

MakeHost = Callable[..., Host]


@pytest.fixture(autouse=True)
def _toys_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)


def _net(*examples: Example, axes: tuple[Axes, ...] = ("image",), **more: object) -> BackboneSpec:
    given: dict[str, object] = {"features": ("maps",), **more}
    return BackboneSpec(
        name="net", target="toy:Net", config="toy_components:NetOptions", axes=axes, examples=examples, **given
    )


def _head(name: str = "pixel_toy", axes: tuple[Axes, ...] = ("image", "volume", "video")) -> HeadSpec:
    return HeadSpec(
        name=name, target="toy:Head", config="toy_components:PixelOptions", axes=axes, where="voxel",
        needs=("maps",),
    )  # fmt: skip


def _cells(*specs: ComponentSpec) -> dict[str, Cell]:
    return {
        cell.axes: cell for cell in matrix(host_with(*specs)) if cell.backbone.name == "net" and "toy" in cell.head.name
    }


def _manners(cells: Iterable[Cell]) -> list[str]:
    return [cell.manner for cell in cells]


IMAGE = Example({"sizes": [6, 8]}, axes="image", size=(6, 8))


def test_one_example_reaches_the_other_layouts() -> None:
    cells = _cells(_net(IMAGE), _head())
    assert _manners(cells.values()) == ["as it is", "slice by slice", "frame by frame"]
    sizes = [cell.input_info.size for cell in cells.values() if cell.input_info]
    assert sizes == [(6, 8), (6, 8, 4), (4, 6, 8)]


def test_the_example_of_the_layout_is_preferred() -> None:
    volume = Example({"sizes": [6, 8, 2]}, axes="volume", size=(6, 8, 2))
    cells = _cells(_net(IMAGE, volume, axes=("image", "volume")), _head())
    assert _manners(cells.values()) == ["as it is", "as it is", "with frames as slices"]
    assert cells["video"].input_info is not None
    assert cells["video"].input_info.size == (2, 6, 8)


@pytest.mark.parametrize(
    ("backbone", "head", "reason"),
    [
        (_net(IMAGE, features=("embedding",)), _head(), "needs maps, but backbone 'net' returns only embedding"),
        (_net(IMAGE), _head(axes=("image",)), "head 'pixel_toy' works on images only"),
        (_net(), _head(), "brings no example"),
        (_net(Example({"sizes": [3]}, axes="image", size=(6, 8))), _head(), "sizes is [3], inputs are [6, 8]"),
        (_net(Example({"width": 3}, axes="image", size=(6, 8))), _head(), "width (3) has to be even"),
        (_net(Example({}, axes="image", size=(6,))), _head(), "the length of each of its axes"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(backbone: BackboneSpec, head: HeadSpec, reason: str) -> None:
    cell = _cells(backbone, head)["volume"]
    assert not cell.trains
    assert reason in cell.problem


def test_options_of_a_backbone_inside_are_read_too(make_toy_host: MakeHost) -> None:
    host = make_toy_host()
    with pytest.raises(ConfigError, match="options of backbone 'net' are wrong: widht: unknown key"):
        read_options(host, host.spec(BackboneSpec, "net"), {"widht": 2})


def test_an_example_has_to_be_for_a_layout_of_the_backbone() -> None:
    with pytest.raises(ConfigError, match="name axes of the backbone"):
        example_input(_net(axes=("video",)), IMAGE, "video")


def test_an_unfit_example_gives_way_to_one_that_fits() -> None:
    unfit = Example({"sizes": [1, 1]}, axes="image", size=(6, 8))
    spec = _net(unfit, IMAGE)
    assert fitting_example(host_with(spec), spec, "image") == (IMAGE, None)


def test_the_matrix_of_all_plugins_imports_nothing_heavy() -> None:
    code = """
import sys
from medvid.config.matrix import matrix
from medvid.plugin.host import make_host
assert list(matrix(make_host()))
sys.exit(", ".join(name for name in ("torch", "numpy", "monai") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
