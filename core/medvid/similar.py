"""The known name meant by an unknown one: another spelling or a typing error, nothing beyond."""

import re
from collections.abc import Sequence

SHORTEST = 5
"""Length of a name from which one wrong letter counts as a typing error; shorter names are too close together."""


def suggest(value: str, known: Sequence[str], *, parts: bool = False) -> str:
    """``"; did you mean 'x'?"``, or empty if no known name, or more than one, can be meant.

    `adamW` means `adamw`, but `nadam`, `unet` or `fp16` mean something that does not exist.

    Args:
        value: the unknown name.
        known: the known names.
        parts: whether a name also matches longer or shorter ones with the same beginning, as for options.
    """
    for is_meant in (_is_spelling, _is_slip, *([_begins] if parts else ())):
        meant = [name for name in known if is_meant(value, name)]
        if len(meant) == 1:
            return f"; did you mean {meant[0]!r}?"
        if meant:
            return ""
    return ""


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _is_spelling(value: str, name: str) -> bool:
    return _plain(value) == _plain(name)


def _begins(value: str, name: str) -> bool:
    short, long = sorted((_plain(value), _plain(name)), key=len)
    return len(short) >= 3 and long.startswith(short)


def _is_slip(value: str, name: str) -> bool:
    """Whether one letter is wrong, surplus or missing, or two are swapped; in long names two such errors."""
    given, wanted = _plain(value), _plain(name)
    if re.findall(r"\d", given) != re.findall(r"\d", wanted):  # another size or version
        return False
    short, long = sorted((given, wanted), key=len)
    if long == f"{short}s" or _repeats(short, long):
        return True
    if short in long:  # unet in unetr, adam in nadam
        return False
    return len(short) >= SHORTEST - 1 and len(long) >= SHORTEST and _distance(given, wanted) <= 1 + (len(short) > 8)


def _repeats(short: str, long: str) -> bool:
    """Whether a letter was typed twice, or once instead of twice."""
    return re.sub(r"(.)\1", r"\1", long) == re.sub(r"(.)\1", r"\1", short)


def _distance(one: str, other: str) -> int:
    """Number of letters to change, add, remove or swap with their neighbour (optimal string alignment)."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, start=1):
        row = [i]
        for j, wanted in enumerate(other, start=1):
            cost = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (letter != wanted))
            if i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], wanted):
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
