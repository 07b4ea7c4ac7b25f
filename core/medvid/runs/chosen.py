"""The cases that `platform evaluate` scores: the run's held-out cases, or all labelled cases of another folder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from medvid.data.dataset import Dataset, Progress
from medvid.errors import DataError
from medvid.runs.origin import Known, Origin, check_cases, known_cases, membership_note, trained_note
from medvid.sentences import listed

EXTERNAL = "external"
"""The split name for cases of a folder other than the run's."""

Trained = Literal["refuse", "leave-out", "score"]
"""What to do with training cases of the run in another folder."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The cases of an evaluation, prepared.

    Args:
        split: their split, or `EXTERNAL`.
        cases: ids.
        digest: of their content.
        notes: what users have to know about them.
    """

    split: str
    cases: tuple[str, ...]
    digest: str
    notes: tuple[str, ...]


def own_cases(dataset: Dataset, origin: Origin, split: str, progress: Progress) -> Chosen:
    """The cases of a split as the run remembers them, however its folder would be split now.

    Args:
        dataset: of the run.
        origin: the state at the start of the run.
        split: one of its splits.
        progress: called while cases are prepared.

    Raises:
        DataError: the split does not exist, or its cases changed since the run started, or have no labels.
    """
    remembered = origin.splits.get(split)
    notes = (
        [membership_note(dataset, origin, [split])] if remembered else [f"the run does not remember its {split} split"]
    )
    if not remembered and split not in dataset.splits:
        raise DataError(
            f"the data set in {dataset.options.root} has no split {split!r}; it has {listed([*dataset.splits])}",
            hint="score a folder of labelled cases: platform evaluate RUN --data FOLDER",
        )
    cases = tuple(remembered) if remembered else dataset.cases(split)
    dataset.fix_splits({split: cases})
    hint = (
        "restore them, or score all labelled cases that the folder holds now: "
        f"platform evaluate RUN --data {dataset.options.root} --trained leave-out"
    )
    if bare := sorted(set(cases).difference(dataset.labelled())):
        raise DataError(
            f"{len(bare)} of {len(cases)} cases of the split {split!r} are gone or have no labels: {listed(bare)}",
            hint=hint,
        )
    dataset.prepare(cases, progress)
    known = known_cases(dataset, cases)
    check_cases(dataset, remembered or {}, hint)
    return _chosen(dataset, split, known, (*notes, trained_note(known, origin)))


def external_cases(dataset: Dataset, origin: Origin | None, trained: Trained, progress: Progress) -> Chosen:
    """All labelled cases of a folder other than the run's.

    Args:
        dataset: of that folder.
        origin: the state at the start of the run; None for a run without this record.
        trained: what to do with training cases, which are recognised by their content.
        progress: called while cases are prepared.

    Raises:
        DataError: no case has labels; or there are training cases, and these are refused.
    """
    cases = dataset.labelled()
    dataset.fix_splits({EXTERNAL: cases})
    dataset.prepare(cases, progress)
    known = known_cases(dataset, cases)
    if origin is None or not origin.trained or not all(each.content for each in known.values()):
        return _chosen(dataset, EXTERNAL, known, ("whether some of these are training cases is unknown",))
    names = origin.trained
    seen = {case: names[each.content] for case, each in known.items() if each.content in names}
    if seen and trained == "refuse":
        pairs = [f"{case} = {trained_as}" for case, trained_as in seen.items()]
        raise DataError(
            f"{len(seen)} of {len(cases)} cases in {dataset.options.root} are copies of cases that the run was trained "
            f"on: {listed(pairs)}",
            hint="take them out, or say what to do with them: --trained leave-out, or --trained score",
        )
    notes = [trained_note(known, origin)]
    if seen and trained == "leave-out":
        known = {case: each for case, each in known.items() if case not in seen}
        notes = [f"{len(seen)} cases that the run was trained on are left out: {listed(list(seen))}"]
    return _chosen(dataset, EXTERNAL, known, notes)


def _chosen(dataset: Dataset, split: str, known: dict[str, Known], notes: Sequence[str]) -> Chosen:
    if not known:
        raise DataError(
            f"nothing to score: {dataset.options.root} has no labelled case apart from training cases of the run",
            hint="pass a folder with label maps (or class labels) in a layout that the data set reads",
        )
    counts = Counter(each.content for each in known.values() if each.content)
    copies = [case for case, each in known.items() if counts[each.content] > 1]
    same = f"{len(copies)} of the scored cases are copies of one another: {listed(copies)}" if copies else ""
    return Chosen(split, tuple(known), dataset.digest(tuple(known)), tuple(note for note in (*notes, same) if note))
