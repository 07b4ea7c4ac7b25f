"""The recipes: task files that come with medvid, and are found by their name wherever it is installed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from medvid.config.yaml import parse_file
from medvid.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "tasks", _PACKAGE.parents[1] / "tasks")
"""Where a wheel has the recipes, and where a clone has them."""
_ROOT = re.compile(r"^  root: \$\{(\w+):-(.+)\}$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe's description of itself.

    Args:
        name: of the task.
        path: its file.
        dataset: name of the data set.
        variable: environment variable that names the folder of the data.
        folder: where the data are looked for unless the variable is set.
        data: where the data come from, and on which terms.
        published: figures of the paper or its code; empty where none are published.
        has_demo: whether it also runs on generated demo data.
    """

    name: str
    path: Path
    dataset: str
    variable: str
    folder: str
    data: str
    published: str
    has_demo: bool


def recipe_files() -> Mapping[str, Path]:
    """The file of each recipe, by its name."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def recipes() -> Iterator[Recipe]:
    """The recipes in the order of their names."""
    for path in recipe_files().values():
        yield _read(path)


def find_recipe(name: str) -> Path:
    """The file of a recipe.

    Raises:
        ConfigError: there is none of that name.
    """
    if path := recipe_files().get(name):
        return path
    raise ConfigError(f"there is no recipe {name!r}", hint=_hint(name))


def find_task(given: str | Path) -> Path:
    """The task file that a path or the name of a recipe stands for.

    A name without a folder or suffix is a recipe's. A file of that name, with or without .yaml, may be meant as well.

    Raises:
        ConfigError: there is neither, or both a file and a recipe.
    """
    name, path = str(given), Path(given)
    recipe = recipe_files().get(name)
    if recipe is None:
        if path.exists():
            return path
        raise ConfigError(f"there is no task file and no recipe {name!r}", hint=_hint(path.stem))
    for file in (path, path.with_suffix(".yaml")):
        if file.is_file() and not file.samefile(recipe):
            raise ConfigError(
                f"{name!r} is ambiguous: a recipe that comes with medvid, and the file {file} here",
                hint=f"pass ./{file} for the file, {recipe} for the recipe",
            )
    return recipe


def _hint(name: str) -> str:
    known = recipe_files()
    if name in known:
        return f"the recipe that comes with medvid is called {name}, without folder and suffix"
    near = [other for other in known if name in other] or get_close_matches(name, known)
    return f"{'the nearest recipes: ' + ', '.join(near) + '; ' if near else ''}platform tasks lists all recipes"


def _read(path: Path) -> Recipe:
    text = path.read_text(encoding="utf-8")
    task: dict[str, Any] = parse_file(text, str(path)).data
    about, root = task.get("about", {}), _ROOT.search(text)
    variable, folder = root.groups() if root else ("", "")
    return Recipe(
        name=path.stem,
        path=path,
        dataset=task["dataset"]["name"],
        variable=variable,
        folder=folder,
        data=about.get("data", ""),
        published=about.get("published", ""),
        has_demo="demo" in task,
    )
