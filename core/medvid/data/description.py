"""What a data set's dataset.json says about labels and channels. Imports nothing heavy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvid.errors import DataError


@dataclass(frozen=True, slots=True)
class Description:
    """Names of the labels by id, and the number of channels; None where the file says nothing."""

    labels: tuple[str, ...] | None = None
    channels: int | None = None


def describe(root: Path, datalist: str | None = None) -> Description:
    """Read labels and channels from the folder's datalist or dataset.json, as nnU-Net and the Decathlon write them.

    Raises:
        DataError: the file cannot be read, or its labels are no consecutive ids.
    """
    for name in (datalist, "dataset.json", "dataset_0.json"):
        if not name or not (root / name).is_file():
            continue
        content = read_json(root / name)
        channels = content.get("channel_names") or content.get("modality")
        labels = content.get("labels")
        try:
            names = label_names(labels) if labels else None
        except ValueError as error:
            raise DataError(f"{root / name}: labels: {error}") from error
        return Description(names, len(channels) if isinstance(channels, dict) else None)
    return Description()


def label_names(labels: Any) -> tuple[str, ...]:
    """Names by label id, from a list, from ``{name: id}`` (nnU-Net 2) or from ``{"id": name}`` (Decathlon).

    Raises:
        ValueError: the ids are not 0, 1, 2, ... or there are not 2 to 256 of them.
    """
    if isinstance(labels, Mapping):
        labels = _order(labels)
    names = tuple(str(name) for name in labels)
    if not 2 <= len(names) <= 256 or len(set(names)) < len(names):
        raise ValueError(f"2 to 256 different labels are needed, the background first; got {len(names)}: {names[:5]}")
    return names


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} has to hold a JSON object")
    return content


def _order(labels: Mapping[Any, Any]) -> list[Any]:
    pairs = [(value, key) if isinstance(value, int) else (key, value) for key, value in labels.items()]
    try:
        names = {int(number): name for number, name in pairs}
    except (TypeError, ValueError):
        raise ValueError("each label needs one integer id; regions of several ids are not supported") from None
    if len(names) < len(pairs) or set(names) != set(range(len(names))):
        raise ValueError(f"the ids have to be 0, 1, 2, ... without gaps or repetitions, got {sorted(names)}")
    return [names[number] for number in range(len(names))]
