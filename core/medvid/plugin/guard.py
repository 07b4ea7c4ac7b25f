"""Puts back what a plugin's code changes for the whole process; the table of that is in `medvid.plugin.settings`.

So a run has the same bits with and without a plugin that has no part in it. What is put back is told, by the plugin's
name. It keeps order among well-meaning plugins and is no sandbox: threads, files and other settings stay theirs.
"""

import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from medvid.plugin.settings import Setting, settings

Report = Callable[[str], None]


@contextmanager
def guarded(report: Report, exempt: Collection[str] = ()) -> Iterator[None]:
    """Within the block, a plugin's code runs; afterwards the process is as it was.

    Args:
        exempt: names of settings that it may change.
        report: is told what was put back, if anything: ``"the working directory, torch's default dtype"``.
    """
    before = [(setting, setting.read()) for setting in settings() if setting.name not in exempt]
    filters = list(warnings.filters)
    try:
        yield
    finally:
        changed = [said for setting, value in before if (said := _put_back(setting, value))]
        if _put_filters_back(filters):
            changed.append("the warning filters")
        if changed:
            report(", ".join(dict.fromkeys(changed)))


@contextmanager
def guarded_import(report: Report, exempt: Collection[str] = ()) -> Iterator[None]:
    """As `guarded`; besides, what is printed goes to standard error, as standard output is for scripts to read."""
    aside = _Aside()
    changed = partial(_say_changed, report)
    with guarded(changed, exempt), redirect_stdout(aside):
        try:
            yield
        finally:
            if aside.used:
                report("printed on import; this is shown on standard error")


def _say_changed(report: Report, changed: str) -> None:
    report(f"changed {changed} on import; this is put back")


@dataclass(slots=True)
class _Aside:
    """A stream that leads to standard error, whatever that is then; a handler may keep it."""

    used: bool = field(default=False)

    def write(self, text: str) -> int:
        self.used = True
        return sys.stderr.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def _put_back(setting: Setting, before: Any) -> str:
    """Restore a setting if it has changed; returns what to say of it, if anything."""
    try:
        if setting.read() == before:
            return ""
        setting.write(before)
    except Exception as error:  # a folder that is gone; the other settings have to be put back nevertheless
        return f"{setting.name} (which cannot be put back: {error})"
    return setting.name if setting.told else ""


def _put_filters_back(filters: list[Any]) -> bool:
    """Restore the warning filters, but leave what libraries have added for their own messages when imported."""
    now = list(warnings.filters)
    added = [item for item in now if item not in filters]
    narrow = [item for item in added if _is_narrow(item)]
    if narrow == added and all(item in now for item in filters):
        return False
    wanted = narrow + filters
    warnings.resetwarnings()  # makes Python look at the filters anew
    warnings.filters.extend(wanted)  # type: ignore[attr-defined] # typeshed has it as a sequence that cannot grow
    return True


def _is_narrow(warning_filter: Any) -> bool:
    """Whether a filter concerns some messages or modules only, or a category that is not Python's own."""
    _, message, category, module, _ = warning_filter
    return message is not None or module is not None or category.__module__ != "builtins"
