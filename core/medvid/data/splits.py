"""Which cases are trained on and which are held out. Imports nothing heavy."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medvid.data.listing import listed
from medvid.errors import DataError
from medvid.seeding import derive_seed

if TYPE_CHECKING:
    from medvid.data.dataset import Dataset

_SHOWN = 10


def cases_of_run(dataset: "Dataset", evaluated: str) -> dict[str, tuple[str, ...]]:
    """The cases that a run trains on and those that it evaluates, by split.

    Args:
        dataset: the data set.
        evaluated: the split of the task's evaluation block.

    Raises:
        DataError: there is no such split, or nothing in it, or what is to be evaluated has no labels.
    """
    cases: dict[str, tuple[str, ...]] = {}
    for split in dict.fromkeys(("train", evaluated)):
        try:
            cases[split] = dataset.cases(split)
        except DataError as error:
            error.hint = error.hint or "name one that there is: --set evaluation.split=test"
            raise
        if not cases[split]:
            raise DataError(
                f"the split {split!r} of the data set in {dataset.options.root} has no cases",
                hint="look at its lists or folders, and at dataset.validation_fraction where a share is held out",
            )
    labelled = set(dataset.labelled())
    if bare := [case for case in cases[evaluated] if case not in labelled]:
        raise DataError(
            f"{len(bare)} of {len(cases[evaluated])} cases of the split {evaluated!r} cannot be scored, as the data "
            f"set has no labels for them: {', '.join(bare[:_SHOWN])}",
            hint="add their labels, or evaluate another split: --set evaluation.split=validation",
        )
    return cases


def check_truth(dataset: "Dataset", cases: Sequence[str]) -> None:
    """Make sure that prepared cases can be scored, as far as their data set has not said so: read their labels.

    Args:
        dataset: the data set; where it does not tell which cases have labels, all are looked at, else the first.
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
        case: Any = dataset.case(name)
        if dataset.target_info.task == "segmentation":
            case.native_truth()
        elif case.label is None:
            raise DataError(f"case {name} has no label", hint="evaluation needs one for each case")


def hold_out(cases: Sequence[str], fraction: float, seed: int) -> dict[str, tuple[str, ...]]:
    """Split cases into train and validation by a hash of their names: a new case moves no other one.

    Args:
        cases: the ids.
        fraction: share of the cases to validate on, at least one; 0: train on all.
        seed: any other one gives another split.

    Raises:
        DataError: there is only one case.
    """
    if not fraction:
        return {"train": tuple(cases)}
    if len(cases) < 2:
        raise DataError(
            f"there are {len(cases)} cases, at least 2 are needed to hold one out",
            hint="to see how well a single case can be fitted, ask for it: "
            f"dataset.split: {{train: [{', '.join(cases)}], validation: [{', '.join(cases)}]}}",
        )
    ranked = sorted(cases, key=lambda case: derive_seed(seed, "split", case))
    held_out = set(ranked[: max(1, round(len(cases) * fraction))])
    return {
        "train": tuple(case for case in cases if case not in held_out),
        "validation": tuple(case for case in cases if case in held_out),
    }


def check_known(splits: Mapping[str, Sequence[str]], cases: Sequence[str]) -> None:
    """Refuse splits that name cases which are not there.

    Raises:
        DataError: naming them.
    """
    for name, ids in splits.items():
        if unknown := sorted(set(ids) - set(cases)):
            raise DataError(
                f"split {name} names {len(unknown)} cases that are not there: {', '.join(unknown[:_SHOWN])}",
                hint=f"cases are called e.g. {', '.join(list(cases)[:3])}",
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
    """What to say about cases that are in no split."""
    used = {case for ids in splits.values() for case in ids}
    unused = [case for case in cases if case not in used]
    return (f"in no split, and so not used: {listed(unused)}",) if unused else ()


def name_replaced(declared: Mapping[str, Sequence[str]], asked: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What to say about splits that the task asks for where the folder declares others."""
    known = {name: ids for name, ids in declared.items() if name != "train" or "validation" in declared}
    replaced = [name for name, ids in asked.items() if name in known and set(known[name]) != set(ids)]
    return (f"the task replaces splits that the data set declares: {listed(replaced)}",) if replaced else ()


def by_number(cases: Sequence[str]) -> dict[int, str]:
    """Cases by the number at the end of their names; those without one are left out.

    Raises:
        DataError: two have the same number.
    """
    numbers: dict[int, str] = {}
    for case in cases:
        if match := re.search(r"\d+$", case):
            other = numbers.setdefault(int(match[0]), case)
            if other != case:
                raise DataError(
                    f"{other} and {case} have the same number, so the published split names both",
                    hint="name your own: dataset.split: {train: [...], validation: [...]}",
                )
    return numbers


def held_out_in_training(splits: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Cases that are both trained on and held out."""
    held_out = {case for name, ids in splits.items() if name != "train" for case in ids}
    return tuple(case for case in splits.get("train", ()) if case in held_out)


def check_copies(splits: Mapping[str, Sequence[str]], content: Mapping[str, str]) -> tuple[str, ...]:
    """Refuse the same image under two names, one trained on and one held out.

    Args:
        splits: the ids.
        content: a hash of the image by case; cases without one are not looked at.

    Returns:
        What to say about copies that are on the same side, and so count twice.

    Raises:
        DataError: naming the pairs.
    """
    train = set(splits.get("train", ()))
    trained = {content[case]: case for case in content if case in train}
    copies = [f"{case} = {trained[value]}" for case, value in content.items() if case not in train and value in trained]
    if copies:
        raise DataError(
            f"{len(copies)} held-out cases are copies of training cases: {', '.join(copies[:_SHOWN])}",
            hint="take them out of one of the splits",
        )
    groups: dict[str, list[str]] = {}
    for case, value in content.items():
        groups.setdefault(value, []).append(case)
    same = [" = ".join(cases) for cases in groups.values() if len(cases) > 1]
    return (f"copies of one image, which count as often as there are: {listed(same)}",) if same else ()
