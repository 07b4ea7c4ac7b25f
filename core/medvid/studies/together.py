"""The rows of all finished cells of a study: each case as the models have scored it that were not trained on it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medvid.errors import DataError
from medvid.files import read_json
from medvid.studies.cells import Cell
from medvid.studies.folder import StudyFolder
from medvid.studies.rows import Row, group_of, read_rows
from medvid.studies.sides import Side, check_once, digests_of, read_summary


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished cell.

    Args:
        cell: which one.
        summary: of its run.
        rows: of its cases.
    """

    cell: Cell
    summary: Mapping[str, Any]
    rows: Sequence[Row]


def finished_cells(folder: StudyFolder, cells: Sequence[Cell]) -> list[Finished]:
    """The cells that have finished, with what they have written.

    Raises:
        DataError: files of a cell are damaged, or two folds have scored the same case.
    """
    found, scored = [], dict[tuple[str, int, str], Cell]()
    for cell in cells:
        run = cell.run_folder(folder)
        if read_json(run.summary).get("status") != "finished":
            continue
        rows = check_once(read_rows(run.cases), run.path)
        found.append(Finished(cell, read_summary(run.path), rows))
        for case in dict.fromkeys(row["case"] for row in rows):
            other = scored.setdefault((cell.configuration, cell.seed, case), cell)
            if other is not cell:
                raise DataError(
                    f"the case {case} is in the scored cases of {other.name} and of {cell.name}: folds overlap",
                    hint=f"{folder.splits} has to have each case in one fold alone",
                )
    return found


def sides_of(folder: StudyFolder, done: Sequence[Finished], group: re.Pattern[str] | None = None) -> dict[str, Side]:
    """The configurations that have finished cells, each with the rows of its folds together, by seed."""
    by_name: dict[str, list[Finished]] = {}
    for one in done:
        by_name.setdefault(one.cell.configuration, []).append(one)
    sides = {}
    for name, own in by_name.items():
        rows: dict[str, list[Row]] = {}
        for one in own:
            rows.setdefault(str(one.cell.seed), []).extend(one.rows)
        digests = [digests_of(one.cell.run_folder(folder).path) for one in own]
        known = {case: digest for of in digests for case, digest in of.items()}
        sides[name] = Side(name, folder.path, rows, own[0].summary, known, group)
    return sides


def all_rows(done: Sequence[Finished], group: re.Pattern[str] | None) -> Iterator[dict[str, Any]]:
    """The rows of all of them, with the cell that each is from, and whose case it is."""
    for one in done:
        cell = {"configuration": one.cell.configuration, "fold": one.cell.fold, "seed": one.cell.seed}
        for row in one.rows:
            yield {**cell, "case": row["case"], "group": group_of(row, group), **row}
