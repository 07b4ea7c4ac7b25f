"""The MLflow run of a study, in a real store."""

import os
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from ruamel.yaml import YAML
from tests.studies.folders import masks

from medvid.studies.aggregate import aggregate
from medvid.studies.cells import Cell
from medvid.studies.folder import StudyFolder
from medvid.studies.parent import DONE, KEY, PARENT, begin_parent, update_parent
from medvid.studies.states import State
from medvid.tracking.record import Record, read_record, write_record

CELLS = [Cell(name, fold, 0) for fold in (0, 1) for name in ("a", "b")]
CONFIG = {"name": "mine", "seed": 0, "tracking": {"experiment": "folds"}}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creating the tables takes seconds, copying them does not."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}")
    return file


@pytest.fixture
def client(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path / "studies" / "cv")
    folder.tasks.mkdir(parents=True)
    for name in ("a", "b"):
        YAML().dump(CONFIG, folder.task(name))
    folder.study.write_text("study: {name: cv, task: mine}\npassword: canary\n")
    return folder


def parents(client: MlflowClient) -> list[Run]:
    experiment = client.get_experiment_by_name("folds")
    return [*client.search_runs([experiment.experiment_id], f"tags.`{KEY}` != ''")] if experiment else []


def finish(study: StudyFolder, cell: Cell) -> None:
    better = 0.1 * (cell.configuration == "b")
    dice = {f"{cell.fold}{n}": [0.5 + better + 0.1 * n] for n in range(3)}
    masks(cell.run_folder(study).path, dice, status="finished")


def states(finished: int, then: State = State.WAITING) -> dict[Cell, State]:
    return {cell: State.FINISHED if number < finished else then for number, cell in enumerate(CELLS)}


def update(study: StudyFolder, cells: dict[Cell, State]) -> None:
    update_parent(study, "a", cells, aggregate(study, CELLS), ended=True)


def test_aggregates_are_metrics_by_the_number_of_finished_cells(client: MlflowClient, study: StudyFolder) -> None:
    begin_parent(study, "a")
    [parent] = parents(client)
    assert (parent.info.run_name, parent.info.status) == ("cv", "RUNNING")
    record = read_record(study.path)
    assert record is not None
    assert record.run_id == parent.info.run_id
    for number, cell in enumerate(CELLS, start=1):
        finish(study, cell)
        update(study, states(number))
        update(study, states(number))  # a second process, or status
    [parent] = parents(client)
    assert parent.info.status == "FINISHED"
    history = client.get_metric_history(parent.info.run_id, "b/dice/mean")
    assert [point.step for point in history] == [2, 3, 4]
    assert [point.value for point in history] == pytest.approx([0.7, 0.7, 0.7])
    assert [point.step for point in client.get_metric_history(parent.info.run_id, DONE)] == [1, 2, 3, 4]
    metrics = parent.data.metrics
    assert metrics["a/dice/ci95_low"] < metrics["a/dice/mean"] < metrics["a/dice/ci95_high"]
    assert "b/dice/sd_seeds" not in metrics  # there is one seed
    artifacts = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert artifacts == {"table.md", "summary.json", "cases.csv", "study.yaml"}
    copied = Path(client.download_artifacts(parent.info.run_id, "study.yaml", str(study.path.parent)))
    assert "canary" not in copied.read_text()
    assert parent.data.tags["mlflow.note.content"] == study.table.read_text()


def test_a_parent_is_adopted_never_doubled(client: MlflowClient, study: StudyFolder) -> None:
    begin_parent(study, "a")
    [first] = parents(client)
    (study.path / "mlflow.json").unlink()  # killed before it was noted
    begin_parent(study, "a")
    begin_parent(study, "a")
    assert [run.info.run_id for run in parents(client)] == [first.info.run_id]
    record = read_record(study.path)
    assert record is not None
    assert record.run_id == first.info.run_id


def test_a_study_that_is_made_anew_in_the_same_place_has_a_parent_of_its_own(
    client: MlflowClient, study: StudyFolder
) -> None:
    begin_parent(study, "a")
    study.path.rename(study.path.with_name("moved"))
    shutil.copytree(study.path.with_name("moved"), study.path)
    (study.path / "mlflow.json").unlink()
    begin_parent(study, "a")
    assert len(parents(client)) == 2


def test_cells_that_began_without_a_parent_get_it(client: MlflowClient, study: StudyFolder) -> None:
    begin_parent(study, "a")
    [parent] = parents(client)
    other = client.create_experiment("other")
    for cell, experiment in zip(CELLS, [parent.info.experiment_id, other], strict=False):
        finish(study, cell)
        run = client.create_run(experiment, run_name=cell.name)
        write_record(
            cell.run_folder(study).path,
            Record(f"sqlite:///{Path.cwd() / 'mlflow.db'}", experiment, run.info.run_id),
        )
    update(study, states(2))
    found = client.search_runs([parent.info.experiment_id, other], f"tags.`{PARENT}` = '{parent.info.run_id}'")
    assert [run.info.run_name for run in found] == [CELLS[0].name]


def test_it_stays_open_while_cells_can_go_on_and_opens_again_for_more(client: MlflowClient, study: StudyFolder) -> None:
    begin_parent(study, "a")
    finish(study, CELLS[0])
    update(study, states(1, State.INTERRUPTED))
    assert parents(client)[0].info.status == "RUNNING"
    update(study, states(1, State.FAILED))
    assert parents(client)[0].info.status == "FAILED"
    begin_parent(study, "a")
    assert parents(client)[0].info.status == "RUNNING"


def test_a_store_that_cannot_be_reached_stops_nothing(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    begin_parent(study, "a")
    finish(study, CELLS[0])
    update(study, states(1))
    assert "does not accept the study at present" in caplog.text
    assert "secret" not in caplog.text
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ


def test_without_names_of_cases_no_case_is_sent(client: MlflowClient, study: StudyFolder) -> None:
    YAML().dump({**CONFIG, "tracking": {"experiment": "folds", "cases": False}}, study.task("a"))
    finish(study, CELLS[0])
    update(study, states(1))
    [parent] = parents(client)
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {"table.md", "summary.json"}
