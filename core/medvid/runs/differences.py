"""In which options two tasks differ: a run and what it is compared with."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from medvid.config.task import Task

MAY_DIFFER = ("output", "dataset.root", "dataset.cache", "dataset.fold.file", "train.workers", "train.load_timeout")
"""Options on which no number of a run depends: its data are known by their content, wherever they lie."""


def differences(began: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """A line for each option, by dotted key, that is not what it was when a run began."""
    keys = [*began, *(key for key in now if key not in began)]
    return {key: _both(key, began, now) for key in keys if _differ(key, began, now)}


def flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options by dotted key."""
    for key, value in options.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def changed_options(trained: Task, evaluated: Task) -> dict[str, object]:
    """The options in which an evaluation differs from its run, by dotted key; of the training only precision."""
    before, after = _comparable(trained), _comparable(evaluated)
    return {key: after.get(key) for key in after | before if before.get(key) != after.get(key)}


def _comparable(task: Task) -> dict[str, object]:
    """Options by dotted key; of the protocol, which may be another one, the name and what is not its default."""
    protocol = task.evaluation.protocol.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    named = {"train.precision": task.train.precision, "evaluation.protocol": task.evaluation.protocol.name}
    options = task.model_dump(mode="json", exclude={"train": True, "evaluation": {"protocol"}})
    return named | dict(flat(options)) | dict(flat(protocol, "evaluation.protocol."))


def _differ(key: str, began: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return key not in began or key not in now or began[key] != now[key]


def _both(key: str, began: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    then, today = (json.dumps(values[key]) if key in values else "not there" for values in (began, now))
    return f"{key} is {today}, was {then}"
