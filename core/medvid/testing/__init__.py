"""The conformance kit: what every component, of medvid or of anybody else, is held to.

`platform plugins check NAME` runs it on an installed plugin. In a plugin's own tests::

    from medvid.testing import parametrize_with_checks

    @parametrize_with_checks("my_network")
    def test_conformance(check):
        check()

A component is tried with the examples that its spec brings, see `medvid.plugin.Example`. Where it cannot keep to a
check, it says so and why: `ComponentSpec.exceptions`, or `expected_failures` in its test.
"""

from medvid.testing.cells import cell_task, try_cell
from medvid.testing.check import Check, CheckFailedError, CheckResult, NotApplicableError, Outcome, Subject
from medvid.testing.pytest_support import ComponentCheck, parametrize_with_checks
from medvid.testing.run import all_components, check_component, checks_of, find_components, host_with
from medvid.testing.toy import ToyCase, ToyDataset, ToyOptions

__all__ = [
    "Check",
    "CheckFailedError",
    "CheckResult",
    "ComponentCheck",
    "NotApplicableError",
    "Outcome",
    "Subject",
    "ToyCase",
    "ToyDataset",
    "ToyOptions",
    "all_components",
    "cell_task",
    "check_component",
    "checks_of",
    "find_components",
    "host_with",
    "parametrize_with_checks",
    "try_cell",
]
