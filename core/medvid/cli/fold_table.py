"""Folds as a table: what each holds out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from medvid.cli.common import aligned

WIDTH = 100
_NAME, _ROWS, _FOLDS = 32, 20, 8


def fold_table(
    held_out: Sequence[Sequence[str]], groups: Mapping[str, str], labels: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Lines of at most `WIDTH` characters: a row for cases, groups and each label, a column for each fold.

    Args:
        held_out: cases of each fold.
        groups: the group of each case.
        labels: the labels of each case; the rarest are shown.
    """
    rows: list[tuple[str, list[int]]] = [("cases", [len(cases) for cases in held_out])]
    if len(set(groups.values())) < len(groups):
        rows.append(("groups", [len({groups[case] for case in cases}) for cases in held_out]))
    counts = [Counter(label for case in cases for label in labels.get(case, ())) for cases in held_out]
    rarest = sorted(sum(counts, Counter()).items(), key=lambda item: (item[1], item[0]))
    rows += [(label, [count[label] for count in counts]) for label, _ in rarest[:_ROWS]]
    for first in range(0, len(held_out), _FOLDS):
        last = min(first + _FOLDS, len(held_out))
        is_whole = len(held_out) <= _FOLDS
        yield from aligned(
            [
                ["fold", *map(str, range(first, last)), *(["all"] if is_whole else [])],
                *(
                    [_short(name), *map(str, numbers[first:last]), *([str(sum(numbers))] if is_whole else [])]
                    for name, numbers in rows
                ),
            ]
        )
    if others := [label for label, _ in rarest[_ROWS:]]:
        spread = max(max(count[label] for count in counts) - min(count[label] for count in counts) for label in others)
        yield f"{len(others)} more labels; of each, folds differ by {spread} cases at most"


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 3]}..."
