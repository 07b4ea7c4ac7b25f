"""The splits of BTCV's 30 labelled cases in papers, by the numbers in their names."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from medvid.data.splits import Splits
from medvid.errors import DataError
from medvid.sentences import listed

UNETR = {"train": (*range(1, 11), *range(21, 35)), "validation": tuple(range(35, 41))}
"""24 and 6, as in the UNETR authors' dataset_0.json."""
TRANSUNET = {
    "train": (5, 6, 7, 9, 10, 21, 23, 24, 26, 27, 28, 30, 31, 33, 34, 37, 39, 40),
    "test": (1, 2, 3, 4, 8, 22, 25, 29, 32, 35, 36, 38),
}
"""18 and 12, as in the TransUNet authors' lists."""


def published_split(split: Mapping[str, Sequence[int]], cases: Sequence[str], root: Path) -> Splits:
    """Cases by split, found by the number at the end of their names.

    Args:
        split: the numbers.
        cases: ids of the existing cases.
        root: their folder.

    Raises:
        DataError: cases are missing, or two have the same number.
    """
    known = _by_number(cases)
    if missing := [f"img{number:04d}" for numbers in split.values() for number in numbers if number not in known]:
        raise DataError(
            f"the published split needs {len(missing)} cases that are not in {root}: {listed(missing)}",
            hint=f"add them, or name your own: dataset.split: {{{', '.join(f'{name}: [...]' for name in split)}}}",
        )
    return {name: tuple(known[number] for number in numbers) for name, numbers in split.items()}


def _by_number(cases: Sequence[str]) -> dict[int, str]:
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
