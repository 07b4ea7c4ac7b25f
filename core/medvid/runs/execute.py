"""`platform run`: start a run, resume it, extend it."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from logging.handlers import MemoryHandler

from lightning_fabric import Fabric

from medvid.config.checked import CheckedTask
from medvid.config.early import check_again
from medvid.config.task import Task
from medvid.data.splits import cases_of_run
from medvid.devices.waiting import from_first
from medvid.plugin.host import Host
from medvid.runs.execution import Execution
from medvid.runs.failures import decided_by_first
from medvid.runs.folder import RunFolder, keep_log
from medvid.runs.given_folder import GivenFolder, finished_note
from medvid.runs.origin import (
    Origin,
    fold_note,
    membership_note,
    origin_to_continue,
)
from medvid.runs.pseudonyms import Pseudonyms, check_key, pseudonyms_of
from medvid.runs.session import Session, build_session
from medvid.runs.shared import check_shared
from medvid.training.launch import launched

logger = logging.getLogger("medvid")


def run_task(checked: CheckedTask, original: str, given: GivenFolder | None = None) -> RunFolder:
    """Run a task in a new run folder, which is made when everything up to the first step has passed.

    Args:
        checked: the task, see `medvid.config.early.check_run`.
        original: text of the task file.
        given: a folder for it, with what to do if there is one already; default: one with a new name.

    Raises:
        MedvidError: what stopped the run; the folder, if there is one, says how far it came.
    """
    task = checked.task
    with pseudonyms_of(task) as pseudonyms, keep_log() as log, launched(task.train) as fabric:
        folder = from_first(given.folder) if given else _propose_folder(task)
        check_shared(fabric, folder)
        state = decided_by_first(fabric, lambda: given.state(task)) if given else "absent"
        if given and state == "finished":
            logger.info(finished_note(folder))
        elif given and state == "unfinished":
            _continue(fabric, folder, given.task_to_continue(), checked.host, pseudonyms, log)
        else:
            for note in checked.notes:
                logger.info(note)
            session = build_session(checked, fabric, pseudonyms)
            Execution(session, folder, cases_of_run(session.dataset, task.evaluation.split)).run(log, original)
    return folder


def resume_run(folder: RunFolder, task: Task, host: Host) -> None:
    """Continue a run from its newest intact checkpoint, to the same result as if it had never stopped.

    What is refused leaves the folder as it was, byte for byte.

    Args:
        folder: of the run.
        task: as the run began with it, but its data may lie elsewhere.
        host: the plugins.

    Raises:
        MedvidError: what stopped the run.
    """
    with pseudonyms_of(task) as pseudonyms, keep_log() as log, launched(task.train) as fabric:
        check_shared(fabric, folder)
        _continue(fabric, folder, task, host, pseudonyms, log)


def _continue(
    fabric: Fabric, folder: RunFolder, task: Task, host: Host, pseudonyms: Pseudonyms | None, log: MemoryHandler
) -> None:
    origin = origin_to_continue(folder)
    check_key(pseudonyms, origin.pseudonyms)
    session = build_session(check_again(task, host), fabric, pseudonyms)
    with ExitStack() as kept:
        decided_by_first(session.fabric, lambda: kept.enter_context(folder.lock()))
        Execution(session, folder, _fix_cases(session, origin), origin).run(log)


def extend_run(parent: RunFolder, task: Task, host: Host) -> RunFolder:
    """Go on from the full state of a finished run, over more steps, in a new run folder.

    Where the rate of a step does not depend on the number of all steps, that ends as a run of all of them does.

    Args:
        parent: the finished run; it is not changed.
        task: of the longer run, see `medvid.runs.extending.check_extension`.
        host: the plugins.

    Raises:
        MedvidError: what stopped the run; the folder, if there is one, says how far it came.
    """
    origin = origin_to_continue(parent)
    with pseudonyms_of(task) as pseudonyms, keep_log() as log, launched(task.train) as fabric:
        check_key(pseudonyms, origin.pseudonyms)
        session = build_session(check_again(task, host), fabric, pseudonyms)
        folder = _propose_folder(task)
        check_shared(fabric, folder)
        cases = _fix_cases(session, origin)
        Execution(session, folder, cases, origin, parent).run(log, parent.original.read_text(encoding="utf-8"))
    return folder


def _propose_folder(task: Task) -> RunFolder:
    label = f"{task.backbone.name}-s{task.seed}" + ("-demo" if task.demo else "")
    return from_first(RunFolder.propose(task.output, task.name, label))


def _fix_cases(session: Session, origin: Origin) -> dict[str, Sequence[str]]:
    """Let a data set have the cases that a run began with, however its folder would be split now."""
    cases: dict[str, Sequence[str]] = {
        split: origin.cases(split) for split in dict.fromkeys(("train", session.task.evaluation.split))
    }
    for note in (membership_note(session.dataset, origin, cases), fold_note(session.task.dataset, origin)):
        if note:
            logger.warning(note)
    session.dataset.fix_splits(cases)
    return cases
