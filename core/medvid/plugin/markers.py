"""The pluggy markers of medvid, on their own so that a plugin imports nothing else."""

import pluggy

PROJECT = "medvid"
ENTRY_POINT_GROUP = "medvid.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
