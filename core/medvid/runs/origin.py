"""The state at the start of a run: options, plugins and, case by case, splits. Resuming and evaluating rely on it.

A data folder changes: new patients come, and a hold-out that is drawn again could score a training case as held out.
So a run remembers its cases by name and content, and any difference is refused or reported.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from medvid.config.options import DatasetOptions
from medvid.data.dataset import Dataset
from medvid.data.fold_choice import fold_file, record_of_fold
from medvid.errors import ConfigError, DataError
from medvid.files import read_json, write_json
from medvid.runs.differences import MAY_DIFFER, differences, flat
from medvid.runs.folder import RunFolder
from medvid.sentences import listed

_THREADS = 8  # they wait for the disk or the network


@dataclass(frozen=True, slots=True)
class Known:
    """A run's record of a case.

    Args:
        digest: of its name, input and label, see `Dataset.digest`.
        content: of its input alone, see `Dataset.fingerprint`; empty if unknown.
    """

    digest: str
    content: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The state at the start of a run.

    Args:
        task: the content of resolved.yaml.
        plugins: version by distribution.
        splits: the cases of each split, in their order.
        description: of the training cases, see `Dataset.describe`.
        pseudonyms: check value of the key of the cases' pseudonyms; empty if cases have their ids.
        precision: the one in use, which `train.precision: auto` leaves open; empty for a run made before this was kept.
        extends: the run and the state of it that this one went on from; empty for one that began at step 0.
        fold: index and digest of the file of `dataset.fold`; empty where there is none.
        started_from: the runs, and their checkpoints, whose weights this one began with.
    """

    task: Mapping[str, Any]
    plugins: Mapping[str, str]
    splits: Mapping[str, Mapping[str, Known]] = field(default_factory=dict)
    description: Mapping[str, Any] = field(default_factory=dict)
    pseudonyms: str = ""
    precision: str = ""
    extends: Mapping[str, Any] = field(default_factory=dict)
    fold: Mapping[str, Any] = field(default_factory=dict)
    started_from: Sequence[Mapping[str, Any]] = ()

    def cases(self, split: str) -> Sequence[str]:
        """Ids of the cases of a split."""
        return tuple(self.splits[split])

    @property
    def trained(self) -> Mapping[str, str]:
        """The training cases by their content; without those of unknown content."""
        return {known.content: case for case, known in self.splits["train"].items() if known.content}

    def write(self, path: Path) -> None:
        """Write origin.json, with a checksum of itself, complete or not at all."""
        content = json.loads(json.dumps(asdict(self), default=str))
        write_json(path, {"sha256": _checksum(content), **content}, 0o600)


def read_origin(folder: RunFolder) -> Origin | None:
    """The state at the start of a run; None for a run made before this was kept.

    Raises:
        DataError: the file was damaged.
    """
    content = read_json(folder.origin)
    if not content:
        return None
    checksum = content.pop("sha256", None)
    if checksum != _checksum(content):
        raise DataError(
            f"{folder.origin}, the run's record of its cases, was changed after it was written",
            hint="restore it from a copy of the run; without it the training cases are unknown",
        )
    splits = {
        split: {case: Known(**known) for case, known in cases.items()} for split, cases in content["splits"].items()
    }
    kept_since = ("description", "pseudonyms", "precision", "extends", "fold", "started_from")
    return Origin(
        content["task"], content["plugins"], splits, **{name: content[name] for name in kept_since if name in content}
    )


def origin_to_continue(folder: RunFolder) -> Origin:
    """The state at the start of a run that is to be continued with it.

    Raises:
        ConfigError: the run's task was changed meanwhile.
        DataError: it was not kept, or was damaged.
    """
    origin = read_origin(folder)
    if origin is None:
        raise DataError(
            f"{folder.origin} is missing, so the run does not know which data it began with",
            hint=f"restore it, or start a new run: platform run {folder.resolved}",
        )
    check_unchanged(folder, origin)
    return origin


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


def check_version(folder: RunFolder) -> None:
    """Refuse a run of an earlier version, whose options are called and mean something else now.

    Raises:
        ConfigError: with what to do.
    """
    if "sample" in read_task(folder.resolved):
        raise ConfigError(
            f"{folder.path} was made by an earlier version of medvid, whose runs this one cannot use",
            hint=f"use it with the versions in {folder.environment}; or start a new run from {folder.original}, in "
            "which platform check names what to rename",
        )


def check_unchanged(folder: RunFolder, origin: Origin) -> list[str]:
    """Compare a run's resolved.yaml with the task at its start.

    Returns:
        The changes of `MAY_DIFFER`, a line for each.

    Raises:
        ConfigError: anything else was changed; with keys and both values.
    """
    began, now = (dict(flat(content)) for content in (origin.task, read_task(folder.resolved)))
    changed = differences(began, now)
    if refused := [line for key, line in changed.items() if key not in MAY_DIFFER]:
        raise ConfigError(
            f"{folder.resolved} was changed after the run started: {'; '.join(refused)}",
            hint=f"change it back, or start a new run with it: platform run {folder.resolved}",
        )
    return list(changed.values())


def known_cases(dataset: Dataset, cases: Iterable[str]) -> dict[str, Known]:
    """The records of prepared cases."""
    cases = tuple(cases)
    with ThreadPoolExecutor(_THREADS) as pool:
        contents = pool.map(dataset.fingerprint, cases)
        return {case: Known(dataset.digest((case,)), content) for case, content in zip(cases, contents, strict=True)}


def known_splits(dataset: Dataset, used: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Known]]:
    """The cases of all splits; of unused splits only if their files can be read.

    Args:
        dataset: with the cases of `used` prepared.
        used: ids of the training and evaluated cases, by split.
    """
    splits = {split: known_cases(dataset, cases) for split, cases in used.items()}
    for split in (split for split in dataset.splits if split not in used):
        with suppress(DataError):
            splits[split] = known_cases(dataset, dataset.cases(split))
    return splits


def check_cases(dataset: Dataset, known: Mapping[str, Known], hint: str) -> None:
    """Make sure that prepared cases are unchanged since the run started.

    Args:
        dataset: the data set.
        known: the run's records of the cases.
        hint: what to do if they changed.

    Raises:
        DataError: naming the changed cases.
    """
    if changed := [case for case, then in known.items() if dataset.digest((case,)) != then.digest]:
        raise DataError(
            f"the data changed since the run started: {len(changed)} of {len(known)} cases have another image or label "
            f"now: {listed(changed)}",
            hint=hint,
        )


def fold_note(options: DatasetOptions, origin: Origin) -> str:
    """A note if the file of `dataset.fold` is not what it was at the start of the run; empty if it is, or was none."""
    try:
        if not origin.fold or record_of_fold(options) == origin.fold:
            return ""
    except DataError as error:
        return f"{error}; the run's own split is used"
    return f"{fold_file(options)} changed since the run started; the run's own split is used"


def membership_note(dataset: Dataset, origin: Origin, splits: Iterable[str]) -> str:
    """A note if the data set's folder would give other splits now; empty if not.

    Args:
        dataset: before `Dataset.fix_splits`.
        origin: the state at the start of the run.
        splits: the ones in use.
    """
    try:
        now = {split: dataset.splits.get(split, ()) for split in splits}
    except DataError as error:  # e.g. the folder no longer has all cases of a published split
        return f"the data set cannot be split as at the start of the run ({error}); the run's own cases are used"
    parts = []
    for split, cases in now.items():
        new, gone = set(cases) - origin.splits[split].keys(), origin.splits[split].keys() - set(cases)
        parts += [f"{listed(sorted(new))} would be in {split}"] if new else []
        parts += [f"{listed(sorted(gone))} would not be in {split}"] if gone else []
    if not parts:
        return ""
    return (
        f"the data set's folder would be split differently now than at the start of the run ({'; '.join(parts)}); "
        "the run's own split is used"
    )


def trained_note(cases: Mapping[str, Known], origin: Origin) -> str:
    """A note on scored cases that are training cases, under any name; empty if none is."""
    trained, names = origin.trained, origin.splits["train"]
    seen = [case for case, known in cases.items() if known.content in trained or names.get(case) == known]
    if not seen:
        return ""
    return (
        f"{len(seen)} of {len(cases)} scored cases were trained on ({listed(seen)}): their figures show fit, not "
        "generalisation"
    )


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
