"""Which experiment and run: by the task, MLflow's own variables, and the folder."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from medvid.errors import ConfigError
from medvid.plugin.events import RunInfo
from medvid.tracking.mirror import Mirror
from medvid.tracking.mlflow import run_id
from medvid.tracking.record import read_record
from medvid.tracking.store import tracking_uri


@pytest.fixture
def plain(run: RunInfo) -> RunInfo:
    """A run whose task names no experiment."""
    return replace(run, config={**run.config, "tracking": {}})


def experiment_of(client: MlflowClient, run: RunInfo) -> str:
    return client.get_experiment(client.get_run(run_id(run.folder)).info.experiment_id).name


def test_the_task_s_experiment_else_its_name(run: RunInfo, plain: RunInfo, client: MlflowClient) -> None:
    Mirror(run, tracking_uri())
    assert experiment_of(client, run) == "abdomen"
    (run.folder / "mlflow.json").unlink()
    Mirror(plain, tracking_uri())
    assert experiment_of(client, plain) == "unetr_btcv"


def test_the_experiment_of_mlflow_s_variables(
    plain: RunInfo,
    run: RunInfo,
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "by name")
    Mirror(plain, tracking_uri())
    assert experiment_of(client, plain) == "by name"

    number = client.get_experiment_by_name("by name").experiment_id
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", number)
    (plain.folder / "mlflow.json").unlink()
    Mirror(plain, tracking_uri())
    assert experiment_of(client, plain) == "by name"

    (run.folder / "mlflow.json").unlink()
    Mirror(run, tracking_uri())
    assert experiment_of(client, run) == "abdomen"
    assert "MLFLOW_EXPERIMENT_ID=" in caplog.text
    assert "is not used: the task's tracking.experiment is 'abdomen'" in caplog.text


@pytest.mark.parametrize("number", ["4711", "deleted", "another"])
def test_an_experiment_id_that_cannot_be_meant(
    plain: RunInfo, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    made = client.create_experiment("made")
    if number == "deleted":
        client.delete_experiment(made)
    if number == "another":
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "4711" if number == "4711" else made)
    with pytest.raises(ConfigError, match="MLFLOW_EXPERIMENT_ID is"):
        Mirror(plain, tracking_uri())
    assert run_id(plain.folder) is None


def test_a_given_run_is_continued_by_one_run_only(
    make_run: Callable[..., RunInfo], client: MlflowClient, train: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = client.create_run(client.create_experiment("of a scheduler")).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    first, second = make_run("first"), make_run("second")
    train(first, 10, 20)
    Mirror(first, tracking_uri()).push()
    assert run_id(first.folder) == given
    assert len(client.get_metric_history(given, "train/loss")) == 2
    with pytest.raises(ConfigError, match=f"MLFLOW_RUN_ID is {given}, but it has the figures of first"):
        Mirror(second, tracking_uri())
    client.delete_run(given)
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(ConfigError, match="MLFLOW_RUN_ID is 000"):
        Mirror(second, tracking_uri())


def test_a_moved_project_keeps_its_runs_and_writes_beside_its_database(
    run: RunInfo, workdir: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch,
    train: Callable[..., None], close: Callable[..., None], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    train(run, 10, 20)
    close(run)
    Mirror(run, tracking_uri()).finish("finished")
    tracked = run_id(run.folder)
    there = tmp_path_factory.mktemp("new place") / "project"
    monkeypatch.chdir(workdir.parent)
    shutil.move(workdir, there)
    _artifact_repos_cache.clear()  # kept by a process, in which nothing moves
    moved = replace(run, folder=there / run.folder.relative_to(workdir))

    (moved.folder / "figures" / "late.png").write_bytes(b"\x89PNG")
    uri = tracking_uri(moved.folder)
    assert uri == f"sqlite:///{there}/mlflow.db"
    Mirror(moved, uri).finish("finished")
    assert run_id(moved.folder) == tracked
    client = MlflowClient(uri)
    names = {artifact.path for artifact in client.list_artifacts(tracked, "figures")}
    assert names == {"figures/0001.png", "figures/late.png"}
    assert not workdir.exists()
    assert f"was in {workdir} before" in caplog.text
    other = replace(moved, name="other", folder=shutil.copytree(moved.folder, there / "runs" / "other"))
    (other.folder / "mlflow.json").unlink()
    Mirror(other, uri).finish("finished")
    assert client.get_run(run_id(other.folder)).info.artifact_uri.startswith(f"{there}/mlartifacts/")


def test_a_copied_run_folder_gets_a_run_of_its_own_and_a_moved_one_keeps_it(
    run: RunInfo, caplog: pytest.LogCaptureFixture
) -> None:
    Mirror(run, tracking_uri())
    copy = replace(run, folder=Path(shutil.copytree(run.folder, run.folder.parent / "copy")))
    Mirror(copy, tracking_uri())
    assert run_id(copy.folder) != run_id(run.folder)
    assert f"copy is a copy of {run.folder}" in caplog.text

    moved = replace(run, folder=run.folder.rename(run.folder.parent / "moved"))
    before = run_id(moved.folder)
    Mirror(moved, tracking_uri())
    record = read_record(moved.folder)
    assert record is not None
    assert (record.run_id, record.folder) == (before, str(moved.folder))
