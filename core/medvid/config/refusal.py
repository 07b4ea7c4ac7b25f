"""All that is wrong with a file of settings as one error, in the order of the file."""

import re
from collections.abc import Sequence
from pathlib import Path

from medvid.config.layers import Layers
from medvid.config.renamed import named_anew
from medvid.config.yaml import KeyPath, Problem
from medvid.errors import ConfigError, PluginError


def read_text(path: Path, kind: str) -> str:
    """The text of a file of settings.

    Args:
        path: the file.
        kind: what it should be: task file, study file.

    Raises:
        ConfigError: it cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the {kind} {path} cannot be read: {error.strerror}", hint="give a .yaml file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a {kind}: it is not UTF-8 text", hint="give a .yaml file") from None


def error_of(
    path: Path, layers: Layers, problems: Sequence[Problem], hints: Sequence[str] = ()
) -> ConfigError | PluginError:
    """The error that says all that is wrong, each with its place; the plugin's fault where one of them is.

    Args:
        path: the file.
        layers: what was read of it, and what was laid over it.
        problems: what is wrong, at least one.
        hints: what to do, besides the hints of the problems.
    """
    for problem in problems:
        if isinstance(problem.cause, PluginError):
            return PluginError(_line(path, layers, problem), hint=problem.cause.hint)
    problems = [named_anew(problem) for problem in problems]
    hints = [*hints, *(problem.cause.hint for problem in problems if problem.cause and problem.cause.hint)]
    # What is wrong with a value in the file's text makes its validation fail too: once is enough.
    broken = [problem.path for problem in problems if problem.place]
    lines = [
        _line(path, layers, problem)
        for problem in problems
        if problem.place or not any(problem.path[: len(above)] == above for above in broken)
    ]
    lines.sort(key=_position)
    message = lines[0] if len(lines) == 1 else f"{path}: {len(lines)} problems\n  " + "\n  ".join(lines)
    return ConfigError(message, hint="\n".join(dict.fromkeys(hints)))


def _line(path: Path, layers: Layers, problem: Problem) -> str:
    key: KeyPath = problem.path
    place = problem.place or layers.place(key) or f"{path}:1:1"
    return ": ".join([place, *([".".join(map(str, key))] if key else []), problem.message])


def _position(line: str) -> tuple[int, ...]:
    """Where a message belongs: in the order of the file, overrides last."""
    place = re.match(r".*?:(\d+):(\d+): ", line)
    return (0, int(place[1]), int(place[2])) if place and not line.startswith("--set ") else (1,)
