"""Whose each case is: as a pattern or a column says, else as the data set knows."""

from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

from medvid.data.dataset import Dataset
from medvid.data.fold_options import FoldsOptions, GroupOptions
from medvid.data.groups import Groups, groups_by
from medvid.data.tables.columns import PATHS, PATIENTS, Table, read_table
from medvid.data.tables.options import AnsweredOptions
from medvid.errors import DataError
from medvid.sentences import alternatives, listed

_CASES = ("case", "case_id", "id", *PATHS)
_GROUPS = ("group", *PATIENTS)


def groups_of(dataset: Dataset, cases: Sequence[str], options: FoldsOptions) -> Groups:
    """The group of each case; a case of whom nothing is known is one of its own.

    Args:
        dataset: the data set.
        cases: ids.
        options: say what keeps cases together.

    Raises:
        DataError: the pattern or the table says nothing of a case, or takes apart a patient whom the data set knows.
    """
    known = dataset.groups()
    match options.group:
        case None:
            found: Groups = known
        case str():
            found = groups_by(cases, options.group)
        case _:
            path, column = _table_of(dataset, options.group)
            found = groups_in(path, cases, options.group.column, column)
    return {case: found.get(case) or f"case {case}" for case in cases}


def groups_in(path: Path, cases: Sequence[str], column: str | None = None, names: str | None = None) -> dict[str, str]:
    """The group of each case in a table.

    Args:
        path: a CSV file with a line for each case, perhaps for others too.
        cases: ids.
        column: of groups; default: the only one with a usual name.
        names: column of the ids; likewise.

    Raises:
        DataError: there is no such column, a case has no line or an empty cell, or lines contradict each other.
    """
    table = read_table(path)
    of_cases, of_groups = _column(table, names, _CASES, "case"), _column(table, column, _GROUPS, "group")
    groups: dict[str, str] = {}
    for row in table.rows:
        case, group = normalize("NFC", row.cells[of_cases]), row.cells[of_groups]
        if groups.setdefault(case, group) != group:
            raise DataError(f"{path}:{row.line}: case {case} is of {group}, and in an earlier line of {groups[case]}")
    if without := [case for case in cases if not groups.get(case)]:
        raise DataError(
            f"{path}: {of_groups} says nothing of {len(without)} of {len(cases)} cases: {listed(without)}",
            hint="add a line for each, with its id as the data set has it",
        )
    return {case: groups[case] for case in cases}


def _column(table: Table, asked: str | None, usual: Sequence[str], what: str) -> str:
    """A column as the header spells it: the one that is asked for, else the first that has a usual name."""
    spelled = {name.casefold(): name for name in table.columns}
    for name in usual if asked is None else (asked.strip().casefold(),):
        if name in spelled:
            return spelled[name]
    raise DataError(
        f"{table.path} has no column {asked or what!r}; it has {listed(table.columns)}",
        hint=f"the column of each {what} is called {alternatives([*usual[:4]])}, or is named",
    )


def _table_of(dataset: Dataset, options: GroupOptions) -> tuple[Path, str | None]:
    """The table that has the column, and its column of cases if that has a name of its own."""
    if options.file is not None:
        return options.file, None
    own = dataset.options
    if isinstance(own, AnsweredOptions) and (path := own.table_path):
        return path, own.path_column
    raise DataError(
        f"the data set {own.name!r} in {own.root} has no table with a column {options.column!r}",
        hint="name a CSV file of cases and their groups",
    )
