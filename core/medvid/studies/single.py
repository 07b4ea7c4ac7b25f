"""A cell in this process, as the jobs of a cluster run it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from medvid.errors import Interrupted, LockedError, MedvidError
from medvid.started import is_one_of_several
from medvid.studies.cells import Cell
from medvid.studies.folder import StudyFolder
from medvid.studies.process import claimed, note_failure, overrides_of


@contextmanager
def keeping_others_out(study: StudyFolder, cell: Cell) -> Iterator[dict[str, Any] | None]:
    """Within the block, this process runs a cell; an error that leaves it is noted as the cell's.

    Where several processes run it together, the lock of its run folder alone keeps others out.

    Yields:
        How `platform run` is to be called; None where the cell is finished, or another process works on it.
    """
    options = {
        "task": str(study.task(cell.configuration)),
        "overrides": overrides_of(study, cell),
        "folder": cell.run_folder(study).path,
    }
    if is_one_of_several():
        with _noted(study, cell):
            yield options
        return
    with claimed(study, cell) as log:
        if log is None:
            yield None
            return
        with _noted(study, cell):
            yield options


@contextmanager
def _noted(study: StudyFolder, cell: Cell) -> Iterator[None]:
    """Note an error that leaves the block as the cell's, as far as it is not that of another process."""
    cell.failure(study).unlink(missing_ok=True)
    try:
        yield
    except (Interrupted, LockedError):
        raise
    except Exception as error:
        status, kind = (error.exit_code, f"[{error.kind}]") if isinstance(error, MedvidError) else (1, "")
        note_failure(study, cell, status, f"error{kind}: {error}")
        raise
