"""From a study file, or a task and a few options, to a validated study and the task of each configuration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvid.config.explain import validate
from medvid.config.layers import Layers, Override, overrides_in, read_overrides
from medvid.config.load import load_task
from medvid.config.recipes import find_task
from medvid.config.refusal import error_of, read_text
from medvid.config.task import Task
from medvid.config.yaml import Document, parse_file
from medvid.data.fold_files import read_folds
from medvid.errors import ConfigError
from medvid.plugin.host import Host
from medvid.studies.configurations import configurations_of, grid_of
from medvid.studies.folder import is_study_folder
from medvid.studies.launcher_options import LocalOptions
from medvid.studies.options import StudyOptions
from medvid.studies.search_options import Interval


@dataclass(frozen=True, slots=True)
class StudyFile:
    """A validated study file.

    Args:
        path: the file; that of the task, where the study was made from one.
        text: as it was written; empty where the study was made from a task.
        options: what it says.
        layers: the same, with the places of its keys.
    """

    path: Path
    text: str
    options: StudyOptions
    layers: Layers

    def changes(self) -> Iterator[tuple[str, list[Override]]]:
        """Each configuration by name, with what it changes in the task."""
        data, places = self.layers.data, self.layers.places
        for name, (configuration, point) in configurations_of(self.options).items():
            block = data.get("configurations", {}).get(configuration, {})
            yield (
                name,
                [
                    *overrides_in(block, places, ("configurations", configuration)),
                    *grid_of(point, lambda key: self.layers.place(("grid", key)) or "grid"),
                ],
            )

    def folds(self) -> int:
        """Number of folds that there will be; 0 where none are asked for.

        Raises:
            DataError: the file of folds cannot be read.
        """
        folds = self.options.folds
        return 0 if folds is None else len(read_folds(folds.file)) if folds.file else folds.count

    def tasks(self, host: Host, overrides: Sequence[str] = (), *, demo: bool = False) -> dict[str, Task]:
        """The task of each configuration; raises as `load_task`, with the place in the study file.

        Args:
            host: the plugins.
            overrides: of all of them.
            demo: run on the demo data.
        """
        path = find_task(self.options.study.task)
        over = read_overrides(overrides)
        tasks = {}
        for name, changes in self.changes():
            for change in changes:
                _refuse_reserved(change, has_folds=self.options.folds is not None)
            tasks[name] = load_task(path, host, overrides=[*changes, *over], demo=demo)
        for change in self._searched():
            _refuse_reserved(change, has_folds=self.options.folds is not None)
            try:
                load_task(path, host, overrides=[*over, change], demo=demo)
            except ConfigError as error:
                if change.label in str(error):  # else it may go together with other values of the search
                    raise
        return tasks

    def _searched(self) -> Iterator[Override]:
        """The limits, or the choices, of each option that is searched."""
        for key, values in self.options.search.space.items() if self.options.search else ():
            place = self.layers.place(("search", "space", key)) or "search.space"
            for value in (values.low, values.high) if isinstance(values, Interval) else values:
                yield Override(tuple(key.split(".")), value, place)


def read_study(given: str, host: Host, changes: Mapping[str, object]) -> StudyFile:
    """A study file; or the study of a task, named like it.

    Args:
        given: the file, or a task file, or the name of a recipe.
        host: the plugins.
        changes: what the command line says, by dotted key, on top of the file.

    Raises:
        ConfigError: all that is wrong, each with its place; those of tasks come with `StudyFile.tasks`.
    """
    if is_study_folder(Path(given)):
        raise ConfigError(f"{given} is the folder of a study", hint=f"platform study resume {given}, or status {given}")
    path = find_task(given)
    text = read_text(path, "study file")
    document = parse_file(text, str(path))
    if "study" in document.data:
        return _validated(path, text, document, host, changes)
    if {"folds", "configurations"} & document.data.keys():
        raise ConfigError(
            f"{path} has no block study:, so it is not a study file, and it has keys that a task does not have",
            hint="begin it with: study: {name: NAME, task: TASK.yaml}",
        )
    name = document.data.get("name")
    if not isinstance(name, str):
        load_task(path, host)  # says what is wrong with it
        raise ConfigError(f"{path} has no name")
    task = given if path.stem == given else str(path)
    return _validated(path, "", Document(str(path), {"study": {"name": name, "task": task}}), host, changes)


def read_resolved(path: Path, host: Host) -> StudyFile:
    """The resolved study of a study folder; raises as `read_study`."""
    text = read_text(path, "study file")
    return _validated(path, text, parse_file(text, str(path)), host, {})


def _validated(path: Path, text: str, document: Document, host: Host, changes: Mapping[str, object]) -> StudyFile:
    layers = Layers()
    layers.put({"launcher": {"name": LocalOptions().name}}, str(path))  # the default, so that its options need no name
    layers.put(document.data, document.places or str(path))
    for change in read_overrides(changes):
        label = change.label.removeprefix("--set ")
        if change.path[0] == "study":  # another name here does not mean another component
            layers.data["study"] = {**layers.data["study"], change.path[1]: change.value}
            layers.places[change.path] = label
        else:
            layers.put(change.block, label)
    options, problems = validate(StudyOptions, layers.data, host=host)
    problems = [*document.problems, *problems]
    if options is None or problems:
        raise error_of(path, layers, problems)
    return StudyFile(path, text, options, layers)


def _refuse_reserved(change: Override, *, has_folds: bool) -> None:
    """Refuse what the cells of a study set themselves."""
    key = ".".join(change.path)
    reserved: dict[str, Any] = {"seed": "study.seeds says which seeds there are"}
    if has_folds:
        reserved["dataset.fold"] = "folds says how cases are divided"
    if key in reserved or any(key.startswith(f"{name}.") for name in reserved):
        raise ConfigError(f"{change.label}: {key}: a configuration cannot change it: {reserved[key]}")
