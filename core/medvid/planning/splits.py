"""Which cases are held out: what the data set says, else the first of five folds."""

from collections.abc import Sequence
from pathlib import Path

from medvid.data.dataset import Dataset
from medvid.data.fold_files import SPLITS_FILE, write_folds
from medvid.data.folds import folds_of
from medvid.errors import ConfigError, DataError
from medvid.planning.draft import Draft
from medvid.planning.patients import patients_of
from medvid.planning.request import Request


def check_enough(root: Path, count: int, what: str) -> None:
    """Refuse a data set of a single case, of which none could be held out.

    Args:
        root: of the data set.
        count: of its labelled cases.
        what: one of them, in words.

    Raises:
        DataError: there are fewer than two.
    """
    if count < 2:
        raise DataError(
            f"a plan needs at least 2 {what}s, one to train on and one to hold out; {root} has {count}",
            hint="add cases with their labels",
        )


def put_split(draft: Draft, dataset: Dataset, cases: Sequence[str], request: Request, *, divides: bool = False) -> None:
    """Leave a split or folds that there are; else write those of nnU-Net, of patients where they are known.

    In medvid's style, patients are also those that the names of cases tell.

    Args:
        draft: the task.
        dataset: the data.
        cases: ids of the labelled ones.
        request: what was asked.
        divides: whether the data set itself holds out a share of each class, which is then left to it.

    Raises:
        ConfigError: folds are to be written, but there are some.
    """
    options = dataset.options
    has_folds = (options.root / SPLITS_FILE).is_file() or dataset.own_fold(0) is not None
    is_asked = options.fold is not None or getattr(options, "split", None) is not None
    is_split = is_asked or "validation" in dataset.declared()
    if request.splits and (is_split or has_folds):
        raise ConfigError(
            f"--splits would write folds, but {options.root if has_folds else 'the data set'} has "
            f"{'folds' if has_folds else 'a split'} already",
            hint="plan without --splits: what there is is used",
        )
    if is_split:
        draft.head.append("Split: as the data set says.")
    elif has_folds:
        draft.put("dataset.fold", 0, "the first fold of the data set's own")
    elif divides and not request.splits and "validation" in dataset.divide():
        draft.head.append("Split: a share of each class is held out; see validation_fraction.")
    else:
        _put_folds(draft, dataset, cases, request)


def _put_folds(draft: Draft, dataset: Dataset, cases: Sequence[str], request: Request) -> None:
    known, named = dataset.groups(), patients_of(cases)
    groups = known or (named if request.style == "medvid" else {})
    group_of = {case: groups.get(case, case) for case in cases} if groups else {}
    count = min(5, len(set(group_of.values())) or len(cases))
    folds = folds_of(cases, count, group_of or None)
    first = {"train": folds[0]["train"], "validation": folds[0]["val"]}
    what = "cases" if not groups else "patients" if known else "patients, by the names of cases"
    draft.put("dataset.split", first, f"the first of {count} folds of {what}")
    draft.folds = folds if request.splits else []
    if named and not groups:
        draft.head.append(
            f"Not as it should be: names tell of {len(set(named.values()))} patients with several cases each, which "
            "nnU-Net's folds take apart; --style medvid keeps them together."
        )
    elif not groups:
        draft.head.append("Not known: which cases are of one patient; each is taken for one of its own.")


def write_split(draft: Draft, dataset: Dataset) -> None:
    """Write the folds of a draft into the data set's folder, and take the first from there."""
    write_folds(dataset.options.root / SPLITS_FILE, draft.folds)
    why = draft.reasons.pop(("dataset", "split"), "the first fold")
    draft.values["dataset"].pop("split", None)
    draft.put("dataset.fold", 0, f"{why}, in {SPLITS_FILE}")
