"""Runs the checks of a component."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pluggy

from medvid.errors import ConfigError, PluginError
from medvid.plugin import hookspecs
from medvid.plugin.allowlist import AllowList
from medvid.plugin.discovery import PluginStatus
from medvid.plugin.host import Host, make_host, why_absent
from medvid.plugin.kinds import KINDS
from medvid.plugin.markers import PROJECT
from medvid.plugin.specs import ComponentSpec, Example, load_attribute
from medvid.testing.check import Check, CheckResult, NotApplicableError, Outcome, Subject
from medvid.testing.kits import Kit


def checks_of(spec: ComponentSpec) -> dict[str, Check]:
    """The checks that are for a component, by name."""
    return {check.__name__.removeprefix("check_"): check for check in _kit(spec).checks}


def check_component(
    host: Host,
    spec: ComponentSpec,
    *,
    expected_failures: Mapping[str, str] | None = None,
    data: Path | None = None,
) -> Iterator[CheckResult]:
    """Hold a component to the contract, check by check, as the results are asked for.

    Args:
        host: has the component.
        spec: the component.
        expected_failures: names of checks that it fails, with the reasons, beside those of `ComponentSpec.exceptions`.
            One that it passes has to be taken out: that is a failure.
        data: folder of a data set that has no demo data.

    Raises:
        ConfigError: an expected failure is of no check.
    """
    checks, exceptions = checks_of(spec), dict(spec.exceptions) | dict(expected_failures or {})
    if unknown := sorted(set(exceptions) - set(checks)):
        raise ConfigError(
            f"{spec.kind} {spec.name!r} declares exceptions from checks that there are not: {', '.join(unknown)}",
            hint=f"the checks of a {spec.kind} are {', '.join(checks)}",
        )
    with subjects(host, spec, data) as examples:
        for name, check in checks.items():
            began = time.perf_counter()
            outcome, reason = _judged(*run_check(check, examples), exceptions.get(name))
            yield CheckResult(f"{spec.kind} {spec.name}", name, outcome, time.perf_counter() - began, reason)


@contextmanager
def subjects(host: Host, spec: ComponentSpec, data: Path | None = None) -> Iterator[tuple[Subject, ...]]:
    """The component with each of its examples; a data set with a generated demo, which is gone afterwards."""
    make = _kit(spec).subject.make
    with TemporaryDirectory(prefix="medvid-") as folder:
        made = [make(host, spec, example, Path(folder), data) for example in spec.examples or (Example(),)]
        yield tuple(way for subject in made for way in subject.ways())


def run_check(check: Check, examples: tuple[Subject, ...]) -> tuple[Outcome, str]:
    """Run a check on all examples of a component; says of which one what is wrong."""
    reason = ""
    for number, subject in enumerate(examples, start=1):
        try:
            check(subject)
        except NotApplicableError as error:
            reason = str(error)
        except Exception as error:
            which = f"example {number}: " if len(examples) > 1 else ""
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            return "failed", f"{which}{kind}{error}"
    return ("not applicable", reason) if reason else ("ok", "")


def find_components(host: Host, name: str) -> tuple[ComponentSpec, ...]:
    """The components that a name means: those called so, else those of the plugin or distribution called so.

    Raises:
        ConfigError: nothing is called so.
        PluginError: the plugin called so is not loaded, or has none.
    """
    active = [plugin for plugin in host.plugins if plugin.active]
    named = [spec for plugin in active for spec in plugin.components if spec.name == name]
    owned = [spec for plugin in active if name in (plugin.name, plugin.distribution) for spec in plugin.components]
    if not (named or owned):
        for plugin in host.plugins:
            if name in (plugin.name, plugin.distribution):
                raise PluginError(f"{plugin.label} has no components to check" if plugin.active else why_absent(plugin))
        raise ConfigError(f"there is no component and no plugin named {name!r}", hint="see: platform plugins list")
    return tuple(named or owned)


def all_components(host: Host) -> tuple[ComponentSpec, ...]:
    """All components that a task can name."""
    return tuple(spec for kind in KINDS.values() for spec in host.specs(kind.spec))


def host_with(*specs: ComponentSpec) -> Host:
    """A host of the enabled plugins and of one more that contributes these components, for tests of components."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    under_test = PluginStatus("under_test", "under_test", "", "enabled", components=specs)
    return Host(AllowList(), manager, (*make_host().plugins, under_test))


def _judged(outcome: Outcome, reason: str, exception: str | None) -> tuple[Outcome, str]:
    if exception is None:
        return outcome, reason
    if outcome == "failed":
        return "declared", exception
    return "failed", f"is declared to fail ({exception}), but does not; take the exception out"


def _kit(spec: ComponentSpec) -> Kit:
    return cast(Kit, load_attribute(KINDS[spec.kind].kit))
