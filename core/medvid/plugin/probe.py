"""Loads plugins in a process of its own first: what would end or hang the host's process is found out there."""

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

TIMEOUT = 60
"""Seconds that all plugins together may take; one that imports torch, cold, takes most of them."""


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
        begun, reason = _load_elsewhere(plugins)
        if not reason or not begun:  # all is well, or not even the process could begin, which is no plugin's fault
            return
        yield plugins[begun - 1].label, reason
        plugins = plugins[begun:]


def _load_elsewhere(plugins: Sequence[PluginStatus]) -> tuple[int, str]:
    """How many plugins a new process began to load, and why it ended before it was done; empty if it was not."""
    points = [plugin.entry_point for plugin in plugins if plugin.entry_point]
    order = {"path": sys.path, "points": [(point.name, point.value, point.group) for point in points]}
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            told, _ = process.communicate(json.dumps(order), timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            told, _ = process.communicate()
            return len(told), f"it is not loaded after {TIMEOUT} s"
        finally:
            process.kill()
    if len(told) > len(points):  # the last byte says that all are loaded
        return len(told), ""
    code = process.returncode
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    return len(told), f"it ends the process that loads it, with {how}"


def _main() -> None:
    """Load the plugins named on standard input, and write a byte before each and after the last."""
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
        os.write(progress, b".")
        with suppress(KeyboardInterrupt):  # the user's, whom the host hears too
            load_plugin(manager, PluginStatus(name, "", "", "enabled", entry_point=EntryPoint(name, value, group)))
    os.write(progress, b".")


if __name__ == "__main__":
    _main()
