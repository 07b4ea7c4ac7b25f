"""Exceptions, what is not applicable, and the kit as tests of pytest and as a command."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from medvid.errors import ConfigError
from medvid.plugin.host import make_host
from medvid.plugin.specs import ComponentSpec
from medvid.testing import CheckFailedError, CheckResult, find_components, host_with, parametrize_with_checks

Make = Callable[..., Any]
Results = Callable[..., dict[str, CheckResult]]


def test_a_declared_exception_is_shown_with_its_reason(backbone: Make, results: Results) -> None:
    found = results(backbone("Idle", exceptions={"gradients": "a spare part"}))["gradients"]
    assert (found.outcome, found.reason) == ("declared", "a spare part")


def test_an_exception_that_is_none_fails(backbone: Make, results: Results) -> None:
    found = results(backbone(), expected_failures={"gradients": "a spare part"})["gradients"]
    assert found.outcome == "failed"
    assert "a spare part" in found.reason


def test_an_exception_from_no_check_is_refused(backbone: Make, results: Results) -> None:
    with pytest.raises(ConfigError, match="gradeints"):
        results(backbone(exceptions={"gradeints": "a spare part"}))


def test_what_is_not_applicable_says_why(dataset: Make, results: Results) -> None:
    found = results(dataset(demo="", demo_config=""))["draws"]
    assert found.outcome == "not applicable"
    assert "no generator" in found.reason


def test_the_example_that_fails_is_named(backbone: Make, results: Results) -> None:
    good = backbone().examples[0]
    broken = type(good)({"width": "wide"}, axes="image", size=(8, 8))
    assert results(backbone(examples=(good, broken)))["options"].reason.startswith("example 2: ")


@pytest.mark.parametrize(("name", "count"), [("unetr", 2), ("heads", 6), ("pixel", 1)])
def test_components_are_found_by_their_name_and_by_their_plugin(name: str, count: int) -> None:
    assert len(find_components(make_host(), name)) == count


def test_an_unknown_component_is_an_error() -> None:
    with pytest.raises(ConfigError, match="'unter'"):
        find_components(make_host(), "unter")


def _parameters(spec: ComponentSpec, **more: Any) -> dict[str, Any]:
    mark = parametrize_with_checks(spec.name, host=host_with(spec), **more)
    return {parameter.id: parameter for parameter in mark.mark.args[1]}


def test_checks_become_tests(backbone: Make) -> None:
    parameters = _parameters(backbone("Idle"), expected_failures={"state": "none"})
    [passing] = parameters["backbone-toy-deterministic"].values
    [failing] = parameters["backbone-toy-gradients"].values
    passing()
    with pytest.raises(CheckFailedError, match="spare"):
        failing()
    [mark] = parameters["backbone-toy-state"].marks
    assert (mark.name, mark.kwargs) == ("xfail", {"reason": "none", "strict": True})


def test_a_check_that_is_not_applicable_skips(dataset: Make) -> None:
    [check] = _parameters(dataset(demo=""))["dataset-toy-seeds"].values
    with pytest.raises(pytest.skip.Exception, match="no generator"):
        check()


def test_importing_the_kit_does_not_import_pytest() -> None:
    code = "import sys, medvid.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
