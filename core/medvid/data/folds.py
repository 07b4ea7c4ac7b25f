"""Folds of a cross-validation, as nnU-Net's splits_final.json has them."""

from collections.abc import Mapping, Sequence

import numpy as np

from medvid.data.fold_files import Fold
from medvid.errors import DataError

SEED = 12345
"""nnU-Net's."""
TRAINED = 0.8
"""Share of the cases of `random_split` that are trained on."""


def folds_of(cases: Sequence[str], count: int = 5, groups: Mapping[str, str] | None = None) -> list[Fold]:
    """Hold out each case once: nnU-Net's folds (scikit-learn's KFold, shuffled), or folds that keep groups together.

    Names are sorted, shuffled and cut in order; the first folds are one longer where the number cannot be divided.

    Args:
        cases: ids.
        count: number of folds.
        groups: the group of each case, such as its patient; groups are then drawn as cases are otherwise.

    Raises:
        DataError: there are fewer cases, or groups, than folds.
    """
    group_of = groups or {case: case for case in cases}
    names = sorted({group_of[case] for case in cases})
    if len(names) < count:
        raise DataError(
            f"{len(names)} {'groups' if groups else 'cases'} cannot make {count} folds",
            hint=f"make at most {len(names)}: --folds {len(names)}" if len(names) > 1 else "",
        )
    order = np.arange(len(names))
    np.random.RandomState(SEED).shuffle(order)
    held_out = [{names[place] for place in part} for part in np.array_split(order, count)]
    return [
        {
            "train": [case for case in sorted(cases) if group_of[case] not in held],
            "val": [case for case in sorted(cases) if group_of[case] in held],
        }
        for held in held_out
    ]


def random_split(cases: Sequence[str], fold: int) -> Fold:
    """What nnU-Net does for a fold beyond those of the file: 80 % of the cases, drawn with the fold in the seed."""
    names = sorted(cases)
    drawn = np.random.RandomState(SEED + fold).choice(len(names), int(len(names) * TRAINED), replace=False)
    train = [names[place] for place in drawn]
    return {"train": train, "val": [name for name in names if name not in set(train)]}
