"""How far a study is, cell by cell and in a table: from its files alone, however many cells there are."""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from medvid.errors import MedvidError
from medvid.files import read_json
from medvid.runs.folder import parse_metrics
from medvid.sentences import listed
from medvid.studies.cells import Cell
from medvid.studies.states import State, state_of
from medvid.studies.study import Study

logger = logging.getLogger("medvid")

READ = 1000
"""Largest number of finished cells whose tables are read to show a status."""
SHOWN = 3
"""Number of cells that a line of the table names."""
_TAIL = 1 << 14
"""Bytes at the end of metrics.jsonl that have its last record."""


def states(study: Study) -> dict[Cell, State]:
    """The state of each cell; of those that have no files yet, without asking for each of them."""
    begun = _names(study.folder.cells)
    logs = _names(study.folder.logs)
    found = {}
    for cell in study.cells():
        is_known = cell.name in begun or f"{cell.name}.log" in logs
        found[cell] = state_of(study.folder, cell) if is_known else State.WAITING
    return found


def strangers(study: Study, cells: Sequence[Cell]) -> list[str]:
    """Run folders among the cells that are not cells of the study, such as those of a configuration taken out of it."""
    return sorted(name for name in _names(study.folder.cells) - {cell.name for cell in cells} if name[0] != ".")


def table(study: Study, found: Mapping[Cell, State]) -> list[list[str]]:
    """The table of configurations: how many of their cells are finished, what these say together, and what others do.

    Where there are very many cells, what they say together is left to table.md, which is written when cells end.
    """
    of: dict[str, dict[Cell, State]] = defaultdict(dict)
    for cell, state in found.items():
        of[cell.configuration][cell] = state
    head, lines = _figures(study, found)
    rows = [[*head, ""]]
    for name, cells in of.items():
        done = sum(state is State.FINISHED for state in cells.values())
        line = lines[name] if lines else [name, f"{done} of {len(cells)}"]
        rows.append([*line, "; ".join(_others(study, cells))])
    return rows


def _figures(study: Study, found: Mapping[Cell, State]) -> tuple[list[str], Mapping[str, list[str]]]:
    """The heading, and the line of each configuration with its figures; no lines where these are left out."""
    if 0 < sum(state is State.FINISHED for state in found.values()) <= READ:
        from medvid.studies.report import report
        from medvid.studies.table import heading, lines

        try:
            together = report(study, found, ended=study.options.search is None)
            return heading(together), lines(together)
        except MedvidError as error:
            logger.warning("the figures are left out: %s", error)
    return ["configuration", "cells"], {}


def as_values(study: Study, found: Mapping[Cell, State]) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "study": study.folder.name,
        "folder": str(study.folder.path),
        "states": {state.value: count for state, count in Counter(found.values()).items()},
        "cells": [
            {
                "name": cell.name,
                "configuration": cell.configuration,
                "fold": cell.fold,
                "seed": cell.seed,
                "state": state.value,
            }
            for cell, state in found.items()
        ],
    }


def error_of(study: Study, cell: Cell) -> str:
    """Why a cell has failed, in a line."""
    for path in (cell.failure(study.folder), cell.run_folder(study.folder).summary):
        if error := read_json(path).get("error"):
            return str(error).splitlines()[0]
    return "the reason is not known"


def _others(study: Study, cells: Mapping[Cell, State]) -> list[str]:
    """What the cells do that are not finished, state by state."""
    of = {state: [cell for cell, is_in in cells.items() if is_in is state] for state in State}
    parts = []
    if running := of[State.RUNNING]:
        named = [f"{cell.name}{_progress(study, cell)}" for cell in running[:SHOWN]]
        parts.append(f"running: {listed(named, SHOWN, of=len(running))}")
    parts += [
        f"{state}: {listed([cell.name for cell in of[state]], SHOWN)}"
        for state in (State.FAILED, State.PRUNED, State.INTERRUPTED)
        if of[state]
    ]
    if waiting := of[State.WAITING]:
        parts.append(f"{len(waiting)} waiting")
    return parts


def _progress(study: Study, cell: Cell) -> str:
    """The step of a running cell, as its last figures have it."""
    folder, line = cell.run_folder(study.folder), b""
    with suppress(OSError), folder.metrics.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        line = (file.read().splitlines() or [b""])[-1]
    record = parse_metrics(line)
    return f" at step {record['step']:,}" if record else ""


def _names(folder: Path) -> set[str]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return {entry.name for entry in entries}
    return set()
