"""The data set that a folder is of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medvid.config.load import load_task
from medvid.config.recipes import find_task, recipe_files
from medvid.errors import ConfigError, DataError
from medvid.plugin.host import Host
from medvid.plugin.specs import DatasetSpec


def find_dataset(root: Path, host: Host) -> dict[str, Any]:
    """The block of a task for a folder, as the first data set has it that recognises it.

    Raises:
        DataError: there is no such folder, or no data set recognises it.
        ConfigError: several do.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder" if root.exists() else f"{root} does not exist")
    asked = [spec for spec in host.specs(DatasetSpec) if spec.recognises]
    found: dict[str, Mapping[str, Any]] = {}
    for spec in asked:
        options = host.load(spec, spec.recognises)(root)
        if options is not None:
            found[spec.name] = options
    if not found:
        raise DataError(
            f"no data set recognises the folder {root}: asked were {', '.join(spec.name for spec in asked)}",
            hint="docs/data.md has their layouts; or write the dataset block into a task file, and plan that file",
        )
    if len(found) > 1:
        raise ConfigError(
            f"{root} could be of the data sets {' and '.join(found)}",
            hint="write the dataset block into a task file, and plan that file",
        )
    ((name, options),) = found.items()
    return {"name": name, "root": str(root), **options}


def is_task(given: str) -> bool:
    """Whether what was given is a task file or the name of a recipe, not a folder."""
    return not Path(given).is_dir() and (Path(given).suffix in {".yaml", ".yml"} or given in recipe_files())


def dataset_of_task(given: str, host: Host, overrides: Sequence[str]) -> dict[str, Any]:
    """The dataset block of a task, with what the user sets of it.

    Args:
        given: task file, or name of a recipe.
        host: has the components.
        overrides: those of ``dataset.`` are used.
    """
    task = load_task(find_task(given), host, overrides=[each for each in overrides if each.startswith("dataset.")])
    if task.demo:
        raise DataError(
            f"the folder of the data set {task.dataset.name!r} does not exist, and demo data need no plan",
            hint="say where the data are: --set dataset.root=FOLDER",
        )
    return task.dataset.model_dump(mode="json", exclude_unset=True, exclude={"if_missing"})
