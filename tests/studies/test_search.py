"""A search as its files have it: what it proposes, runs, gives up and finds. Runs are the files that they leave."""

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.runs.conftest import SMALL, draw_images

from medvid.config.early import check_run
from medvid.errors import ConfigError, DataError, DistributedError
from medvid.files import json_text
from medvid.plugin.host import make_host
from medvid.runs.folder import append_metrics
from medvid.studies.cells import Cell
from medvid.studies.launcher_options import SlurmOptions
from medvid.studies.launchers.slurm import Slurm
from medvid.studies.load import read_study
from medvid.studies.search.search import Search, best_first, summary_lines
from medvid.studies.search.trials import read_trials
from medvid.studies.searching import SearchWork
from medvid.studies.setup import set_up
from medvid.studies.states import State, state_of
from medvid.studies.study import Study

HOST = make_host()
RATES = {"train.optimizer.lr": {"low": 1e-4, "high": 1.0, "log": True}, "backbone.depth": [1, 2]}
Make = Callable[..., Study]


@pytest.fixture
def make(working_directory: Path) -> Make:
    """Set up a study with a search."""
    draw_images(working_directory / "own", "abcdef")
    task = SMALL.read_text()

    def make_study(space: Mapping[str, Any] = RATES, folds: int = 0, **options: Any) -> Study:
        Path("task.yaml").write_text(task)
        search = {"method": "random", "trials": 6, "space": dict(space), **options}
        blocks: dict[str, Any] = {"study": {"name": "rates", "task": "task.yaml"}, "search": search}
        Path("study.yaml").write_text(json_text(blocks | ({"folds": {"count": folds}} if folds else {}), indent=1))
        file = read_study("study.yaml", HOST, {})
        checked = {name: check_run(task, HOST) for name, task in file.tasks(HOST).items()}
        study = set_up(file, checked, HOST, Path("studies"))
        if folds:
            cases = [f"{case}" for case in "abcdef"]
            study.folder.splits.write_text(
                json.dumps([{"train": [c for c in cases if c not in pair], "val": list(pair)} for pair in ("ab", "cd")])
            )
        return study

    return make_study


def begin(search: Search, cell: Cell, *validations: float) -> None:
    """Leave what a run leaves after some validations."""
    folder = cell.run_folder(search.folder)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.resolved.write_text("name: task")
    for step, value in enumerate(validations, start=1):
        append_metrics(folder.metrics, step, "validation", {"dice": value})


def finish(search: Search, cell: Cell, metrics: Mapping[str, float | None], monitor: str = "dice") -> None:
    """Leave what a finished run leaves."""
    begin(search, cell)
    better = {"dice": "higher", "hd95": "lower", "volume": ""}
    summary = {"status": "finished", "metrics": metrics, "monitor": monitor, "better": better}
    cell.run_folder(search.folder).summary.write_text(json.dumps(summary))


def next_cell(search: Search, *, retry: bool = False, without: set[Cell] = frozenset()) -> Cell | None:  # type: ignore[assignment]
    with search.folder.lock():
        return next(search.to_run(HOST, retry=retry, without=set(without)), None)


def test_trials_are_written_before_they_run_and_run_again_where_nobody_does(make: Make) -> None:
    search = make().search
    first = next_cell(search)
    assert first is not None
    assert first.name == "t0000-s1"
    [trial] = read_trials(search.folder)
    assert trial.values == {"train.optimizer.lr": 2e-3, "backbone.depth": 2}
    assert search.folder.task("t0000").read_text() == search.folder.task("default").read_text()
    assert next_cell(search) == first  # nobody has begun it: whoever asked for it was killed
    begin(search, first, 0.1)
    assert next_cell(search) == first  # interrupted
    finish(search, first, {"dice": 0.2})
    second = next_cell(search)
    assert second is not None
    assert second.name == "t0001-s1"
    values = read_trials(search.folder)[1].values
    assert f"lr: {values['train.optimizer.lr']}"[:10] in search.folder.task("t0001").read_text()
    assert search.cells() == [first, second]


def test_all_trials_then_the_best_on_all_folds_and_seeds(make: Make) -> None:
    study = make(folds=2, then={"best": 2, "seeds": 2})
    search, names = study.search, []
    for number in itertools.count():
        if (cell := next_cell(search)) is None:
            break
        names.append(cell.name)
        finish(search, cell, {"dice": [0.1, 0.5, 0.3, None, 0.5, 0.4][number] if number < 6 else 0.9})
    assert names[:6] == [f"t{number:04d}-f0-s1" for number in range(6)]
    assert names[6:] == ["t0001-f1-s1", "t0001-f0-s2", "t0001-f1-s2", "t0004-f1-s1", "t0004-f0-s2", "t0004-f1-s2"]
    assert [cell.name for cell in study.cells()] == names
    assert summary_lines(search)[0] == "6 of 6 trials have ended"
    assert summary_lines(search)[1].startswith("t0001  dice 0.5  train.optimizer.lr ")


def test_more_trials_can_be_asked_for(make: Make) -> None:
    search = make(trials=1).search
    finish(search, next_cell(search) or Cell("", None, 0), {"dice": 0.1})
    assert next_cell(search) is None
    search = make(trials=2).search
    assert (next_cell(search) or Cell("", None, 0)).name == "t0001-s1"
    assert len(read_trials(search.folder)) == 2


def test_what_is_better_is_what_the_figure_says(make: Make) -> None:
    search = make(metric="hd95").search
    for value in (3.0, 1.0, 2.0):
        finish(search, next_cell(search) or Cell("", None, 0), {"dice": 0.1, "hd95": value})
    assert [outcome.trial.number for outcome in best_first(search.outcomes())] == [1, 2, 0]
    assert "t0001  hd95 1 " in summary_lines(search)[1]
    search = make(metric="volume").search
    finish(search, Cell("t0000", None, 1), {"volume": 1.0})
    with pytest.raises(ConfigError, match="neither a higher nor a lower volume is better") as raised:
        search.outcomes()
    assert "search.direction" in raised.value.hint
    finish(search, Cell("t0001", None, 1), {"volume": 2.0})
    finish(search, Cell("t0002", None, 1), {"volume": 3.0})
    chosen = make(metric="volume", direction="minimise").search
    assert [outcome.trial.number for outcome in best_first(chosen.outcomes())] == [0, 1, 2]


def test_a_metric_that_does_not_exist(make: Make) -> None:
    search = make(metric="dicee").search
    cell = next_cell(search) or Cell("", None, 0)
    folder = cell.run_folder(search.folder)
    with pytest.raises(ConfigError, match=r"search\.metric is dicee.*did you mean 'dice'\?"):
        search.check_validations(folder, ["dice", "dice/liver"])
    make(metric="hd95").search.check_validations(folder, ["dice"])  # the closing evaluation may have it
    with pytest.raises(ConfigError, match="which runs do not have after a validation"):
        make(metric="hd95", prune={}).search.check_validations(folder, ["dice"])
    finish(search, cell, {"dice": 0.1, "hd95": 2.0})
    with pytest.raises(ConfigError, match="which runs do not have") as raised:
        next_cell(search)
    assert "they have: dice, hd95" in raised.value.hint


def test_trials_that_fail(make: Make) -> None:
    search = make().search
    cells = []
    for _ in range(3):
        cells.append(next_cell(search) or Cell("", None, 0))
        cells[-1].failure(search.folder).parent.mkdir(exist_ok=True)
        cells[-1].failure(search.folder).write_text('{"status": 4, "error": "no data"}')
    with pytest.raises(DistributedError, match="3 trials of rates have failed and none has finished"):
        next_cell(search)
    assert next_cell(search, retry=True) == cells[0]
    finish(search, cells[1], {"dice": 0.1})
    assert (next_cell(search) or cells[0]).name == "t0003-s1"
    assert next_cell(search, retry=True, without={cells[0]}) == cells[2]


def test_a_trial_is_given_up_and_others_go_on(make: Make) -> None:
    search = make(prune={"startup_trials": 2, "warmup_validations": 1}).search
    for value in (0.5, 0.6):
        cell = next_cell(search) or Cell("", None, 0)
        begin(search, cell, 0.1, value, value)
        finish(search, cell, {"dice": value})
    bad = next_cell(search) or Cell("", None, 0)
    begin(search, bad, 0.1)
    assert not search.is_to_give_up(bad)
    append_metrics(bad.run_folder(search.folder).metrics, 2, "validation", {"dice": 0.3})
    assert search.is_to_give_up(bad)
    search.folder.logs.mkdir()
    search.give_up(bad, 2)
    assert state_of(search.folder, bad) is State.PRUNED
    assert (next_cell(search) or bad).name == "t0003-s1"
    assert "3 of 6 trials have ended, 1 of them given up" in summary_lines(search)
    with bad.run_folder(search.folder).metrics.open("ab") as file:
        file.write(b'{"step": 3, "spl')  # a line that a kill cut short
    assert search.outcomes()[2].validations == (0.1, 0.3)


def test_a_damaged_trial_is_named(make: Make) -> None:
    search = make().search
    next_cell(search)
    path = search.folder.trials / "t0000.json"
    path.write_text(path.read_text().replace('"number": 0', '"number": 7'))
    with pytest.raises(DataError, match=r"t0000\.json does not hold the number"):
        next_cell(search)
    path.write_text('{"number": ')
    with pytest.raises(DataError, match=r"t0000\.json"):
        search.cells()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"train.optimizr.lr": [1]}, r"study\.yaml:\d+:\d+: train\.optimizr: unknown key"),
        (
            {"train.optimizer.lr": {"low": -1.0, "high": 1.0}},
            r"study\.yaml:\d+:\d+: train\.optimizer\.lr: should",
        ),
        (
            {"backbone.depth": [1, "many"]},
            r"study\.yaml:\d+:\d+: backbone\.depth: should be a whole number",
        ),
        ({"seed": [1, 2]}, r"study\.yaml:\d+:\d+: seed: a configuration cannot change it"),
    ],
)
def test_a_space_that_the_task_does_not_have_is_refused_with_its_place(
    make: Make, space: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make(space)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"grid": {"backbone.depth": [1]}}, "either a search, or configurations"),
        ({"study": {"name": "rates", "task": "task.yaml", "seeds": 2}}, r"search\.then\.seeds"),
        ({"search": {"method": "tpe", "space": RATES}}, "trials is missing"),
        ({"search": {"method": "random", "trials": 2, "space": RATES, "prune": {"method": "mean"}}}, "'halving'"),
    ],
)
def test_what_does_not_go_with_a_search(make: Make, more: dict[str, Any], message: str) -> None:
    make()
    blocks = json.loads(Path("study.yaml").read_text()) | more
    Path("study.yaml").write_text(json.dumps(blocks))
    with pytest.raises(ConfigError, match=message):
        read_study("study.yaml", HOST, {})


def test_values_that_do_not_go_together_fail_that_trial_alone(make: Make) -> None:
    search = make({"backbone.embed_dim": [16, 15], "backbone.num_heads": [4, 5]}, method="grid", trials=None).search
    names = []
    while cell := next_cell(search):
        names.append(cell.name)
        finish(search, cell, {"dice": 0.5})
    states = [outcome.state for outcome in search.outcomes()]
    assert len(states) == 5
    assert states.count(State.FAILED) == 2
    failed = [outcome.trial for outcome in search.outcomes() if outcome.state is State.FAILED]
    assert [dict(trial.values) for trial in failed] == [
        {"backbone.embed_dim": 16, "backbone.num_heads": 5},
        {"backbone.embed_dim": 15, "backbone.num_heads": 4},
    ]
    assert "num_heads" in json.loads(search.cells_of(failed[0])[0].failure(search.folder).read_text())["error"]


def test_slurm_gets_workers_as_long_as_trials_are_left(make: Make) -> None:
    study = make(trials=2)
    launcher = Slurm(SlurmOptions(gpus_per_node=0, concurrency=4, submit=False))
    launcher.launch(SearchWork(study, HOST, None, retry=False))
    script = study.folder.job.read_text()
    assert "#SBATCH --array=0-1\n" in script
    assert f"platform study resume --here {study.folder.path}\n" in script
    with pytest.raises(ConfigError, match="one process, but the launcher asks for nodes 1 x gpus_per_node 2"):
        Slurm(SlurmOptions(gpus_per_node=2, submit=False)).launch(SearchWork(study, HOST, None, retry=False))
    for _ in range(2):
        cell = next_cell(study.search)
        assert cell
        finish(study.search, cell, {"dice": 0.5})
    launcher.launch(SearchWork(study, HOST, None, retry=False))
    assert not study.folder.job.exists()
