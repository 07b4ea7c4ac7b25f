"""What a check is, and how it says what it found."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from medvid.config.examples import read_options
from medvid.config.options import Options
from medvid.plugin.host import Host
from medvid.plugin.specs import ComponentSpec, Example

Outcome = Literal["ok", "failed", "not applicable", "declared"]


class CheckFailedError(AssertionError):
    """A component does not keep to the contract; the message says in what."""


class NotApplicableError(Exception):
    """A check has nothing to look at in a component; the message says why."""


@dataclass(frozen=True)
class Subject:
    """A component under test, with one of its examples.

    Args:
        host: has the component, and those that it runs inside.
        spec: the component.
        example: its options.
        data: folder of a data set, for those that cannot generate one.
    """

    host: Host
    spec: ComponentSpec
    example: Example
    data: Path | None = None

    @classmethod
    def make(cls, host: Host, spec: ComponentSpec, example: Example, folder: Path, data: Path | None) -> Self:
        """A component with one of its examples, ready to be tried.

        Args:
            host: has the component.
            spec: the component.
            example: its options.
            folder: for what is needed beside them; gone afterwards.
            data: as that of the subject.
        """
        del folder
        return cls(host, spec, example, data)

    def ways(self) -> Iterable[Self]:
        """The ways in which the component is tried with this example; here: one."""
        return (self,)

    @property
    def block(self) -> dict[str, Any]:
        """The block of the example, as a task file has it."""
        return {"name": self.spec.name, **self.example.options}

    @cached_property
    def options(self) -> Any:
        """The validated options of the example."""
        return self.read(self.block)

    def read(self, block: dict[str, Any]) -> Options:
        """Validate another block; raises `medvid.errors.ConfigError`."""
        return read_options(self.host, self.spec, block)

    def load(self, target: str) -> Any:
        """Import what the spec names; raises `medvid.errors.PluginError`."""
        return self.host.load(self.spec, target)

    def make_target(self, *arguments: Any) -> Any:
        """Build the component with the options of the example; raises `medvid.errors.PluginError`."""
        return self.host.build(self.options, *arguments)


Check = Callable[[Any], None]
"""Takes a Subject (of the kind that it is for) and raises one of the two exceptions above, or whatever went wrong. Its
name is the function's, without ``check_``; the first line of its docstring says what has to hold."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of a check.

    Args:
        component: kind and name.
        check: name of the check.
        outcome: ``declared``: the component fails it and says so, with a reason.
        seconds: how long it took.
        reason: what is wrong, or why it is not applicable or declared.
    """

    component: str
    check: str
    outcome: Outcome
    seconds: float
    reason: str = ""


def expect(holds: bool, message: str) -> None:
    """Fail the check with this message unless the condition holds."""
    if not holds:
        raise CheckFailedError(message)
