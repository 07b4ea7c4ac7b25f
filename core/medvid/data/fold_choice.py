"""`dataset.fold`: which cases are trained on and which validate; one meaning for all data sets."""

import logging
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

from medvid.config.options import DatasetOptions
from medvid.data.fold_files import SPLITS_FILE, digest_of_folds, read_folds
from medvid.data.groups import Groups, check_groups
from medvid.data.splits import Splits, name_replaced
from medvid.errors import DataError
from medvid.sentences import listed

log = logging.getLogger(__name__)

OwnFold = Callable[[int], Splits | None]
"""The training and validation cases of a fold in the data set's own lists; None where these have no folds."""


def settle(
    options: DatasetOptions,
    declared: Callable[[], Splits],
    divide: Callable[[], Splits],
    groups: Callable[[], Groups],
    labelled: Callable[[], Collection[str]],
    own: OwnFold = lambda _: None,
) -> Splits:
    """The cases of each split: those of `dataset.fold`, if it is set, else as the data set divides them.

    Args:
        options: of the data set.
        declared: all cases by split, see `medvid.data.dataset.Dataset.declared`.
        divide: see `medvid.data.dataset.Dataset.divide`.
        groups: see `medvid.data.dataset.Dataset.groups`.
        labelled: see `medvid.data.dataset.Dataset.labelled`.
        own: see `OwnFold`.

    Raises:
        DataError: the splits cannot be used, or share a group.
    """
    if options.fold is None:
        splits, where = divide(), ""
    else:
        where, chosen = _read(options, own)
        splits = _in_fold(chosen, declared(), set(labelled()), where)
    check_groups(groups(), splits, where)
    return splits


def fold_file(options: DatasetOptions) -> Path | None:
    """The file of `dataset.fold`; None where there is none, as where a list of cases has the folds."""
    match options.fold:
        case None:
            return None
        case int():
            path = options.root / SPLITS_FILE
            return path if path.is_file() else None
        case asked:
            return asked.file


def record_of_fold(options: DatasetOptions) -> dict[str, str | int]:
    """What a run keeps of its fold: index, and digest of the file; empty where no file was used."""
    path = fold_file(options)
    return {} if path is None else {"index": _index(options), "digest": digest_of_folds(path)}


def _index(options: DatasetOptions) -> int:
    fold = options.fold
    assert fold is not None, "only asked where there is one"
    return fold if isinstance(fold, int) else fold.index


def _read(options: DatasetOptions, own: OwnFold) -> tuple[str, Splits]:
    """Where the fold of the options comes from, in words, and its training and validation cases."""
    index, path = _index(options), fold_file(options)
    listed_fold = own(index) if isinstance(options.fold, int) else None
    if path is None:
        if listed_fold is None:
            raise DataError(
                f"dataset.fold is {index}, but {options.root} has neither {SPLITS_FILE} nor a list with folds",
                hint=f"leave it out, or name a file of folds: dataset.fold: {{file: splits.json, index: {index}}}",
            )
        return f"fold {index} of the list in {options.root}", listed_fold
    folds = read_folds(path)
    if index >= len(folds):
        raise DataError(
            f"{path} has the folds 0 to {len(folds) - 1}, not {index}", hint="set dataset.fold to one of them"
        )
    found = {"train": tuple(folds[index]["train"]), "validation": tuple(folds[index]["val"])}
    if listed_fold is not None and _sets(found) != _sets(listed_fold):
        raise DataError(
            f"the list of cases and {path.name} in {options.root} have different cases in fold {index}",
            hint="remove one of the two",
        )
    return f"fold {index} of {path}", found


def _in_fold(fold: Splits, declared: Splits, labelled: Collection[str], where: str) -> Splits:
    """The cases of a fold, and the test cases that the data set declares."""
    known = {case for ids in declared.values() for case in ids}
    test = declared.get("test", ())
    for name, ids in fold.items():
        if not ids:
            raise DataError(f"{where} has no cases in {_SIDES[name]}")
        if unknown := [case for case in ids if case not in known]:
            raise DataError(
                f"{where}: {_SIDES[name]} names {len(unknown)} cases that do not exist: {listed(unknown)}",
                hint=f"existing cases are e.g. {', '.join(sorted(known)[:3])}",
            )
        if bare := [case for case in ids if case not in labelled]:
            raise DataError(f"{where}: {_SIDES[name]} names {len(bare)} cases without labels: {listed(bare)}")
        if twice := [case for case, count in Counter(ids).items() if count > 1]:
            raise DataError(f"{where}: {_SIDES[name]} names cases twice: {listed(twice)}")
    train, held_out, tested = set(fold["train"]), fold["validation"], set(test)
    if both := [case for case in held_out if case in train]:
        raise DataError(f"{where} both trains on and holds out {len(both)} cases: {listed(both)}")
    if strange := [case for ids in fold.values() for case in ids if case in tested]:
        raise DataError(
            f"{where} names {len(strange)} cases that are test cases of the data set: {listed(strange)}",
            hint="leave them out of the file: test cases are in no fold",
        )
    if neither := sorted(known - train - {*held_out} - tested):
        log.warning("%s: %d cases are neither trained on nor held out: %s", where, len(neither), listed(neither))
    for note in name_replaced(declared, fold):
        log.warning("%s: %s", where, note)
    return {**fold, **({"test": test} if test else {})}


_SIDES = {"train": "train", "validation": "val"}
"""What the sides of a fold are called in files."""


def _sets(splits: Splits) -> dict[str, set[str]]:
    return {name: set(ids) for name, ids in splits.items()}
