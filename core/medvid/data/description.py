"""What a data set's dataset.json says about labels and channels. Imports nothing heavy."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvid.data.listing import listed, name_key
from medvid.errors import DataError

BACKGROUND = "background"

_FILES = ("dataset.json", "dataset_0.json")
_OVERRULE = "correct one of them, or let the task's count: dataset.ignore_description: true"


@dataclass(frozen=True, slots=True)
class Description:
    """What a folder says of itself; None where it says nothing.

    Args:
        labels: names of the labels by id.
        channels: number of channels.
        source: names of the files that say so, for messages.
    """

    labels: tuple[str, ...] | None = None
    channels: int | None = None
    source: str = ""


def describe(root: Path, datalist: str | None = None) -> Description:
    """Read labels and channels from the folder's datalist or dataset.json, as nnU-Net and the Decathlon write them.

    Raises:
        DataError: a file cannot be read, its labels are no consecutive ids or of a kind that is not supported, or two
            files contradict each other.
    """
    names = [name for name in dict.fromkeys((datalist, *_FILES)) if name and (root / name).is_file()]
    found = [_read(root, name) for name in names]
    for other in found[1:]:
        _check_agree(root, found[0], other)
    return Description(
        next((one.labels for one in found if one.labels), None),
        next((one.channels for one in found if one.channels), None),
        " and ".join(one.source for one in found if one.labels or one.channels),
    )


def label_names(labels: Any) -> tuple[str, ...]:
    """Names by label id, from a list, from ``{name: id}`` (nnU-Net 2) or from ``{"id": name}`` (Decathlon).

    Raises:
        ValueError: the ids are not 0, 1, 2, ..., there are not 2 to 256 of them, the background is not 0, or there is
            a kind of label that is not supported: nnU-Net's ignore label and its regions.
    """
    if isinstance(labels, Mapping):
        _check_supported([*labels, *(value for value in labels.values() if isinstance(value, str))])
        labels = _order(labels)
    names = tuple(str(name) for name in labels)
    _check_supported(names)
    if not 2 <= len(names) <= 256 or len({same_label(name) for name in names}) < len(names) or not all(names):
        raise ValueError(f"2 to 256 different labels are needed, the background first; got {len(names)}: {names[:5]}")
    if misplaced := [number for number, name in enumerate(names) if number and same_label(name) == BACKGROUND]:
        raise ValueError(f"the id of the background has to be 0, it is {misplaced[0]}")
    return names


def same_label(name: str) -> str:
    """What is equal for two spellings of a label: capitals, spaces and underscores do not count."""
    return name_key(name).replace("_", " ").replace("-", " ").strip()


def compare(found: Description, labels: Sequence[str], channels: int, *, strict: bool) -> tuple[str, ...]:
    """Refuse labels and channels that are not those of the folder.

    Args:
        found: what the folder says.
        labels: the names that are used, by id.
        channels: the number that is used.
        strict: whether all names have to be the same; else a name may differ, where it is not that of another id.

    Returns:
        What to say about names that differ.

    Raises:
        DataError: they contradict each other.
    """
    if found.channels not in {None, channels}:
        raise DataError(
            f"{found.source} has {found.channels} channels, the data set is used with {channels}", hint=_OVERRULE
        )
    if found.labels is None:
        return ()
    if len(found.labels) != len(labels):
        raise DataError(
            f"{found.source} has {len(found.labels)} labels, {listed(found.labels)}; "
            f"the data set is used with {len(labels)}: {listed(labels)}",
            hint=_OVERRULE,
        )
    known = {same_label(name): number for number, name in enumerate(labels)}
    differ = [number for number, name in enumerate(found.labels) if known.get(same_label(name)) != number]
    pairs = listed([f"{number} is {found.labels[number]!r}, not {labels[number]!r}" for number in differ])
    if differ and (strict or any(same_label(found.labels[number]) in known for number in differ)):
        raise DataError(f"the labels of {found.source} are not those that are used: {pairs}", hint=_OVERRULE)
    return (f"{found.source} has other names for labels: {pairs}",) if differ else ()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a key that is there twice is an error, as one of its values would be lost.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    content = read_json_value(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} has to hold a JSON object")
    return content


def read_json_value(path: Path) -> Any:
    """Read a JSON file, whatever it holds; raises as `read_json`."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_repetition)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error


def _read(root: Path, name: str) -> Description:
    content = read_json(root / name)
    path = root / name
    keys = [key for key in ("channel_names", "modality") if not isinstance(content.get(key), str)]  # "CT" counts none
    channels = {key: len(value) for key in keys if (value := _names(path, content, key))}
    if len(set(channels.values())) > 1:
        raise DataError(f"{path}: channel_names and modality name different numbers of channels", hint="correct one")
    try:
        labels = label_names(value) if (value := _names(path, content, "labels")) else None
    except ValueError as error:
        raise DataError(f"{path}: labels: {error}") from error
    return Description(labels, next(iter(channels.values()), None), name)


def _names(path: Path, content: Mapping[str, Any], key: str) -> dict[str, Any] | list[Any]:
    value = content.get(key) or []
    if not isinstance(value, dict | list):
        raise DataError(f"{path}: {key} has to be an object or a list, got {value!r:.80}")
    return value


def _check_agree(root: Path, one: Description, other: Description) -> None:
    hint = f"correct one of them, or take one out of {root}"
    if one.labels and other.labels and [*map(same_label, one.labels)] != [*map(same_label, other.labels)]:
        raise DataError(
            f"{one.source} and {other.source} in {root} have different labels: "
            f"{listed(one.labels)}; {listed(other.labels)}",
            hint=hint,
        )
    if one.channels and other.channels and one.channels != other.channels:
        raise DataError(
            f"{one.source} and {other.source} in {root} have {one.channels} and {other.channels} channels", hint=hint
        )


def _check_supported(names: Sequence[Any]) -> None:
    if any(same_label(str(name)) == "ignore" for name in names):
        raise ValueError(
            "the label 'ignore' marks voxels that nobody labelled; that is not supported, it would be learnt and "
            "scored as an organ: give these voxels a label, or leave out the cases that have them"
        )


def _order(labels: Mapping[Any, Any]) -> list[Any]:
    pairs = [_id_and_name(key, value) for key, value in labels.items()]
    names = dict(pairs)
    if len(names) < len(pairs) or set(names) != set(range(len(names))):
        ids = sorted(number for number, _ in pairs)
        raise ValueError(f"the ids have to be 0, 1, 2, ... without gaps or repetitions, got {ids}")
    return [names[number] for number in range(len(names))]


def _id_and_name(key: Any, value: Any) -> tuple[int, Any]:
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, list | tuple):
        raise ValueError(
            f"{key!r} is a region, of the ids {list(value)}; regions are not supported, each label needs one integer "
            "id: convert the label maps, e.g. to one id per part"
        )
    if (number := _integer(value)) is not None and not (isinstance(value, str) and _integer(key) is not None):
        return number, key
    if (number := _integer(key)) is not None and isinstance(value, str) and _integer(value) is None:
        return number, value
    raise ValueError(f"each label needs a name and one integer id, got {key!r}: {value!r}")


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return content
