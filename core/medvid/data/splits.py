"""Which cases are trained on and which are held out. Imports nothing heavy."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
        DataError: there is no such split, or nothing in it.
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
    return cases


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


def held_out_in_training(splits: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Cases that are both trained on and held out."""
    held_out = {case for name, ids in splits.items() if name != "train" for case in ids}
    return tuple(case for case in splits.get("train", ()) if case in held_out)


def check_copies(splits: Mapping[str, Sequence[str]], content: Mapping[str, str]) -> None:
    """Refuse the same image under two names, one trained on and one held out.

    Args:
        splits: the ids.
        content: a hash of the image by case; cases without one are not looked at.

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
