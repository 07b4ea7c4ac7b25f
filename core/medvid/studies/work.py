"""What a launcher is given: cells to run, and how to run one."""

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from medvid.studies.cells import Cell
from medvid.studies.process import CellProcess, start_process
from medvid.studies.report import report_end
from medvid.studies.status import states
from medvid.studies.study import Study

logger = logging.getLogger("medvid")


class Work:
    """The cells of a study that are to be run.

    Args:
        study: the study.
        cells: what is to be run; asked for the next one when there is a place for it.
        plugins: the allow-list that the study was called with.
    """

    def __init__(self, study: Study, cells: Iterable[Cell], plugins: Path | None = None) -> None:
        self.study = study
        self.ended: list[CellProcess] = []
        self._cells = iter(cells)
        self._options = ["--plugins", str(plugins.absolute())] if plugins else []

    def __iter__(self) -> Iterator[Cell]:
        """The cells that were not asked for yet."""
        return self._cells

    def start(self, cell: Cell, variables: Mapping[str, str] | None = None) -> CellProcess | None:
        """Start a cell as a process of this machine, or continue it; None where another process works on it.

        Args:
            cell: the cell.
            variables: environment variables of the process, besides those of this one.
        """
        platform = [sys.executable, "-m", "medvid", *self._options]
        process = start_process(self.study.folder, cell, platform, variables or {})
        logger.info("%s %s", cell.name, "starts" if process else "is run by another process")
        return process

    def has_ended(self, process: CellProcess) -> bool:
        """Whether a process has ended; to be asked now and then."""
        return process.has_ended()

    def end(self, process: CellProcess) -> None:
        """Say and remember how a process has ended, and what the study says with it."""
        logger.info("%s %s", process.cell.name, process.told)
        self.ended.append(process)
        if process.outcome == "finished":
            report_end(self.study, states(self.study), ended=False)

    def close(self) -> None:
        """Say what came of it, once a launcher has returned; raises what it had to end for."""

    def number(self, cell: Cell) -> int:
        """Of a cell, as `command` takes it."""
        return self._numbers[cell]

    def command(self, number: int | str) -> list[str]:
        """The command that runs a cell on any machine that sees the study's folder.

        Args:
            number: of the cell; or a variable that the shell replaces by it.
        """
        return ["platform", *self._options, "study", "cell", str(self.study.folder.path), str(number)]

    @property
    def open_count(self) -> int | None:
        """How many cells there can still be, where they become known only as others end; None where all are known."""
        return None

    @property
    def worker_command(self) -> list[str]:
        """The command that runs one cell after the other, on any machine that sees the folder, until none is left."""
        return ["platform", *self._options, "study", "resume", "--here", str(self.study.folder.path)]

    @cached_property
    def _numbers(self) -> dict[Cell, int]:
        return {cell: number for number, cell in enumerate(self.study.cells())}
