"""Components that break one promise each, and a way to hold them to the kit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medvid.plugin.specs import BackboneSpec, ComponentSpec, DatasetSpec, Example, HeadSpec, ProtocolSpec
from medvid.testing import CheckResult, check_component, checks_of, host_with
from medvid.testing.run import run_check, subjects


@pytest.fixture(autouse=True)
def _toys_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.fixture
def backbone() -> Callable[..., BackboneSpec]:
    """The spec of a backbone of toy_backbones.py."""

    def make(target: str = "Good", **more: Any) -> BackboneSpec:
        given: dict[str, Any] = {
            "name": "toy",
            "target": f"toy_backbones:{target}",
            "config": "toy_options:NetOptions",
            "summary": "a toy",
            "axes": ("image",),
            "features": ("maps", "embedding"),
            "examples": (Example({"width": 4}, axes="image", size=(8, 8)),),
        }
        return BackboneSpec(**given | more)

    return make


@pytest.fixture
def head() -> Callable[..., HeadSpec]:
    """The spec of a head of toy_heads.py."""

    def make(target: str = "Good", **more: Any) -> HeadSpec:
        given: dict[str, Any] = {
            "name": "toy",
            "target": f"toy_heads:{target}",
            "config": "toy_options:PointOptions",
            "summary": "a toy",
            "where": "voxel",
            "needs": ("maps",),
        }
        return HeadSpec(**given | more)

    return make


@pytest.fixture
def dataset() -> Callable[..., DatasetSpec]:
    """The spec of a data set of toy_datasets.py."""

    def make(target: str = "Good", **more: Any) -> DatasetSpec:
        given: dict[str, Any] = {
            "name": "toy",
            "target": f"toy_datasets:{target}",
            "config": "toy_options:SetOptions",
            "summary": "a toy",
            "axes": "volume",
            "where": "voxel",
            "what": ("class",),
            "demo": "toy_datasets:generate",
            "demo_config": "toy_options:DemoOptions",
        }
        return DatasetSpec(**given | more)

    return make


@pytest.fixture
def protocol() -> Callable[..., ProtocolSpec]:
    """The spec of a protocol of toy_protocols.py."""

    def make(target: str = "good", **more: Any) -> ProtocolSpec:
        given: dict[str, Any] = {
            "name": "toy",
            "target": f"toy_protocols:{target}",
            "config": "toy_options:ScoringOptions",
            "summary": "a toy",
            "where": ("voxel",),
        }
        return ProtocolSpec(**given | more)

    return make


@pytest.fixture
def results() -> Callable[..., dict[str, CheckResult]]:
    """All results of a component, by check."""

    def of(spec: ComponentSpec, **more: Any) -> dict[str, CheckResult]:
        return {result.check: result for result in check_component(host_with(spec), spec, **more)}

    return of


@pytest.fixture
def outcome() -> Callable[[ComponentSpec, str], tuple[str, str]]:
    """Outcome and reason of one check."""

    def of(spec: ComponentSpec, check: str) -> tuple[str, str]:
        with subjects(host_with(spec), spec) as examples:
            return run_check(checks_of(spec)[check], examples)

    return of
