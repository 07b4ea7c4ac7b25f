"""Making a study folder, and extending one: what is there stays."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medvid.config.checked import CheckedTask
from medvid.config.load import dump_task, dump_yaml, load_task
from medvid.config.task import Task
from medvid.errors import ConfigError
from medvid.files import make_folder, write_text
from medvid.plugin.host import Host
from medvid.runs.differences import MAY_DIFFER, differences, flat
from medvid.runs.folder import PRIVATE
from medvid.sentences import listed
from medvid.studies.folder import StudyFolder, is_study_folder
from medvid.studies.load import StudyFile, read_resolved
from medvid.studies.options import StudyOptions
from medvid.studies.study import Study


def resolved(options: StudyOptions, tasks: Mapping[str, Task]) -> StudyOptions:
    """The options as they are kept: with absolute paths and every seed.

    Where only the number of seeds is given, they are counted from the task's own.
    """
    seeds = options.study.seeds
    if isinstance(seeds, int):
        first = next(iter(tasks.values())).seed
        seeds = tuple(range(first, first + seeds))
    changes: dict[str, Any] = {"study": options.study.model_copy(update={"seeds": seeds})}
    if options.folds and options.folds.file:
        changes["folds"] = options.folds.model_copy(update={"file": options.folds.file.absolute()})
    return options.model_copy(update=changes)


def _dump(options: StudyOptions) -> str:
    """A study as YAML that is read back to the same; of the folds, whose options exclude each other, what was given."""
    values = options.model_dump(mode="json")
    if options.folds:
        values["folds"] = options.folds.model_dump(mode="json", exclude_unset=True)
    return dump_yaml(values)


def set_up(file: StudyFile, checked: Mapping[str, CheckedTask], host: Host, output: Path) -> Study:
    """Make the folder of a study, or extend it by seeds and configurations.

    Args:
        file: the study file.
        checked: the task of each configuration.
        host: the plugins.
        output: where its folder is, or is to be.

    Raises:
        ConfigError: a study of the same name has another task or other folds.
        ResourceError: the folder cannot be written.
    """
    tasks = {name: task.task for name, task in checked.items()}
    options = resolved(file.options, tasks)
    folder = StudyFolder((output / options.study.name).absolute())
    for place in (folder.path, folder.tasks, folder.cells):
        make_folder(place, PRIVATE)
    with folder.lock():
        if is_study_folder(folder.path):
            _check_extended(folder, options, tasks, host)
        for name, task in tasks.items():
            if not folder.task(name).is_file():
                write_text(folder.task(name), dump_task(task), 0o600)
        text = _dump(options)
        write_text(folder.resolved, text, 0o600)
        write_text(folder.study, file.text or text, 0o600)  # last: without it there is no study here
    return Study(folder, options)


def _check_extended(folder: StudyFolder, options: StudyOptions, tasks: Mapping[str, Task], host: Host) -> None:
    """Refuse what would not be the same study any more."""
    other = "give the new study another name: --name NAME, or study.name"
    before = read_resolved(folder.resolved, host).options
    if changes := _changes(
        before.model_dump(mode="json", include={"folds"}), options.model_dump(mode="json", include={"folds"})
    ):
        raise ConfigError(f"the study {folder.path} has other folds: {listed(changes)}", hint=other)
    for name, task in tasks.items():
        if folder.task(name).is_file():
            kept = load_task(folder.task(name), host)
            if changes := _changes(kept.model_dump(mode="json"), task.model_dump(mode="json")):
                raise ConfigError(
                    f"the study {folder.path} has another task as its configuration {name!r}: {listed(changes)}",
                    hint=other,
                )


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A line for each option that is another one now."""
    found = differences(dict(flat(before)), dict(flat(now)))
    return [line for key, line in found.items() if key not in MAY_DIFFER]
