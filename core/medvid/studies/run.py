"""Running what is left of a study."""

import logging
from pathlib import Path

from medvid.errors import DistributedError
from medvid.plugin.host import Host
from medvid.sentences import in_lines
from medvid.studies.cells import Cell
from medvid.studies.parent import begin_parent
from medvid.studies.report import report_end
from medvid.studies.searching import SearchWork
from medvid.studies.states import State
from medvid.studies.status import error_of, states
from medvid.studies.study import Study
from medvid.studies.work import Work

logger = logging.getLogger("medvid")


def run_study(study: Study, host: Host, plugins: Path | None, *, retry: bool = False) -> None:
    """Run the cells that have not ended, and that no other process works on.

    Args:
        study: made ready.
        host: the plugins.
        plugins: the allow-list that they were read from.
        retry: run those that have failed, too.

    Raises:
        Interrupted: a signal came; the cells have saved their state.
        DistributedError: cells have failed, each named with its error and its log.
        ConfigError: a search cannot propose anything, or has a metric that there is not.
    """
    found = states(study)
    if study.options.search:
        work: Work = SearchWork(study, host, plugins, retry=retry)
    else:
        wanted = (State.WAITING, State.INTERRUPTED, *([State.FAILED] if retry else []))
        todo = [cell for cell, state in found.items() if state in wanted]
        logger.info("study %s: %d of %d cells to run", study.folder.name, len(todo), len(found))
        work = Work(study, todo, plugins)
    with study.folder.lock():
        begin_parent(study.folder, study.configurations[0])
    host.build(study.options.launcher).launch(work)
    work.close()
    report_end(study, states(study), ended=True)
    faults = [
        f"{process.cell.name}: {process.error}; see {process.cell.log(study.folder)}"
        for process in work.ended
        if process.error
    ]
    if not retry:
        faults += [_fault(study, cell) for cell, state in found.items() if state is State.FAILED]
    if faults:
        raise DistributedError(
            f"{len(faults)} of {len(found)} cells of the study {study.folder.name} have failed:{in_lines(faults)}",
            hint=f"mend what is wrong, then: platform study resume --retry {study.folder.path}",
        )


def _fault(study: Study, cell: Cell) -> str:
    return f"{cell.name}: {error_of(study, cell)}; see {cell.log(study.folder)}"
