"""What is logged to MLflow about a run: names that it accepts, parameters, tags and a description, without secrets."""

import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from medvid.digests import digest_of
from medvid.plugin.events import RunInfo
from medvid.redaction import HIDDEN, is_secret, redact

# MLflow's limits, in characters.
MAX_KEY = 250
MAX_PARAMETER = 6000
MAX_TAG = 8000
MAX_EXPERIMENT = 500

SOURCE = "mlflow.source.name"
"""The tag shown in the list of runs; MLflow uses it for the program, which here is always the same."""

_PRIVATE = ("dataset.root", "dataset.split", "dataset.cache", "dataset.datalist", "output", "backbone.weights.path")
"""Options that hold names of cases, or paths."""

CONTEXTS = {"train": "training"}
"""MLflow's word for the use of a split, if it differs from the split's name."""


def safe_key(name: str) -> str:
    """The name, or the nearest that MLflow accepts for a metric, parameter or tag: letters, digits, ``_ - . / space``.

    A changed name ends in a digest of the original, so that two names never become one key.
    """
    parts = re.sub(r"[^\w\-./ ]", "_", name).split("/")
    near = "/".join(part for part in parts if part not in {"", ".", ".."})
    near = near.lstrip(".") if near.startswith("..") else near
    if near == name and len(name) <= MAX_KEY and name:
        return name
    mark = digest_of(name.encode(), 3)
    return f"{near[: MAX_KEY - len(mark) - 1]}-{mark}"


def experiment_name(name: str) -> str:
    """The nearest name that MLflow accepts for an experiment."""
    return " ".join(redact(name).split())[:MAX_EXPERIMENT]


def names_cases(config: Mapping[str, Any]) -> bool:
    """Whether names and paths of cases may be logged to MLflow."""
    return bool(config.get("tracking", {}).get("cases", True))


def has_pseudonyms(config: Mapping[str, Any]) -> bool:
    """Whether cases have pseudonyms, which may be logged to MLflow, unlike paths and options that name cases."""
    return bool(config.get("privacy", {}).get("pseudonyms", False))


def parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """The resolved task, flattened to dotted keys; without unset options, and without private ones if asked."""
    private = () if names_cases(config) and not has_pseudonyms(config) else _PRIVATE
    return {
        safe_key(key): _text(key, value)[:MAX_PARAMETER]
        for key, value in _flatten(config)
        if not key.startswith(("about.", *private))
    }


def _flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        return redact(json.dumps(value, default=str))
    return HIDDEN if is_secret(key) else redact(value)


def tags(run: RunInfo) -> dict[str, str]:
    """Tags to filter and compare runs by, and the description that MLflow shows on the run's page."""
    git = run.environment.get("git") or {}
    values = {
        "task": run.task,
        "data": "demo" if run.demo else "real",
        "seed": run.seed,
        "device": run.device,
        "medvid.version": version("medvid"),
        "medvid.extends": run.extends,
        **{f"plugin.{name}": installed for name, installed in run.plugins.items()},
        "plugins.unverified": ", ".join(run.unverified),
        **{f"mlflow.source.git.{name}": value for name, value in git.items()},
        SOURCE: parts(run),
        "mlflow.note.content": describe(run),
        **run.config.get("tracking", {}).get("tags", {}),
    }
    return {safe_key(key): _text(key, value)[:MAX_TAG] for key, value in values.items() if value not in (None, "")}


def parts(run: RunInfo) -> str:
    """The networks of a run, e.g. ``unetr + unetr_decoder``."""
    return f"{run.config['backbone']['name']} + {run.config['head']['name']}"


def describe(run: RunInfo) -> str:
    """A few lines of Markdown: what the run is and how to repeat it."""
    task = run.config
    folder = run.name if has_pseudonyms(task) else short_path(run.folder)
    warning = f"**{demo_warning(task['dataset']['name'])}**\n\n" if run.demo else ""
    return (
        f"{warning}Task `{run.task}`: backbone `{task['backbone']['name']}`, head `{task['head']['name']}`, "
        f"data set `{task['dataset']['name']}`, {run.steps} steps, seed {run.seed}.  \n"
        f"Repeat it with `platform run {folder}/resolved.yaml`"
    )


def demo_warning(dataset: str) -> str:
    """The warning beside every figure of a run on generated data."""
    return f"DEMO DATA - figures say nothing about {dataset}"


def short_path(path: Path) -> Path:
    """A path as one would type it: relative to the working directory if it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
