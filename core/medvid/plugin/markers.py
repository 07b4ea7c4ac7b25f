"""The pluggy markers of medvid, and how a distribution announces plugins; alone, so that nothing else is imported."""

import re

import pluggy

PROJECT = "medvid"
API_VERSION = 1
"""Of hooks, specs and the contracts behind them; goes up when a change would break plugins that are out there."""
ENTRY_POINT_GROUP = "medvid.plugins"
"""The group of API version 1. A plugin that is built for version N > 1 announces itself in ``medvid.plugins.vN``, so
that the version is known from metadata, before anything of the plugin is imported."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


def api_version(group: str) -> int | None:
    """The API version that a group of entry points stands for; None for groups of other projects."""
    match = re.fullmatch(re.escape(ENTRY_POINT_GROUP) + r"(?:\.v(\d+))?", group)
    return int(match[1] or 1) if match else None
