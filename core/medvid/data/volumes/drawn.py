"""Which labels were drawn in which case, as lists and dataset.json say it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.index import Index
from medvid.data.volumes.labels import LabelScheme
from medvid.errors import DataError
from medvid.sentences import listed


def with_drawn(index: Index, drawn: Mapping[str, Sequence[str]], scheme: LabelScheme, root: Path) -> Index:
    """The cases with the labels that were drawn in them, by the names of the data set.

    Args:
        index: the cases, with what their list says of each.
        drawn: what dataset.json says, by case.
        scheme: the labels.
        root: the folder, for errors.

    Raises:
        DataError: a case or label does not exist, list and dataset.json differ, or the data set has all labels drawn.
    """
    if strange := [case for case in drawn if case not in index.cases]:
        raise DataError(f"{root}: drawn names cases that do not exist: {listed(strange)}")
    found = {case: _drawn_in(files, drawn.get(case), scheme) for case, files in index.cases.items()}
    said = {case: names for case, names in found.items() if names is not None}
    if not said:
        return index
    if not scheme.partial:
        raise DataError(
            f"{root} says which labels were drawn in {listed(list(said))}, but the task has all labels drawn",
            hint="set dataset.partial: true; the data set nifti has this option",
        )
    cases = {case: replace(files, drawn=found[case]) for case, files in index.cases.items()}
    return replace(index, cases=cases, notes=(*index.notes, *_notes(said, scheme, len(cases))))


def _drawn_in(files: CaseFiles, other: Sequence[str] | None, scheme: LabelScheme) -> tuple[str, ...] | None:
    try:
        found = {scheme.canonical(names) for names in (files.drawn, other) if names is not None}
    except ValueError as error:
        raise DataError(f"case {files.id}: drawn: {error}") from None
    if len(found) > 1:
        raise DataError(f"case {files.id}: its list entry and dataset.json say differently what was drawn in it")
    return next(iter(found), None)


def _notes(said: Mapping[str, Sequence[str]], scheme: LabelScheme, cases: int) -> list[str]:
    lacking = Counter(name for names in said.values() for name in scheme.foreground if name not in names)
    shown = [f"{name} in {count}" for name, count in lacking.items()]
    return [f"not drawn, of {cases} cases: {listed(shown)}; where it was not drawn a label is unknown"] if shown else []
