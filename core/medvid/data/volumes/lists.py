"""Cases of a volume data set from lists: datalists of the Decathlon and MONAI, datasets and splits of nnU-Net."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medvid.data.json_files import read_json
from medvid.data.listing import by_name, find_spelled, name_key
from medvid.data.volumes.files import CaseFiles, check_distinct
from medvid.data.volumes.folders import find_labels, unlabelled_validation
from medvid.data.volumes.formats.choice import Formats
from medvid.errors import DataError
from medvid.sentences import listed, shown_name

DATALISTS = ("dataset_0.json", "dataset.json")

_LISTS = {
    "training": "train",
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
_CASES = "dataset"
_KEYS = {"image", "label", "fold", "drawn"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A case in a list.

    Args:
        split: ``train``, ``validation`` or ``test``.
        files: its files; the id comes from the list, or is empty.
        fold: the fold that it validates; None if not given.
    """

    split: str
    files: CaseFiles
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class CaseList:
    """The content of a list.

    Args:
        path: the file.
        cases: every case by its id.
        splits: ids by split.
        folds: folds by id, of the cases that have one.
        notes: what is unusual but can be used.
    """

    path: Path
    cases: Mapping[str, CaseFiles]
    splits: Mapping[str, tuple[str, ...]]
    folds: Mapping[str, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Folder:
    """The data set's folder, and what was found of names in it."""

    root: Path
    formats: Formats
    known: dict[Path, dict[str, Path]] = field(default_factory=dict)


def find_list(root: Path, formats: Formats, datalist: str | None = None) -> Path | None:
    """The file that lists the cases of a folder, if any: the named one, else dataset_0.json or dataset.json.

    Raises:
        DataError: the named file does not exist, or both default files list cases.
    """
    if datalist:
        if not (root / datalist).is_file():
            raise DataError(f"{root} has no {datalist}", hint="set dataset.datalist or dataset.folder_layout")
        return _inside(root, datalist, "dataset.datalist")
    found = [root / name for name in DATALISTS if (root / name).is_file() and lists_cases(root / name)]
    if len(found) > 1 and len({_summary(root, path, formats) for path in found}) > 1:
        raise DataError(
            f"{' and '.join(path.name for path in found)} in {root} list different cases",
            hint="name the one to use, e.g. dataset.datalist: dataset_0.json",
        )
    return found[0] if found else None


def read_list(root: Path, path: Path, formats: Formats) -> CaseList:
    """Read a list of cases.

    Raises:
        DataError: it cannot be read, an entry is invalid, or a file is listed twice or lies outside the folder.
    """
    content = read_json(path)
    folder = _Folder(root, formats)
    entries = [
        _read_entry(folder, entry, split, f"{path.name}: {key}[{number}]")
        for key, split in _LISTS.items()
        for number, entry in enumerate(_sequence(path, content, key))
    ]
    entries += [_read_case(folder, case, entry, path) for case, entry in _mapping(path, content, _CASES).items()]
    if not entries:
        raise DataError(f"{path} lists no cases under training, validation or test")
    check_distinct([entry.files for entry in entries], str(path))
    named = by_name(_name(folder, entries), f"{path}: images", "rename one of them")
    # The Decathlon lists test images only; users who have the label maps put them beside.
    unlabelled = [entry.files.images[0] for entry in entries if entry.split != "train" and entry.files.label is None]
    labels = find_labels(root, unlabelled, formats)
    cases = {
        case: replace(entry.files, id=case, label=entry.files.label or labels.get(entry.files.images[0]))
        for case, entry in zip(named, entries, strict=True)
    }
    splits: dict[str, list[str]] = {}
    for case, entry in zip(named, entries, strict=True):
        splits.setdefault(entry.split, []).append(case)
    notes = [*_notes(path, content, splits), *_move_unlabelled(path, cases, splits), *_forget(path, cases, splits)]
    return CaseList(
        path,
        cases,
        {split: tuple(ids) for split, ids in splits.items()},
        {case: entry.fold for case, entry in zip(named, entries, strict=True) if entry.fold is not None},
        tuple(notes),
    )


def lists_cases(path: Path) -> bool:
    """Whether a JSON file has a list of cases; raises as `read_list`."""
    content = read_json(path)
    return any(content.get(key) for key in (*_LISTS, _CASES))


def _summary(root: Path, path: Path, formats: Formats) -> Any:
    """The part on which two lists have to agree."""
    cases = read_list(root, path, formats)
    files = frozenset((case.images, case.label, case.drawn) for case in cases.cases.values())
    return files, frozenset((split, frozenset(ids)) for split, ids in cases.splits.items())


def _sequence(path: Path, content: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = content.get(key) or []
    if not isinstance(value, list):
        raise DataError(f"{path}: {key} has to be a list of cases, got {value!r:.80}")
    return value


def _mapping(path: Path, content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        raise DataError(f"{path}: {key} has to hold {{case: {{images: [...], label: ...}}}}, got {value!r:.80}")
    return value


def _read_entry(folder: _Folder, entry: Any, split: str, where: str) -> Entry:
    entry = {"image": entry} if isinstance(entry, str) else entry
    if not isinstance(entry, dict) or not entry.get("image"):
        raise DataError(f"{where}: an entry has to be a file name or {{image: ..., label: ...}}, got {entry!r}")
    files = _read_files(folder, "", entry["image"], entry, where)
    return Entry(split, files, _read_fold(entry.get("fold"), where))


def _read_case(folder: _Folder, case: str, entry: Any, path: Path) -> Entry:
    where = f"{path.name}: {_CASES}.{case}"
    if not isinstance(entry, dict) or not entry.get("images"):
        raise DataError(f"{where}: an entry has to be {{images: [...], label: ...}}, got {entry!r}")
    if not case or case.startswith(".") or {"/", "\\"} & set(case) or shown_name(case) != case:
        raise DataError(
            f"{path}: the case {case!r} is not a valid file name", hint="rename it: predictions are named after cases"
        )
    return Entry("train", _read_files(folder, case, entry["images"], entry, where))


def _read_files(folder: _Folder, case: str, images: Any, entry: Mapping[str, Any], where: str) -> CaseFiles:
    names = images if isinstance(images, list) else [images]
    paths = [file for name in names for file in _locate(folder, name, where, single=len(names) == 1)]
    label = _locate(folder, entry["label"], where)[0] if entry.get("label") else None
    return CaseFiles(case, tuple(paths), label, drawn=_read_drawn(entry.get("drawn"), where))


def _locate(folder: _Folder, name: Any, where: str, *, single: bool = False) -> tuple[Path, ...]:
    """The named file; or a file per channel, where nnU-Net 1 lists a case without its channel numbers."""
    path = find_spelled(_inside(folder.root, name, where), folder.known)
    if path.exists() or not single:
        return (path,)
    channels: list[Path] = []
    while (channel := _channel(path, len(channels), folder)).exists():
        channels.append(channel)
    return tuple(channels) or (path,)


def _channel(path: Path, number: int, folder: _Folder) -> Path:
    formats = folder.formats
    return find_spelled(path.with_name(f"{formats.stem(path)}_{number:04d}{formats.ending(path)}"), folder.known)


def _inside(root: Path, name: Any, where: str) -> Path:
    """A path named in a list; neither it nor a link may lead out of the data set's folder."""
    if not isinstance(name, str):
        raise DataError(f"{where}: {name!r} is not the name of a file")
    path, top = root / name, root.resolve()
    try:
        resolved = path.resolve()
        path.exists()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a forbidden character, links in a circle
        raise DataError(f"{where}: {name!r:.80} is not a valid file name: {error}") from None
    if not resolved.is_relative_to(top):
        raise DataError(
            f"{where}: {name} leads out of the data set's folder {root}",
            hint="set dataset.root to a folder above both; links to other disks are followed without a list: "
            "dataset.folder_layout: pairs or nnunet",
        )
    return root / resolved.relative_to(top) if Path(name).is_absolute() or ".." in path.parts else path


def _read_drawn(value: Any, where: str) -> tuple[str, ...] | None:
    if value is None or (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        return value if value is None else tuple(value)
    raise DataError(f"{where}: drawn has to be a list of names of labels, got {value!r:.80}")


def _read_fold(value: Any, where: str) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise DataError(f"{where}: a fold has to be a number, got {value!r}")


def _name(folder: _Folder, entries: Sequence[Entry]) -> Iterable[tuple[str, Path]]:
    """Ids: from the list, else the names of the first files, with their folders if names are not unique."""
    formats, firsts = folder.formats, [entry.files.images[0] for entry in entries]
    numbered = all(formats.stem(first).endswith("_0000") for first in firsts)
    names = [formats.case_name(first) if numbered else formats.stem(first) for first in firsts]
    if len(set(map(name_key, names))) < len(names):
        names = [
            "_".join((*first.relative_to(folder.root).parent.parts, name))
            for first, name in zip(firsts, names, strict=True)
        ]
    ids = [entry.files.id or name for entry, name in zip(entries, names, strict=True)]
    return zip(ids, firsts, strict=True)


def _notes(path: Path, content: Mapping[str, Any], splits: Mapping[str, Sequence[str]]) -> Iterable[str]:
    others = [key for key, value in content.items() if key not in _LISTS and _holds_entries(value)]
    if others:
        yield f"{path.name}: the lists {listed(others)} are ignored"
    listed_entries = (entry for key in _LISTS for entry in content.get(key) or () if isinstance(entry, dict))
    if keys := sorted({key for entry in listed_entries for key in entry} - _KEYS):
        yield f"{path.name}: these keys of entries are ignored: {listed(keys)}"
    for key, split in (("numTraining", "train"), ("numTest", "test")):
        count = len(splits.get(split, ()))
        if split in splits and str(content.get(key, count)) != str(count):
            yield f"{path.name}: {key} is {content[key]}, but {count} cases are listed; the list is used"


def _move_unlabelled(path: Path, cases: Mapping[str, CaseFiles], splits: dict[str, list[str]]) -> Iterable[str]:
    """Turn validation cases into test cases if none has a label map."""
    validation = splits.get("validation", [])
    if validation and all(cases[case].label is None for case in validation):
        splits.setdefault("test", []).extend(splits.pop("validation"))
        yield unlabelled_validation(path.name)


def _forget(path: Path, cases: dict[str, CaseFiles], splits: dict[str, list[str]]) -> Iterable[str]:
    """Leave out missing test images if no test image has a label map, since they could not be scored anyway.

    Published lists include the authors' test images, which most users do not have.
    """
    test = splits.get("test", [])
    absent = [case for case in test if not any(file.exists() or file.is_symlink() for file in cases[case].images)]
    if not absent or any(cases[case].label for case in test):
        return
    for case in absent:
        del cases[case]
    if not (there := [case for case in test if case in cases]):
        del splits["test"]
    else:
        splits["test"] = there
    yield f"{len(absent)} of {len(test)} test images of {path.name} do not exist and are left out: {listed(absent)}"


def _holds_entries(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(entry, dict) and entry.get("image") for entry in value)
