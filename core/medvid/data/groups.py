"""Groups of cases, such as those of a patient, which are never on both sides of a split."""

import re
from collections.abc import Mapping, Sequence

from medvid.data.splits import Splits, hold_out
from medvid.errors import DataError
from medvid.sentences import listed

Groups = Mapping[str, str]
"""The group of each case that is known to have one, by its id."""


def groups_by(cases: Sequence[str], pattern: str) -> dict[str, str]:
    r"""The group of each case: what a pattern finds in its name, or what is in the pattern's first parentheses.

    Args:
        cases: ids.
        pattern: a regular expression, such as ``patient\d+``.

    Raises:
        DataError: it is not one, or finds nothing in a name.
    """
    try:
        finder = re.compile(pattern)
    except re.error as error:
        raise DataError(f"{pattern!r} is not a regular expression: {error}") from error
    found = {case: finder.search(case) for case in cases}
    if without := [case for case, match in found.items() if match is None]:
        raise DataError(f"{pattern!r} finds no group in {len(without)} of {len(cases)} names: {listed(without)}")
    return {case: match[1 if finder.groups else 0] or "" for case, match in found.items() if match}


def check_groups(groups: Groups, splits: Splits, where: str = "") -> None:
    """Refuse groups of which some cases are trained on and others held out; cases that are both are not meant.

    Args:
        groups: by case.
        splits: ids by split.
        where: what divides them, such as a file and its fold, for the message.

    Raises:
        DataError: naming the groups, with a case on either side.
    """
    if not groups:
        return
    train = splits.get("train", ())
    own = set(train)
    trained: dict[str, str] = {}
    for case in train:
        trained.setdefault(groups.get(case, ""), case)
    held_out = [case for name, ids in splits.items() if name != "train" for case in ids if case not in own]
    both = {
        group: f"{group} ({trained[group]}, {case})"
        for case in held_out
        if (group := groups.get(case, "")) and group in trained
    }
    if both:
        raise DataError(
            f"{where + ': ' if where else ''}patients of whom some cases are trained on and others held out: "
            f"{listed([*both.values()])}",
            hint="move all cases of a patient to one side, or leave the splits out: then patients are held out whole",
        )


def hold_out_groups(cases: Sequence[str], groups: Groups, fraction: float, seed: int) -> Splits:
    """As `medvid.data.splits.hold_out`, but a share of the groups, with all their cases; others are their own."""
    own = {case: groups.get(case) or f"\0{case}" for case in cases}
    chosen = {*hold_out([*dict.fromkeys(own.values())], fraction, seed).get("validation", ())}
    held_out = tuple(case for case in cases if own[case] in chosen)
    train = tuple(case for case in cases if own[case] not in chosen)
    return {"train": train, "validation": held_out} if held_out else {"train": train}
