"""The checks as tests of pytest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medvid.plugin.host import Host, make_host
from medvid.plugin.specs import ComponentSpec
from medvid.testing.check import CheckFailedError
from medvid.testing.run import all_components, checks_of, find_components, run_check, subjects

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True, slots=True)
class ComponentCheck:
    """One check of one component; called, it passes, fails or skips as a test of pytest.

    Args:
        host: has the component.
        spec: the component.
        name: of the check.
        data: folder of a data set that has no demo data.
    """

    host: Host
    spec: ComponentSpec
    name: str
    data: Path | None = None

    def __call__(self) -> None:
        """Run the check."""
        import pytest

        with subjects(self.host, self.spec, self.data) as examples:
            outcome, reason = run_check(checks_of(self.spec)[self.name], examples)
        if outcome == "not applicable":
            pytest.skip(reason)
        if outcome == "failed":
            raise CheckFailedError(reason)


def parametrize_with_checks(
    name: str | None = None,
    *,
    host: Host | None = None,
    expected_failures: Mapping[str, str] | None = None,
    data: Path | None = None,
) -> "pytest.MarkDecorator":
    """Decorate a test with all checks of a component: the test has an argument `check` and calls it.

    ::

        @parametrize_with_checks("unetr", expected_failures={"exports": "its loop depends on the data"})
        def test_conformance(check):
            check()

    Args:
        name: of a component, or of a plugin or distribution for all of its components; default: all components.
        host: has them; default: the enabled plugins. See `host_with` for components that are not installed.
        expected_failures: names of checks that fail, with the reasons, beside those of `ComponentSpec.exceptions`; one
            that passes is an error.
        data: folder of a data set that has no demo data.
    """
    import pytest

    host = host or make_host()
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                ComponentCheck(host, spec, check, data),
                id=f"{spec.kind}-{spec.name}-{check}",
                marks=_marks(check, dict(spec.exceptions) | dict(expected_failures or {})),
            )
            for spec in (find_components(host, name) if name else all_components(host))
            for check in checks_of(spec)
        ],
    )


def _marks(check: str, exceptions: Mapping[str, str]) -> "tuple[pytest.MarkDecorator, ...]":
    import pytest

    return (pytest.mark.xfail(reason=exceptions[check], strict=True),) if check in exceptions else ()
