"""What a data set's dataset.json says about labels and channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medvid.data.json_files import read_json
from medvid.data.volumes.labels import LabelScheme, read_scheme, same_label
from medvid.errors import DataError
from medvid.sentences import listed

_FILES = ("dataset.json", "dataset_0.json")
_OVERRULE = "correct one of them, or use the task's: dataset.ignore_description: true"


@dataclass(frozen=True, slots=True)
class Description:
    """A folder's description of itself; None where it says nothing.

    Args:
        labels: what the ids in label maps stand for.
        channels: number of channels.
        source: names of the files, for messages.
        drawn: names of the labels that were drawn in a case, by case.
        lists_drawn: whether an entry of a list of cases says so.
    """

    labels: LabelScheme | None = None
    channels: int | None = None
    source: str = ""
    drawn: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lists_drawn: bool = False

    @property
    def is_partial(self) -> bool:
        """Whether some cases may lack some of the labels."""
        return bool(self.drawn) or self.lists_drawn


def describe(root: Path, datalist: str | None = None) -> Description:
    """Read labels and channels from the folder's datalist or dataset.json, as nnU-Net and the Decathlon write them.

    Raises:
        DataError: a file cannot be read, its labels are not consecutive ids or are of an unsupported kind, or two files
            contradict each other.
    """
    names = [name for name in dict.fromkeys((datalist, *_FILES)) if name and (root / name).is_file()]
    found = [_read(root, name) for name in names]
    for other in found[1:]:
        _check_agree(root, found[0], other)
    return Description(
        next((one.labels for one in found if one.labels), None),
        next((one.channels for one in found if one.channels), None),
        " and ".join(one.source for one in found if one.labels or one.channels),
        next((one.drawn for one in found if one.drawn), {}),
        any(one.lists_drawn for one in found),
    )


def compare(found: Description, labels: LabelScheme, channels: int, *, strict: bool) -> tuple[str, ...]:
    """Refuse labels and channels that contradict the folder.

    Args:
        found: the folder's description.
        labels: those in use.
        channels: the number in use.
        strict: all names have to be equal; otherwise a name can differ, unless the folder gives it to another id.

    Returns:
        A note on names that differ.

    Raises:
        DataError: they contradict each other.
    """
    if found.channels not in {None, channels}:
        raise DataError(f"{found.source} has {found.channels} channels, the task uses {channels}", hint=_OVERRULE)
    if found.labels is None or labels.overlapping or labels.units:
        return ()
    if problem := _difference(found.labels, labels):
        raise DataError(f"the labels of {found.source} contradict the task's: {problem}", hint=_OVERRULE)
    theirs, ours = found.labels.names, labels.names
    if len(theirs) != len(ours):
        raise DataError(
            f"{found.source} has {len(theirs)} labels, {listed(theirs)}; the task uses {len(ours)}: {listed(ours)}",
            hint=_OVERRULE,
        )
    known = {same_label(name): number for number, name in enumerate(ours)}
    differ = [number for number, name in enumerate(theirs) if known.get(same_label(name)) != number]
    pairs = listed([f"{number} is {theirs[number]!r}, not {ours[number]!r}" for number in differ])
    if differ and (strict or any(same_label(theirs[number]) in known for number in differ)):
        raise DataError(f"the labels of {found.source} contradict the task's: {pairs}", hint=_OVERRULE)
    return (f"{found.source} has other names for labels: {pairs}",) if differ else ()


def are_alike(one: LabelScheme, other: LabelScheme) -> bool:
    """Whether two schemes are the same but for the spelling of names."""
    first, second = (replace(scheme, names=tuple(map(same_label, scheme.names))) for scheme in (one, other))
    return first == second


def _read(root: Path, name: str) -> Description:
    content = read_json(root / name)
    path = root / name
    keys = [key for key in ("channel_names", "modality") if not isinstance(content.get(key), str)]  # "CT" counts none
    channels = {key: len(value) for key in keys if (value := _names(path, content, key))}
    if len(set(channels.values())) > 1:
        raise DataError(f"{path}: channel_names and modality name different numbers of channels", hint="correct one")
    try:
        value, order = (_names(path, content, key) for key in ("labels", "regions_class_order"))
        labels = read_scheme(value, painted=[*order]) if value else None
    except ValueError as error:
        raise DataError(f"{path}: labels: {error}") from error
    return Description(labels, next(iter(channels.values()), None), name, _drawn(path, content), _lists_drawn(content))


def _drawn(path: Path, content: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    drawn = content.get("drawn") or {}
    if isinstance(drawn, dict) and all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in drawn.values()
    ):
        return drawn
    raise DataError(f"{path}: drawn has to be {{case: [names of labels]}}, got {drawn!r:.80}")


def _lists_drawn(content: Mapping[str, Any]) -> bool:
    """Whether any entry of any list of cases has the key."""
    lists = [value.values() if isinstance(value, dict) else value for value in content.values()]
    return any(
        isinstance(entry, dict) and entry.get("drawn") is not None
        for entries in lists
        if not isinstance(entries, str | int | float | bool | None)
        for entry in entries
    )


def _names(path: Path, content: Mapping[str, Any], key: str) -> dict[str, Any] | list[Any]:
    value = content.get(key) or []
    if not isinstance(value, dict | list):
        raise DataError(f"{path}: {key} has to be an object or a list, got {value!r:.80}")
    return value


def _difference(found: LabelScheme, used: LabelScheme) -> str:
    """How the ids of two schemes differ in what they are, besides their names; empty if they do not."""
    if found.ignore is not None and found.ignore != used.ignore:
        instead = "ignores none" if used.ignore is None else f"ignores {used.ignore}"
        return f"{found.ignore} marks voxels that nobody annotated (ignore), the task {instead}"
    if bool(found.regions) != bool(used.regions):
        kinds = ["regions" if one.regions else "classes" for one in (found, used)]
        return f"they are {kinds[0]}, not {kinds[1]}"
    pairs = [(name, *ids) for name, *ids in zip(found.names, found.regions, used.regions, strict=False)]
    return listed([f"{name} is {list(one)}, not {list(other)}" for name, one, other in pairs if one != other])


def _check_agree(root: Path, one: Description, other: Description) -> None:
    hint = f"correct one of them, or take one out of {root}"
    if one.labels and other.labels and not are_alike(one.labels, other.labels):
        raise DataError(
            f"{one.source} and {other.source} in {root} have different labels: "
            f"{listed(one.labels.names)}; {listed(other.labels.names)}",
            hint=hint,
        )
    if one.channels and other.channels and one.channels != other.channels:
        raise DataError(
            f"{one.source} and {other.source} in {root} have {one.channels} and {other.channels} channels", hint=hint
        )
