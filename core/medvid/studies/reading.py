"""The sides in folders that a command names: runs, evaluations, and the configurations of studies."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medvid.errors import ConfigError
from medvid.plugin.host import make_host
from medvid.studies.folder import is_study_folder
from medvid.studies.sides import Side, read_side
from medvid.studies.study import Study
from medvid.studies.together import finished_cells, sides_of


def read_sides(paths: Sequence[Path], plugins: Path | None = None) -> list[Side]:
    """The sides in folders, each with a name of its own.

    A run is called by as much of the end of its path as tells it from the others; the configurations of a study by
    their names, and of one study beside others by its name too.

    Args:
        paths: of runs, evaluations, folders of `platform score`, and studies.
        plugins: the allow-list by which studies are read.

    Raises:
        ConfigError: a folder is given twice, or is none of these; or no cell of a study has finished.
        DataError: files are damaged.
    """
    folders = [path.absolute() for path in paths]
    if twice := [path for path in paths if folders.count(path.absolute()) > 1]:
        raise ConfigError(f"{twice[0]} is given twice")
    sides: list[Side] = []
    for path in paths:
        name = _name(path.absolute(), folders)
        if is_study_folder(path):
            prefix = f"{name}/" if len(paths) > 1 else ""
            sides += [replace(side, name=f"{prefix}{side.name}") for side in read_study_sides(path, plugins)]
        else:
            sides.append(replace(read_side(path), name=name))
    return sides


def read_study_sides(path: Path, plugins: Path | None = None) -> list[Side]:
    """The configurations of a study that have finished cells.

    Raises:
        ConfigError: it is not a study, or no cell has finished.
        DataError: files of cells are damaged.
    """
    study = Study.find(path, make_host(plugins))
    sides = sides_of(study.folder, finished_cells(study.folder, study.cells()), study.group)
    if not sides:
        raise ConfigError(f"no cell of the study {path} has finished", hint=f"platform study resume {path}")
    return [*sides.values()]


def _name(folder: Path, folders: Sequence[Path]) -> str:
    for parts in range(1, len(folder.parts)):
        if [other.parts[-parts:] for other in folders].count(folder.parts[-parts:]) == 1:
            return "/".join(folder.parts[-parts:])
    return str(folder)
