"""The environment of a run, for environment.json: enough to repeat it, without names of persons, hosts or secrets."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import psutil
import torch

from medvid.errors import PluginError
from medvid.redaction import redact_command

GIT_TIMEOUT = 5.0
"""Seconds to wait for git, which can be slow on a network disk."""


def describe_environment(plugins: Mapping[str, str], unverified: Sequence[str] = ()) -> dict[str, Any]:
    """Collect software versions, hardware, code revision and command line, as plain JSON values.

    Args:
        plugins: version per distribution whose plugins the run uses.
        unverified: the editable ones, whose version does not identify the code.
    """
    return {
        "command": redact_command(_command()),
        "versions": {"python": platform.python_version(), **_versions("medvid")},
        "plugins": dict(plugins),
        "unverified_plugins": list(unverified),
        "git": describe_git(Path.cwd()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": {
            "model": _cpu_model(),
            "cores": psutil.cpu_count(logical=False),
            "threads": psutil.cpu_count(),
        },
        "memory_gib": _gib(psutil.virtual_memory().total),
        "gpus": [_describe_gpu(index) for index in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "torch_threads": torch.get_num_threads(),
    }


def compare_environments(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Compare the versions of an environment with those at the start of a run.

    Returns:
        A line for each difference in software that can affect the numbers.
    """
    found = []
    for kind in ("plugins", "versions"):
        old, new = before.get(kind), now[kind]
        if isinstance(old, Mapping):
            found += [_difference(name, old, new) for name in sorted(old.keys() & new.keys()) if old[name] != new[name]]
    return found


def check_plugins(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse to continue a run with another major version of a plugin.

    Raises:
        PluginError: naming it.
    """
    for name in sorted(before.keys() & now.keys()):
        if before[name].partition(".")[0] != now[name].partition(".")[0]:
            raise PluginError(
                f"{_difference(name, before, now)}: another major version can compute something else",
                hint=f"install {name}=={before[name]}, or start a new run: platform run TASK.yaml",
            )


def _difference(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    return f"{name} is {now[name]}, was {before[name]} when the run started"


def _command() -> list[str]:
    """The command line; with only the program's name, since its place does not matter."""
    program, *arguments = sys.argv or [""]
    return [Path(program).name, *arguments]


def _versions(distribution: str) -> dict[str, str]:
    """Versions of a distribution and its requirements, without importing any of them."""
    required = (requirement for requirement in requires(distribution) or () if "extra ==" not in requirement)
    names = [distribution, *sorted(re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in required)]
    return {name: found for name in names if (found := _version(name))}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def describe_git(folder: Path) -> dict[str, Any] | None:
    """Commit, branch and whether tracked files differ from it; None outside a repository with a commit."""
    command = ["git", "-C", str(folder), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    quiet = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        status = subprocess.run(command, capture_output=True, text=True, timeout=GIT_TIMEOUT, check=True, env=quiet)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = status.stdout.splitlines()
    header = dict(line.removeprefix("# branch.").split(" ", 1) for line in lines if line.startswith("# branch."))
    if header.get("oid", "(initial)") == "(initial)":
        return None
    return {"commit": header["oid"], "branch": header["head"], "dirty": any(line[0] != "#" for line in lines)}


def _describe_gpu(index: int) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(index)
    return {"name": properties.name, "memory_gib": _gib(properties.total_memory)}


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gib(size: int) -> float:
    return round(size / 2**30, 1)
