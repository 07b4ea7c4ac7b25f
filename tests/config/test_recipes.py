"""Recipes are found by name, a name never means two things, and each says what it needs."""

from pathlib import Path

import pytest

from medvid.config.recipes import find_recipe, find_task, recipe_files, recipes
from medvid.errors import ConfigError

TASKS = Path(__file__).parents[2] / "tasks"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_task_file_of_a_clone_is_a_recipe() -> None:
    assert set(recipe_files().values()) == set(TASKS.glob("*.yaml"))
    assert find_task("unetr_btcv") == find_recipe("unetr_btcv") == TASKS / "unetr_btcv.yaml"


def test_a_recipe_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BTCV_ROOT", "/mine")  # what is said does not depend on it
    known = {recipe.name: recipe for recipe in recipes()}
    assert all(recipe.data and recipe.variable and recipe.folder and recipe.has_demo for recipe in known.values())
    recipe = known["unetr_btcv"]
    assert (recipe.dataset, recipe.variable, recipe.folder) == ("btcv", "BTCV_ROOT", "data/btcv")
    assert recipe.published.startswith("mean Dice 0.77 to 0.80")
    assert known["mvit_btcv"].published == ""


def test_a_path_is_a_path() -> None:
    Path("mine.yaml").write_text("name: mine")
    Path("tasks").mkdir()
    Path("tasks/unetr_btcv.yaml").write_text("name: changed")
    for given in ("mine.yaml", "./mine.yaml", "tasks/unetr_btcv.yaml", Path("tasks/unetr_btcv.yaml").absolute()):
        assert find_task(given) == Path(given)


def test_a_folder_of_that_name_is_not_a_task() -> None:
    Path("unetr_btcv").mkdir()
    assert find_task("unetr_btcv") == TASKS / "unetr_btcv.yaml"


@pytest.mark.parametrize("file", ["unetr_btcv", "unetr_btcv.yaml"])
def test_a_file_and_a_recipe_of_one_name_are_told_apart_by_the_user(file: str) -> None:
    Path(file).write_text("name: changed")
    with pytest.raises(
        ConfigError, match=f"'unetr_btcv' is ambiguous: a recipe .* and the file {file} here"
    ) as refused:
        find_task("unetr_btcv")
    assert refused.value.hint == f"pass ./{file} for the file, {TASKS / 'unetr_btcv.yaml'} for the recipe"
    assert find_task(f"./{file}").samefile(file)


def test_in_the_folder_of_the_recipes_the_file_is_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TASKS)
    assert find_task("unetr_btcv").samefile("unetr_btcv.yaml")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("unetr", "the nearest recipes: unetr_btcv, unetr_kinetics, unetr_organmnist3d, unetr_synapse; "),
        ("unter_btcv", "the nearest recipes: unetr_btcv, "),
        ("xyz.yaml", "platform tasks lists all recipes"),
        ("tasks/unetr_btcv.yaml", "the recipe that comes with medvid is called unetr_btcv, without folder and suffix"),
    ],
)
def test_what_is_neither_a_file_nor_a_recipe_is_refused_with_those_that_are_near(given: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"no task file and no recipe '{given}'") as refused:
        find_task(given)
    assert refused.value.hint.startswith(hint)
