"""Study files: what they mean, and what is wrong with them, with its place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvid.config.layers import Layers, overrides_in
from medvid.errors import ConfigError
from medvid.plugin.host import Host, make_host
from medvid.studies.cells import cells_of
from medvid.studies.configurations import configurations_of
from medvid.studies.load import read_study
from medvid.studies.options import StudyOptions

HEAD = "study: {name: many, task: task.yaml, seeds: [3, 1]}\n"


@pytest.fixture(scope="module")
def host() -> Host:
    return make_host()


def names(text: str, host: Host) -> list[str]:
    Path("many.yaml").write_text(text)
    return list(configurations_of(read_study("many.yaml", host, {}).options))


@pytest.mark.usefixtures("place")
def test_a_task_alone_is_a_study_that_the_command_line_describes(host: Host) -> None:
    changes = {"study.name": "mine", "study.seeds": 2, "folds.count": 3, "launcher.concurrency": 4}
    options = read_study("task.yaml", host, changes).options
    assert (options.study.name, options.study.seeds, options.launcher.name) == ("mine", 2, "local")
    assert read_study("task.yaml", host, {}).options.study.name == "squares"


@pytest.mark.usefixtures("place")
def test_cells_are_configurations_by_folds_by_seeds_and_change_the_task(host: Host) -> None:
    Path("many.yaml").write_text(HEAD + "configurations: {as_is: {}, wide: {backbone: {embed_dim: 32}}}\n")
    file = read_study("many.yaml", host, {})
    tasks = file.tasks(host, ["train.steps=2"])
    assert [task.backbone.model_dump()["embed_dim"] for task in tasks.values()] == [16, 32]
    assert {task.train.steps for task in tasks.values()} == {2}
    found = [cell.name for cell in cells_of(file.options, 2)]
    assert found == [f"{name}-f{fold}-s{seed}" for seed in (3, 1) for fold in (0, 1) for name in ("as_is", "wide")]


@pytest.mark.usefixtures("place")
def test_points_of_a_grid_are_named_by_their_values(host: Host) -> None:
    grid = "grid: {train.optimizer.lr: [1e-3, 0.01], train.schedule.name: [constant]}\n"
    assert names(HEAD + grid, host) == ["lr0.001-scheduleconstant", "lr0.01-scheduleconstant"]
    both = names(HEAD + grid + "configurations: {a: {}, b: {}}\n", host)
    assert both == [f"{name}-lr{lr}-scheduleconstant" for name in "ab" for lr in ("0.001", "0.01")]
    with pytest.raises(ConfigError, match="two points of the grid have the name head"):
        names(HEAD + 'grid: {head.name: ["", "_"]}\n', host)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folds: {count: 1}\n", r"many.yaml:2:9: folds.count: should be 2 or more"),
        ("configurations: {a: {train: {stepz: 1}}}\n", r"many.yaml:2:30: train.stepz: unknown key; did you mean"),
        ("configurations: {a: {seed: 1}}\n", r"many.yaml:2:22: seed: a configuration cannot change it"),
        ("folds: {}\nconfigurations: {a: {dataset: {fold: 1}}}\n", r"3:32: dataset.fold: a configuration cannot"),
        ("grid: {train.stepz: [1]}\n", r"many.yaml:2:8: train.stepz: unknown key"),
        ("configurations: {a/b: {}}\n", r"many.yaml:2:18: .*should be text of the form"),
        ("launcher: {name: locl}\n", r"many.yaml:2:12: launcher.name: no launcher named 'locl'"),
        (
            "launcher: {name: local, concurrency: 0}\n",
            r"many.yaml:2:25: launcher.concurrency: should be greater than 0",
        ),
        ("foldz: {}\n", r"many.yaml:2:1: foldz: unknown key; did you mean 'folds'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, message: str, host: Host) -> None:
    Path("many.yaml").write_text(HEAD + text)
    with pytest.raises(ConfigError, match=message):
        read_study("many.yaml", host, {}).tasks(host)


@pytest.mark.usefixtures("place")
def test_a_study_file_without_its_head_says_what_to_begin_with(host: Host) -> None:
    Path("many.yaml").write_text("folds: {count: 2}\n")
    with pytest.raises(ConfigError, match="has no block study:"):
        read_study("many.yaml", host, {})
    with pytest.raises(ValueError, match="each seed once"):
        StudyOptions.model_validate({"study": {"name": "a", "task": "b", "seeds": [1, 1]}})


LEAVES = st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2))


def blocks(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Blocks of a task; a name is a text, or it is refused before anything else."""
    optional = {"name": st.sampled_from(["unetr", "unet"]), "a": values, "b": values}
    return st.fixed_dictionaries({}, optional=optional).filter(bool)


BLOCKS = st.recursive(blocks(LEAVES), lambda inner: blocks(LEAVES | inner), max_leaves=6)


@given(below=BLOCKS, block=BLOCKS)
def test_a_configuration_is_laid_over_a_task_value_by_value_as_at_once(
    below: dict[str, object], block: dict[str, object]
) -> None:
    at_once, by_value = Layers(), Layers()
    for layers in (at_once, by_value):
        layers.put(below, "task")
    at_once.put(block, "study")
    for override in overrides_in(block, {("x",): "study:1:1"}, ("x",)):
        by_value.override(override)
    assert by_value.data == at_once.data
