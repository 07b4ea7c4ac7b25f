"""Loads plugins in a process of its own first: what would end or hang the host's process is found out there.

And whether they import torch or numpy: the host then imports these before them, to know their settings.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import EntryPoint

from medvid.plugin.discovery import PluginStatus

IMPORTS = {"torch": "t", "numpy": "n"}
"""Marks of the modules whose settings plugins change; torch imports numpy."""
TIMEOUT = 60
"""Seconds that a plugin may take; one that imports torch, cold, takes most of them."""


def mark_deadly(plugins: Sequence[PluginStatus]) -> tuple[PluginStatus, ...]:
    """Mark as broken the third-party plugins whose loading ends or hangs a process, so that no host loads them."""
    enabled = [plugin for plugin in plugins if plugin.status == "enabled"]
    reasons = dict(_find_deadly(enabled))
    return tuple(
        replace(plugin, status="broken", reason=reason) if (reason := reasons.get(plugin.label)) else plugin
        for plugin in plugins
    )


def _find_deadly(plugins: Sequence[PluginStatus]) -> Iterator[tuple[str, str]]:
    """Label and reason of each deadly plugin."""
    while plugins:
        told, status = _load_elsewhere(plugins)
        begun = len(told)
        for name, mark in IMPORTS.items():
            if mark in told:
                importlib.import_module(name)
        if begun > len(plugins) or not begun:  # all is well; or not even the process began, which is no plugin's fault
            return
        if status is None and begun > 1:  # those before may have taken the time
            plugins = plugins[begun - 1 :]
            continue
        yield plugins[begun - 1].label, _describe_end(status)
        plugins = plugins[begun:]


def _load_elsewhere(plugins: Sequence[PluginStatus]) -> tuple[str, int | None]:
    """Load plugins in a new process.

    Returns:
        A mark for each that it began to load, and one more if it loaded all: of `IMPORTS`, what was imported by then;
        and its exit status, None for none in time.
    """
    points = [plugin.entry_point for plugin in plugins if plugin.entry_point]
    order = {"path": sys.path, "points": [(point.name, point.value, point.group) for point in points]}
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError:  # where Python is embedded in another program
        return "", None
    with process:
        try:
            told, _ = process.communicate(json.dumps(order), timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            told, _ = process.communicate()
            return told, None
        finally:
            process.kill()
    return told, process.returncode


def _describe_end(status: int | None) -> str:
    if status is None:
        return f"it is not loaded after {TIMEOUT} s"
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return f"it ends the process that loads it, with {how}"


def _main() -> None:
    """Load the plugins named on standard input, and write a mark before each and after the last."""
    import pluggy

    from medvid.plugin import hookspecs
    from medvid.plugin.loading import load_plugin
    from medvid.plugin.markers import PROJECT

    order, progress = json.load(sys.stdin), os.dup(1)
    os.dup2(2, 1)  # plugins may print
    sys.path[:] = order["path"]
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    for name, value, group in order["points"]:
        os.write(progress, _mark())
        with suppress(KeyboardInterrupt):  # the user's, whom the host hears too
            load_plugin(manager, PluginStatus(name, "", "", "enabled", entry_point=EntryPoint(name, value, group)))
    os.write(progress, _mark())


def _mark() -> bytes:
    return next((mark for name, mark in IMPORTS.items() if name in sys.modules), ".").encode()


if __name__ == "__main__":
    _main()
