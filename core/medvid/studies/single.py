"""A cell in this process, as the jobs of a cluster run it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from medvid.errors import Interrupted, LockedError, MedvidError
from medvid.studies.cells import Cell
from medvid.studies.folder import StudyFolder
from medvid.studies.process import claimed, note_failure, overrides_of

_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
"""Variables with the number of this process among those of the run, as far as they are set."""


def is_first() -> bool:
    """Whether this is the first process of the run, or the only one."""
    return all(os.environ.get(variable, "0") == "0" for variable in _RANKS)


@contextmanager
def keeping_others_out(study: StudyFolder, cell: Cell) -> Iterator[dict[str, Any] | None]:
    """Within the block, this process runs a cell; an error that leaves it is noted as the cell's.

    Of several processes of a run, the first one keeps others out and notes the error.

    Yields:
        How `platform run` is to be called; None where the cell is finished, or another process works on it.
    """
    options = {
        "task": str(study.task(cell.configuration)),
        "overrides": overrides_of(study, cell),
        "folder": cell.run_folder(study).path,
    }
    if not is_first():
        yield options
        return
    with claimed(study, cell) as log:
        cell.failure(study).unlink(missing_ok=True)
        try:
            yield options if log else None
        except (Interrupted, LockedError):
            raise
        except Exception as error:
            status, kind = (error.exit_code, f"[{error.kind}]") if isinstance(error, MedvidError) else (1, "")
            note_failure(study, cell, status, f"error{kind}: {error}")
            raise
