"""Puts back what a plugin's code changes for the whole process; the table of that is in `medvid.plugin.settings`.

So a run has the same bits with and without a plugin that has no part in it. What is put back is told, by the plugin's
name. It keeps order among well-meaning plugins and is not a sandbox: threads, files and other settings stay theirs.
"""

import sys
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
    before = [(setting, value) for setting in settings() if (value := _read(setting)) is not None]
    try:
        yield
    finally:
        known = {setting.name for setting, _ in before}
        imported = [(setting, setting.initial) for setting in settings() if setting.name not in known]
        changed = [_put_back(*pair) for pair in before + imported if pair[0].name not in exempt]
        if told := ", ".join(dict.fromkeys(filter(None, changed))):
            report(told)


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
    report(f"changed {changed} on import; this was restored")


@dataclass(slots=True)
class _Aside:
    """A stream to the current standard error; a handler can keep it."""

    used: bool = field(default=False)

    def write(self, text: str) -> int:
        self.used = True
        return sys.stderr.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def _read(setting: Setting) -> Any:
    try:
        return setting.read()
    except OSError:  # the working directory is gone
        return None


def _put_back(setting: Setting, before: Any) -> str:
    """Restore a setting if it has changed; returns what to say of it, if anything."""
    try:
        if before is None or (setting.told and setting.read() == before):
            return ""
        setting.write(before)
    except Exception as error:  # a folder that is gone; the other settings have to be put back nevertheless
        return f"{setting.name} (which cannot be restored: {error})"
    return setting.name if setting.told else ""
