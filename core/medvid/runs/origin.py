"""What a run began with: its options, its plugins and, case by case, its splits. Resuming and evaluating go by it.

A folder of data changes: new patients come, and a hold-out that is drawn anew lets a case that was trained on be scored
as held out. So a run remembers its cases by name and content, and anything else than those is refused or said.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from medvid.data.dataset import Dataset
from medvid.data.listing import listed
from medvid.errors import ConfigError, DataError
from medvid.files import read_json, write_json
from medvid.runs.folder import RunFolder

MAY_DIFFER = ("output", "dataset.root", "dataset.cache", "train.workers", "train.load_timeout")
"""Options that nothing in a run's numbers depends on: its data are known by their content, wherever they lie."""


_THREADS = 8  # reading pieces of many files waits for the disk or the network


@dataclass(frozen=True, slots=True)
class Known:
    """What a run knows of a case.

    Args:
        digest: of its name, input and label, see `Dataset.digest`.
        content: of its input alone, see `Dataset.fingerprint`; empty where that is not known.
    """

    digest: str
    content: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What a run began with.

    Args:
        task: the content of resolved.yaml.
        plugins: version by distribution.
        splits: the cases of each split, in their order.
        description: of the training cases, see `Dataset.describe`.
        pseudonyms: check value of the key of the pseudonyms that cases are named by; empty where these are their ids.
    """

    task: Mapping[str, Any]
    plugins: Mapping[str, str]
    splits: Mapping[str, Mapping[str, Known]] = field(default_factory=dict)
    description: Mapping[str, Any] = field(default_factory=dict)
    pseudonyms: str = ""

    def cases(self, split: str) -> tuple[str, ...]:
        """Ids of the cases of a split."""
        return tuple(self.splits[split])

    @property
    def trained(self) -> Mapping[str, str]:
        """The training cases by their content; those whose content is not known are left out."""
        return {known.content: case for case, known in self.splits["train"].items() if known.content}

    def write(self, path: Path) -> None:
        """Write origin.json, with a checksum of itself, complete or not at all."""
        content = json.loads(json.dumps(asdict(self), default=str))
        write_json(path, {"sha256": _checksum(content), **content}, 0o600)


def read_origin(folder: RunFolder) -> Origin | None:
    """What a run began with; None for one that was made before this was kept.

    Raises:
        DataError: the file was damaged.
    """
    content = read_json(folder.origin)
    if not content:
        return None
    checksum = content.pop("sha256", None)
    if checksum != _checksum(content):
        raise DataError(
            f"{folder.origin} was changed after it was written, and with it what the run knows of its cases",
            hint="restore it from a copy of the run; without it the run cannot tell which cases it was trained on",
        )
    splits = {
        split: {case: Known(**known) for case, known in cases.items()} for split, cases in content["splits"].items()
    }
    description, pseudonyms = content.get("description", {}), content.get("pseudonyms", "")
    return Origin(content["task"], content["plugins"], splits, description, pseudonyms)


def read_task(path: Path) -> dict[str, Any]:
    """The content of a resolved.yaml as plain JSON values.

    Raises:
        ConfigError: it is not YAML.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        if not isinstance(content, Mapping):
            raise ValueError(f"it holds {type(content).__name__}, not options")
    except (OSError, YAMLError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}", hint="restore it from origin.json") from error
    return dict(json.loads(json.dumps(content, default=str)))


def check_task(folder: RunFolder, origin: Origin) -> list[str]:
    """Compare a run's resolved.yaml with what the run began with.

    Returns:
        What was changed of `MAY_DIFFER`, a line for each.

    Raises:
        ConfigError: anything else was changed; with keys and both values.
    """
    began, now = (dict(flat(content)) for content in (origin.task, read_task(folder.resolved)))
    changed = {
        key: _both(key, began, now) for key in [*began, *(now.keys() - began.keys())] if _differ(key, began, now)
    }
    if refused := [line for key, line in changed.items() if key not in MAY_DIFFER]:
        raise ConfigError(
            f"{folder.resolved} was changed after the run began: {'; '.join(refused)}",
            hint=f"change it back, or start a new run with it: platform run {folder.resolved}",
        )
    return list(changed.values())


def flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options by dotted key."""
    for key, value in options.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def known_cases(dataset: Dataset, cases: Iterable[str]) -> dict[str, Known]:
    """What there is to know of cases that are prepared."""
    cases = tuple(cases)
    with ThreadPoolExecutor(_THREADS) as pool:
        contents = pool.map(dataset.fingerprint, cases)
        return {case: Known(dataset.digest((case,)), content) for case, content in zip(cases, contents, strict=True)}


def known_splits(dataset: Dataset, used: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Known]]:
    """The cases of all splits; of one that the run does not use only if its files can be read.

    Args:
        dataset: with the cases of `used` prepared.
        used: ids of the cases that are trained on and evaluated, by split.
    """
    splits = {split: known_cases(dataset, cases) for split, cases in used.items()}
    for split in (split for split in dataset.splits if split not in used):
        with suppress(DataError):
            splits[split] = known_cases(dataset, dataset.cases(split))
    return splits


def check_cases(dataset: Dataset, known: Mapping[str, Known], hint: str) -> None:
    """Make sure that prepared cases are what they were when the run began.

    Args:
        dataset: the data set.
        known: what the run knows of the cases.
        hint: what to do if they are not.

    Raises:
        DataError: naming those that are not.
    """
    if changed := [case for case, then in known.items() if dataset.digest((case,)) != then.digest]:
        raise DataError(
            f"the data changed since the run began: {len(changed)} of {len(known)} cases have another image or label "
            f"now: {listed(changed)}",
            hint=hint,
        )


def membership_note(dataset: Dataset, origin: Origin, splits: Iterable[str]) -> str:
    """What has to be said where the data set's folder would give other splits now; empty where it would not.

    Args:
        dataset: before `Dataset.fix_splits`.
        origin: what the run began with.
        splits: those that are used.
    """
    try:
        now = {split: dataset.splits.get(split, ()) for split in splits}
    except DataError as error:  # the folder does not have the cases of a published split any more, or the like
        return f"the data set cannot be split as when the run began ({error}); the run's own cases are used"
    parts = []
    for split, cases in now.items():
        new, gone = set(cases) - origin.splits[split].keys(), origin.splits[split].keys() - set(cases)
        parts += [f"{listed(sorted(new))} would be in {split}"] if new else []
        parts += [f"{listed(sorted(gone))} would not be in {split}"] if gone else []
    if not parts:
        return ""
    return (
        f"the data set's folder would be split in another way now than when the run began ({'; '.join(parts)}); the "
        "run's own split is used"
    )


def trained_note(cases: Mapping[str, Known], origin: Origin) -> str:
    """What has to be said of scored cases that were trained on, under whatever name; empty if none was."""
    trained, names = origin.trained, origin.splits["train"]
    seen = [case for case, known in cases.items() if known.content in trained or names.get(case) == known]
    if not seen:
        return ""
    return (
        f"{len(seen)} of {len(cases)} scored cases were trained on ({listed(seen)}): their figures show fit, not "
        "generalisation"
    )


def _differ(key: str, began: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return key not in began or key not in now or began[key] != now[key]


def _both(key: str, began: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    then, today = (json.dumps(values[key]) if key in values else "not there" for values in (began, now))
    return f"{key} is {today} and was {then}"


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
