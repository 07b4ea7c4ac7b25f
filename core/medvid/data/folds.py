"""Folds of a cross-validation: nnU-Net's own, by patient, stratified by labels, and more cases later."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from medvid.config.options import FoldOptions
from medvid.data.case_labels import labels_of
from medvid.data.chosen_groups import groups_of
from medvid.data.dataset import Dataset, Progress
from medvid.data.fold_choice import settle
from medvid.data.fold_files import Fold, read_folds
from medvid.data.fold_options import FoldsOptions
from medvid.data.groups import Groups, check_groups
from medvid.data.stratified import CASES, assign
from medvid.errors import DataError
from medvid.sentences import listed

log = logging.getLogger(__name__)

SEED = 12345
"""nnU-Net's."""
TRAINED = 0.8
"""Share of the cases of `random_split` that are trained on."""

Labels = Mapping[str, Sequence[str]]
"""The labels of each case, see `medvid.data.case_labels`."""


def _ignore(done: int, total: int) -> None: ...


def cases_to_divide(dataset: Dataset) -> tuple[str, ...]:
    """The cases that some fold trains on or validates with: neither test cases nor those without labels.

    They are those of the task's `split`, if it has one, else all that the data set declares.

    Raises:
        DataError: there are none.
    """
    splits = dataset.division if getattr(dataset.options, "split", None) else dataset.declared()
    labelled = set(dataset.labelled())
    cases = [case for name in ("train", "validation") for case in splits.get(name, ()) if case in labelled]
    if not cases:
        raise DataError(f"the data set in {dataset.options.root} has no labelled cases to divide into folds")
    return tuple(dict.fromkeys(cases))


def make_folds(
    dataset: Dataset, options: FoldsOptions, progress: Progress = _ignore, labels: Labels | None = None
) -> list[Fold]:
    """Divide the cases of a data set, or read a file that does.

    Args:
        dataset: the data set.
        options: how.
        progress: called with (done, total) while annotations are read.
        labels: of the cases, where they are known already.

    Raises:
        DataError: the cases cannot be divided so, or a group would be on both sides.
    """
    if options.file is not None:
        return _checked(dataset, options)
    cases = cases_to_divide(dataset)
    groups = groups_of(dataset, cases, options)
    if options.stratify == "none":
        folds = folds_of(cases, options.count, groups, options.seed)
    else:
        contents = _contents(groups, labels or labels_of(dataset, cases, progress))
        _check_count(len(contents), len(cases), options.count)
        folds = _folds_by(groups, assign(contents, options.count, options.seed), options.count)
    _keep_patients(dataset, folds)
    return folds


def extend_folds(
    kept: Sequence[Fold],
    dataset: Dataset,
    options: FoldsOptions,
    progress: Progress = _ignore,
    labels: Labels | None = None,
) -> list[Fold]:
    """Add the cases that came to a data set since its folds were made; no case that was there moves.

    A new case of a known group goes to the fold of that group; other new groups to the smallest fold, with `stratify`
    to the one that has least of their labels.

    Args:
        kept: the folds; each case is held out in one of them.
        dataset: the data set; cases that it no longer has are left out, which is said.
        options: `group`, `stratify` and `seed`, as the folds were made with.
        progress: as of `make_folds`.
        labels: likewise.

    Raises:
        DataError: a case is held out twice or never, or a group in several folds.
    """
    cases = cases_to_divide(dataset)
    groups = groups_of(dataset, cases, options)
    places = _places(kept)
    if gone := sorted(set(places) - set(cases)):
        log.warning("%d cases of the folds are no longer there and are left out: %s", len(gone), listed(gone))
    known: dict[str, int] = {}
    for case in cases:
        if case in places and known.setdefault(groups[case], places[case]) != places[case]:
            raise DataError(
                f"{groups[case]} has cases in the folds {known[groups[case]]} and {places[case]}: {case} and others",
                hint="make new folds, which keep groups together",
            )
    wanted = {} if options.stratify == "none" else labels or labels_of(dataset, cases, progress)
    folds = _folds_by(groups, assign(_contents(groups, wanted), len(kept), options.seed, known), len(kept))
    _keep_patients(dataset, folds)
    return folds


def folds_of(cases: Sequence[str], count: int = 5, groups: Groups | None = None, seed: int = 0) -> list[Fold]:
    """Hold out each case once: nnU-Net's folds (scikit-learn's KFold, shuffled), or folds that keep groups together.

    Names are sorted, shuffled and cut in order; the first folds are one longer where the number cannot be divided.

    Args:
        cases: ids.
        count: number of folds.
        groups: the group of each case, such as its patient; groups are then drawn as cases are otherwise.
        seed: added to nnU-Net's.

    Raises:
        DataError: there are fewer cases, or groups, than folds.
    """
    group_of = groups or {case: case for case in cases}
    names = sorted({group_of[case] for case in cases})
    _check_count(len(names), len(cases), count)
    order = np.arange(len(names))
    np.random.RandomState(SEED + seed).shuffle(order)
    places = {names[place]: number for number, part in enumerate(np.array_split(order, count)) for place in part}
    return _folds_by({case: group_of[case] for case in cases}, places, count)


def random_split(cases: Sequence[str], fold: int) -> Fold:
    """What nnU-Net does for a fold beyond those of the file: 80 % of the cases, drawn with the fold in the seed."""
    names = sorted(cases)
    drawn = np.random.RandomState(SEED + fold).choice(len(names), int(len(names) * TRAINED), replace=False)
    train = [names[place] for place in drawn]
    return {"train": train, "val": [name for name in names if name not in set(train)]}


def _checked(dataset: Dataset, options: FoldsOptions) -> list[Fold]:
    """The folds of a file, each of which can be trained and validated."""
    assert options.file is not None, "only asked where there is one"
    folds = read_folds(options.file)
    for index, fold in enumerate(folds):
        chosen = dataset.options.model_copy(update={"fold": FoldOptions(file=options.file, index=index)})
        settle(chosen, dataset.declared, dataset.divide, dataset.groups, dataset.labelled)
        groups = groups_of(dataset, [*fold["train"], *fold["val"]], options)
        _check_sides(groups, fold, f"fold {index} of {options.file}")
    return folds


def _keep_patients(dataset: Dataset, folds: Sequence[Fold]) -> None:
    for index, fold in enumerate(folds):
        _check_sides(dataset.groups(), fold, f"fold {index}")


def _check_sides(groups: Groups, fold: Fold, where: str) -> None:
    check_groups(groups, {"train": tuple(fold["train"]), "validation": tuple(fold["val"])}, where)


def _check_count(groups: int, cases: int, count: int) -> None:
    if groups < count:
        raise DataError(
            f"{groups} {'groups' if groups < cases else 'cases'} cannot make {count} folds",
            hint=f"make at most {groups}: --folds {groups}" if groups > 1 else "",
        )


def _contents(groups: Groups, labels: Labels) -> dict[str, Counter[str]]:
    """How many cases of each label the groups have."""
    contents: dict[str, Counter[str]] = {}
    for case, group in groups.items():
        contents.setdefault(group, Counter()).update([CASES, *(f"label {name}" for name in labels.get(case, ()))])
    return contents


def _folds_by(groups: Groups, places: Mapping[str, int], count: int) -> list[Fold]:
    """The folds of cases from those of their groups."""
    names = sorted(groups)
    return [
        {
            "train": [case for case in names if places[groups[case]] != number],
            "val": [case for case in names if places[groups[case]] == number],
        }
        for number in range(count)
    ]


def _places(folds: Sequence[Fold]) -> dict[str, int]:
    """In which fold each case is held out.

    Raises:
        DataError: one is held out twice, or trained on but never held out.
    """
    places: dict[str, int] = {}
    for number, fold in enumerate(folds):
        if twice := [case for case in fold["val"] if case in places]:
            raise DataError(f"folds {places[twice[0]]} and {number} both hold out {listed(twice)}")
        places |= dict.fromkeys(fold["val"], number)
    if never := sorted({case for fold in folds for case in fold["train"]} - places.keys()):
        raise DataError(f"{len(never)} cases are trained on but held out in no fold: {listed(never)}")
    return places
