"""What is done once, before the first cell of a study: dividing and preparing its data, and checking every cell."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from medvid.config.checked import CheckedTask
from medvid.config.early import check_run
from medvid.config.load import load_task
from medvid.config.task import Task
from medvid.data.fold_files import write_folds
from medvid.data.fold_options import FoldsOptions
from medvid.files import json_text, read_json, write_json
from medvid.plugin.host import Host
from medvid.runs.pseudonyms import pseudonyms_of
from medvid.studies.cells import cells_of
from medvid.studies.study import Study

if TYPE_CHECKING:
    from medvid.data.dataset import Dataset, Progress

logger = logging.getLogger("medvid")


def make_ready(study: Study, host: Host, progress: Callable[[str, int, int], None]) -> None:
    """Divide the cases into folds, check every configuration on every fold, and prepare the data.

    What was done is not done again: data.json says so. Another process that is at it is waited for.

    Args:
        study: the study.
        host: the plugins.
        progress: told (stage, done, total) while data are prepared.

    Raises:
        MedvidError: what would stop a cell, before the first one has begun.
    """
    with study.folder.lock():
        done = read_json(study.folder.data)
        missing = [name for name in study.configurations if name not in done]
        if not missing:
            return
        if (folds := study.options.folds) and not study.folder.splits.is_file():
            _divide(study, folds, host, partial(progress, "folds"))
        checked = {name: check_configuration(study, name, host) for name in missing}
        prepared: dict[str, dict[str, object]] = {}  # by the block of the data set
        for name, tasks in checked.items():
            block = json_text(tasks[0].task.dataset.model_dump(mode="json", exclude={"fold"}))
            if block not in prepared:
                prepared[block] = _prepare(tasks, partial(progress, "prepare"))
            done[name] = prepared[block]
        write_json(study.folder.data, done)


def _divide(study: Study, folds: FoldsOptions, host: Host, progress: "Progress") -> None:
    """Write splits.json, by the cases of the first configuration."""
    from medvid.data.folds import make_folds

    with _opened(_checked(study.folder.task(study.configurations[0]), {}, host)) as dataset:
        write_folds(study.folder.splits, make_folds(dataset, folds, progress))


def check_configuration(study: Study, name: str, host: Host) -> list[CheckedTask]:
    """The checked task of a configuration on every fold.

    Raises:
        MedvidError: as `check_run`.
    """
    cells = cells_of(study.options, study.folds)
    own = [cell for cell in cells if cell.configuration == name and cell.seed == study.options.seeds[0]]
    return [_checked(study.folder.task(name), cell.overrides(study.folder), host) for cell in own]


def _checked(path: Path, overrides: Mapping[str, object], host: Host) -> CheckedTask:
    task = load_task(path, host, overrides=overrides)
    with pseudonyms_of(task):
        return check_run(task, host)


def _prepare(folds: list[CheckedTask], progress: "Progress") -> dict[str, object]:
    """Prepare the cases of all folds; what they are, for data.json."""
    from medvid.data.splits import cases_of_run, check_truth

    cases: dict[str, None] = {}
    for checked in folds:
        with _opened(checked) as dataset:
            of_run = cases_of_run(dataset, checked.task.evaluation.split)
            cases |= dict.fromkeys(case for split in of_run.values() for case in split)
    with _opened(folds[0]) as dataset:
        dataset.prepare(tuple(cases), progress)
        check_truth(dataset, tuple(cases))
        return {"name": folds[0].task.dataset.name, "cases": len(cases), "digest": dataset.digest(tuple(cases))}


@contextmanager
def _opened(checked: CheckedTask) -> "Iterator[Dataset]":
    """A data set, whose names are kept out of messages where the task asks for it."""
    task: Task = checked.task
    with pseudonyms_of(task) as pseudonyms, pseudonyms.errors() if pseudonyms else nullcontext():
        yield checked.host.build(task.dataset)
