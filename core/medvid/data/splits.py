"""Which cases are trained on and which are held out: one policy for all data sets."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from unicodedata import normalize

from pydantic import Field, field_validator

from medvid.config.options import Options
from medvid.data.names import chosen, members
from medvid.errors import DataError
from medvid.seeding import derive_seed
from medvid.sentences import listed

if TYPE_CHECKING:
    from medvid.data.dataset import Dataset

log = logging.getLogger(__name__)

Splits = Mapping[str, Sequence[str]]
"""Ids of the cases of each split: train, validation, test."""


class SplitOptions(Options):
    """Training cases and held-out cases."""

    train: Annotated[tuple[str, ...], Field(min_length=1)]
    """Ids of the training cases: file names without their ending."""
    validation: tuple[str, ...] | None = None
    """Ids of the cases by which weights are chosen; default: as the folder says; an empty list: none."""
    test: tuple[str, ...] | None = None
    """Ids of the test cases; default: as the folder says; an empty list: none."""

    @field_validator("*")
    @classmethod
    def _composed(cls, ids: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Accents in the form used in ids, whatever the form in the task file."""
        return None if ids is None else tuple(normalize("NFC", case) for case in ids)


def cases_of_run(dataset: "Dataset", evaluated: str) -> dict[str, Sequence[str]]:
    """The cases that a run trains on and the cases that it evaluates, by split.

    Args:
        dataset: the data set.
        evaluated: the split of the task's evaluation block.

    Raises:
        DataError: a split does not exist or is empty, or cases to evaluate have no labels.
    """
    cases: dict[str, Sequence[str]] = {}
    for split in dict.fromkeys(("train", evaluated)):
        try:
            cases[split] = dataset.cases(split)
        except DataError as error:
            error.hint = error.hint or "name an existing one: --set evaluation.split=test"
            raise
        if not cases[split]:
            raise DataError(
                f"the split {split!r} of the data set in {dataset.options.root} has no cases",
                hint="check its lists or folders, and dataset.validation_fraction if a share is held out",
            )
    labelled = members(dataset.labelled())
    if bare := [case for case in cases[evaluated] if case not in labelled]:
        raise DataError(
            f"{len(bare)} of {len(cases[evaluated])} cases of the split {evaluated!r} cannot be scored, because the "
            f"data set has no labels for them: {listed(bare)}",
            hint="add their labels, or evaluate another split: --set evaluation.split=validation",
        )
    return cases


def check_truth(dataset: "Dataset", cases: Sequence[str]) -> None:
    """Make sure that prepared cases can be scored: read their labels, unless their data set said which have one.

    Args:
        dataset: the data set; if it does not say which cases have labels, all are read, else the first.
        cases: ids.

    Raises:
        DataError: naming the case.
    """
    tells = any(
        "labelled" in vars(base)
        for base in type(getattr(dataset, "inner", dataset)).__mro__
        if base.__name__ != "Dataset"
    )
    for name in cases[:1] if tells else cases:
        case: Any = dataset.open_case(name)
        if dataset.target_info.where == "voxel":
            case.native_truth()
        elif case.target is None and not dataset.target_info.has_unknown:
            raise DataError(f"case {name} has no label", hint="evaluation needs a label for each case")


def choose_splits(asked: SplitOptions | None, declared: Splits, complete: Callable[[], Splits]) -> Splits:
    """The cases of each split: from the task, else the folder, else the data set's own division.

    This is decided split by split, in all data sets, so a folder's test cases stay if a task divides only the others.

    Args:
        asked: the task's `split`.
        declared: the splits of lists or folders.
        complete: splits that the data set adds, or replaces, if the task names no cases.
    """
    if asked is None:
        return {**declared, **complete()}
    named = {name: ids for name, ids in asked if ids is not None}
    for note in name_replaced(declared, named):
        log.warning(note)
    return {name: ids for name, ids in {**declared, **named}.items() if ids}


def check_splits(splits: Splits, asked: SplitOptions | None, cases: Sequence[str], labelled: Collection[str]) -> None:
    """Refuse unusable splits, and log which cases are in none.

    Args:
        splits: see `choose_splits`.
        asked: the task's `split`, which can hold out exactly the training cases, to see if they can be fitted.
        cases: all cases.
        labelled: the cases with labels.

    Raises:
        DataError: a split names cases that do not exist or have no labels, names one twice, or training cases are held
            out.
    """
    check_known(splits, cases)
    check_repeated(splits)
    for name in ("train", "validation"):
        if bare := [case for case in splits.get(name, ()) if case not in labelled]:
            raise DataError(f"split {name} has {len(bare)} cases without labels: {listed(bare)}")
    held_out = {case for name, ids in splits.items() if name != "train" for case in ids}
    if shared := [case for case in splits.get("train", ()) if case in held_out]:
        if asked is None or len(shared) < len(splits["train"]):
            raise DataError(
                f"{len(shared)} cases are both trained on and held out: {listed(shared)}",
                hint="name the cases of each split; dataset.split.test: [] drops the folder's test cases",
            )
        log.warning("the task holds out training cases: figures show fit, not generalisation")
    for note in name_unused(splits, cases):
        log.warning(note)


def cases_of_split(splits: Splits, split: str, root: Path) -> Sequence[str]:
    """The cases of a split of the data set in `root`.

    Raises:
        DataError: the split does not exist.
    """
    if split not in splits:
        raise DataError(f"the data set in {root} has no split {split!r}; it has {', '.join(splits)}")
    return splits[split]


def hold_out(cases: Sequence[str], fraction: float, seed: int) -> dict[str, Sequence[str]]:
    """Split cases into train and validation by a hash of their names, so that a new case moves no other one.

    Args:
        cases: the ids.
        fraction: share of the cases to validate on, at least one; 0: train on all.
        seed: another seed gives another split.

    Raises:
        DataError: there is only one case.
    """
    if not fraction:
        return {"train": cases[:]}
    if len(cases) < 2:
        raise DataError(
            f"at least 2 cases are required to hold one out, found {len(cases)}",
            hint="to see how well a single case can be fitted, say so: "
            f"dataset.split: {{train: [{', '.join(cases)}], validation: [{', '.join(cases)}]}}",
        )
    ranked = sorted(range(len(cases)), key=lambda number: derive_seed(seed, "split", cases[number]))
    held_out = bytearray(len(cases))
    for number in ranked[: max(1, round(len(cases) * fraction))]:
        held_out[number] = True
    return {
        "train": chosen(cases, (not held for held in held_out)),
        "validation": chosen(cases, (bool(held) for held in held_out)),
    }


def check_known(splits: Mapping[str, Sequence[str]], cases: Sequence[str]) -> None:
    """Refuse splits that name cases which do not exist.

    Raises:
        DataError: naming them.
    """
    for name, ids in splits.items():
        if unknown := sorted(set(ids) - set(cases)):
            raise DataError(
                f"split {name} names {len(unknown)} cases that do not exist: {listed(unknown)}",
                hint=f"existing cases are e.g. {', '.join(list(cases)[:3])}",
            )


def check_repeated(splits: Mapping[str, Sequence[str]]) -> None:
    """Refuse splits that name a case twice: it would count twice.

    Raises:
        DataError: naming them.
    """
    for name, ids in splits.items():
        if len(set(ids)) < len(ids):
            twice = dict.fromkeys(case for case in ids if ids.count(case) > 1)
            raise DataError(f"split {name} names cases twice: {listed(list(twice))}")


def name_unused(splits: Mapping[str, Sequence[str]], cases: Sequence[str]) -> tuple[str, ...]:
    """A note on cases that are in no split."""
    used = {case for ids in splits.values() for case in ids}
    unused = [case for case in cases if case not in used]
    return (f"cases in no split are not used: {listed(unused)}",) if unused else ()


def name_replaced(declared: Mapping[str, Sequence[str]], asked: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A note on splits of the folder that the task's own replace."""
    known = {name: ids for name, ids in declared.items() if name != "train" or "validation" in declared}
    replaced = [name for name, ids in asked.items() if name in known and set(known[name]) != set(ids)]
    return (f"the task replaces splits declared by the data set: {listed(replaced)}",) if replaced else ()


def check_copies(splits: Mapping[str, Sequence[str]], content: Mapping[str, str]) -> tuple[str, ...]:
    """Refuse the same image under two names, one trained on and one held out.

    Args:
        splits: the ids.
        content: a hash of the image by case; cases without one are ignored.

    Returns:
        A note on copies within a split, which count several times.

    Raises:
        DataError: naming the pairs.
    """
    train = set(splits.get("train", ()))
    trained = {content[case]: case for case in content if case in train}
    copies = [f"{case} = {trained[value]}" for case, value in content.items() if case not in train and value in trained]
    if copies:
        raise DataError(
            f"{len(copies)} held-out cases are copies of training cases: {listed(copies)}",
            hint="take them out of one of the splits",
        )
    groups: dict[str, list[str]] = {}
    for case, value in content.items():
        groups.setdefault(value, []).append(case)
    same = [" = ".join(cases) for cases in groups.values() if len(cases) > 1]
    return (f"copies of one image, each of which counts: {listed(same)}",) if same else ()
