"""The share of the machine that this process may use: a container or a scheduler often grants less than all."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
"""The file system in which Linux shows control groups."""
_MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Cores that this process may use, at least 1: by affinity, and by the CPU time of its control groups."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(quota) for quota in _core_quotas())]))


def usable_memory() -> int:
    """Free memory for this process in bytes: on the machine, and in its control groups."""
    return max(0, min([int(psutil.virtual_memory().available), *_memory_left()]))


def _core_quotas() -> Iterator[float]:
    """The CPU time, in cores, that each group around this process grants."""
    for folder in _groups("cpu"):
        with suppress(OSError, ValueError):  # version 2: "max 100000" or "200000 100000"
            quota, period = (folder / "cpu.max").read_text().split()
            if quota != "max":
                yield int(quota) / int(period)
        with suppress(OSError, ValueError):  # version 1: -1 without a limit
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if int(quota) > 0:
                yield int(quota) / int(period)


def _memory_left() -> Iterator[int]:
    """Free memory in each group around this process; cached files can be dropped, so they count as free."""
    for folder in _groups("memory"):
        for limit, used, cached in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            with suppress(OSError, ValueError):
                left = int((folder / limit).read_text()) - int((folder / used).read_text())
                yield left + _statistic(folder / "memory.stat", cached)


def _statistic(path: Path, name: str) -> int:
    lines = dict(line.split(maxsplit=1) for line in path.read_text().splitlines())
    return int(lines.get(name, 0))


def _groups(controller: str) -> Iterator[Path]:
    """The control groups that this process is in, from the innermost one outwards, for either version."""
    with suppress(OSError):
        for line in _MEMBERSHIP.read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            top = next((path for path in (CGROUPS / controllers, CGROUPS / controller) if path.is_dir()), CGROUPS)
            path = (top if controllers else CGROUPS) / group.lstrip("/")
            # In a container the group often has the host's name, and its limits are at the top.
            yield from (folder for folder in (path, *path.parents) if folder.is_relative_to(CGROUPS))
