"""Running a search: trials as cells of a study, proposed when there is a place for one, and watched as they train."""

import logging
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from medvid.errors import MedvidError
from medvid.plugin.host import Host
from medvid.runs.folder import read_metrics
from medvid.runs.origin import read_task
from medvid.studies.cells import Cell
from medvid.studies.process import CellProcess
from medvid.studies.search.search import ENDED, summary_lines
from medvid.studies.states import state_of
from medvid.studies.study import Study
from medvid.studies.work import Work

logger = logging.getLogger("medvid")

LOOK = 2.0
"""Seconds between looks at the validations of a running trial."""
KILLS = 3
"""Times that a trial may be killed, as where memory runs out, before it is left alone."""


class SearchWork(Work):
    """The cells of a search that are to be run, as far as they are known: asked for the next one, it proposes it.

    Args:
        study: the study.
        host: the plugins.
        plugins: the allow-list that the study was called with.
        retry: run trials again that have failed.
    """

    def __init__(self, study: Study, host: Host, plugins: Path | None, *, retry: bool) -> None:
        super().__init__(study, (), plugins)
        self.search, self._host, self._retry = study.search, host, retry
        self.error: MedvidError | None = None
        self._done: set[Cell] = set()
        self._killed: Counter[Cell] = Counter()
        self._looked: dict[Cell, float] = {}  # when
        self._judged: dict[Cell, int] = {}  # after how many validations
        self._stopped: set[Cell] = set()

    def __iter__(self) -> Iterator[Cell]:
        """The cell to start now, if there is one; there can be another one when a trial has ended."""
        if self.error is None:
            try:
                with self.study.folder.lock():
                    cell = next(self.search.to_run(self._host, retry=self._retry, without=self._done), None)
                return iter(() if cell is None else (cell,))
            except MedvidError as error:
                self.error = error
        return iter(())

    def has_ended(self, process: CellProcess) -> bool:
        """Whether a process has ended; one that still runs is asked to where it does not do well enough."""
        if process.has_ended():
            return True
        now = time.monotonic()
        if now - self._looked.get(process.cell, 0.0) >= LOOK and process.cell not in self._stopped:
            self._looked[process.cell] = now
            try:
                is_to_stop = self.error is not None or self._is_to_give_up(process.cell)
            except MedvidError as error:
                self.error, is_to_stop = error, True
            if is_to_stop:
                self._stopped.add(process.cell)
                process.stop(signal.SIGTERM)
        return False

    def _is_to_give_up(self, cell: Cell) -> bool:
        """Look at the validations of a running trial, if there are more than last time."""
        folder, split = cell.run_folder(self.study.folder), self.search.task["evaluation"]["split"]
        records = [record for record in read_metrics(folder.metrics) if record["split"] == split]
        if len(records) <= self._judged.get(cell, 0):
            return False
        self._judged[cell] = len(records)
        self.search.check_validations(folder, list(records[0]["values"]))
        is_over = records[-1]["step"] >= read_task(folder.resolved)["train"]["steps"]
        if is_over or not self._is_searched(cell) or not self.search.is_to_give_up(cell):
            return False
        logger.info("%s is given up after %d validations", cell.name, len(records))
        self.search.give_up(cell, len(records))
        return True

    def _is_searched(self, cell: Cell) -> bool:
        """Whether a cell is the first of its trial, not one of those that the best are run for."""
        return cell.seed == self.study.options.seeds[0] and not cell.fold

    def end(self, process: CellProcess) -> None:
        """Say and remember how a process has ended: of a trial that was killed and went on, the last end counts."""
        cell = process.cell
        self.ended = [other for other in self.ended if other.cell != cell]
        self._stopped.discard(cell)
        super().end(process)
        self._killed[cell] += process.outcome == "killed"
        if process.outcome == "failed" or self._killed[cell] >= KILLS:
            self._done.add(cell)

    @property
    def open_count(self) -> int:
        """Trials and runs of the best that have not ended."""
        outcomes = self.search.outcomes()
        ended = sum(outcome.state in ENDED for outcome in outcomes)
        of_best = [cell for cell in self.search.then(outcomes) if state_of(self.study.folder, cell) not in ENDED]
        return self.search.count - ended + len(of_best)

    def close(self) -> None:
        """Say which trials are the best; raises what the search had to end for."""
        if self.error:
            raise self.error
        for line in summary_lines(self.search):
            logger.info("%s", line)
