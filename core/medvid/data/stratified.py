"""Groups of cases divided into folds with like shares of every label."""

from collections import Counter
from collections.abc import Mapping

from medvid.seeding import derive_seed

CASES = "cases"
"""Counted like a label, so that folds have like numbers of cases."""


def assign(
    groups: Mapping[str, Mapping[str, int]], count: int, seed: int, kept: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Choose a fold for each group, so that folds have like numbers of the cases of each label.

    The groups with the largest shares of labels come first, so those with rare labels do; ties are broken by a hash of
    their names. Each goes where it adds least to the sum of squares of the folds' shares of its labels. Groups with
    nothing but `CASES` go to the smallest fold. What order they are given in does not matter.

    Args:
        groups: number of cases by label, with `CASES`, of each group by its name.
        count: number of folds.
        seed: another one breaks ties differently.
        kept: the folds of groups that have one, which stay there.

    Returns:
        The fold of every group.
    """
    totals: Counter[str] = Counter()
    for labels in groups.values():
        totals.update(labels)
    folds: list[Counter[str]] = [Counter() for _ in range(count)]
    found = dict(kept or {})
    for name, fold in found.items():
        folds[fold].update(groups[name])

    def cost(labels: Mapping[str, int], present: Mapping[str, int]) -> float:
        return sum(number * present[label] / totals[label] ** 2 for label, number in sorted(labels.items()))

    new = [name for name in groups if name not in found]
    for name in sorted(new, key=lambda one: (-cost(groups[one], groups[one]), derive_seed(seed, "fold", one), one)):
        labels = groups[name]
        chosen = min(range(count), key=lambda fold: (cost(labels, folds[fold]), folds[fold][CASES], fold))
        folds[chosen].update(labels)
        found[name] = chosen
    return found
