"""A run folder is mirrored completely, once, and goes on where it stopped."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from tests.tracking.conftest import CONFIG

from medvid.plugin.events import RunInfo
from medvid.runs.folder import RunFolder, rewind_metrics
from medvid.tracking.content import safe_key
from medvid.tracking.mirror import Mirror, read_records
from medvid.tracking.mlflow import run_id
from medvid.tracking.store import tracking_uri


def mirrored(client: MlflowClient, run: RunInfo) -> Run:
    tracked = run_id(run.folder)
    assert tracked is not None
    return client.get_run(tracked)


def steps(client: MlflowClient, run: RunInfo, key: str) -> list[int]:
    return [point.step for point in client.get_metric_history(mirrored(client, run).info.run_id, key)]


def artifacts(client: MlflowClient, run: RunInfo) -> set[str]:
    tracked = mirrored(client, run).info.run_id
    top = client.list_artifacts(tracked)
    return {
        file.path for entry in top for file in (client.list_artifacts(tracked, entry.path) if entry.is_dir else [entry])
    }


def test_everything_a_finished_run_has(
    run: RunInfo, client: MlflowClient, train: Callable[..., None], close: Callable[..., None]
) -> None:
    train(run, 10, 40)
    close(run)
    mirror = Mirror(run, tracking_uri())
    mirror.finish("finished")

    found = mirrored(client, run)
    assert client.get_experiment(found.info.experiment_id).name == "abdomen"
    assert (found.info.run_name, found.info.status) == ("unetr-s7", "FINISHED")
    assert found.data.params["train.optimizer.lr"] == "0.0001"
    assert found.data.params["dataset.spacing"] == "[1.5, 1.5, 2.0]"
    assert found.data.params["train.channels_last"] == "true"
    assert "backbone.weights" not in found.data.params
    expected = {
        "data": "real",
        "seed": "7",
        "device": "1 x CPU (fp32)",
        "task": "unetr_btcv",
        "lab": "ours",
        "plugin.medvid": "0.1.0",
        "medvid.version": "0.1.0",
        "mlflow.source.git.commit": "c0ffee",
        "mlflow.source.git.dirty": "true",
        "checkpoint.best": "checkpoints/step-00000040",
    }
    assert expected.items() <= found.data.tags.items()
    assert "platform run runs/unetr_btcv/unetr-s7/resolved.yaml" in found.data.tags["mlflow.note.content"]

    assert steps(client, run, "train/loss") == [10, 20, 30, 40]
    assert steps(client, run, "perf/data_time") == [10, 20, 30, 40]
    assert steps(client, run, "validation/dice/left kidney") == [20, 40]
    assert found.data.metrics[safe_key("validation/hd95@2")] == 3.0
    assert (found.data.metrics["best/dice"], found.data.metrics["best/step"]) == (0.4, 40)
    assert found.data.metrics["final/dice"] == 0.41
    assert "final/hd95_mm" not in found.data.metrics

    assert found.data.tags["mlflow.source.name"] == "unetr + unetr_decoder: dice 0.41", "a column of the list of runs"
    view = client.get_experiment(found.info.experiment_id).tags["mlflow.sharedViewState.medvid"]
    assert json.loads(view) == {
        "selectedColumns": [
            "params.`backbone.name`", "params.`head.name`", "metrics.`final/dice`", "metrics.`best/dice`",
        ]
    }  # fmt: skip

    inputs = {entry.tags[0].value: entry.dataset for entry in found.inputs.dataset_inputs}
    assert set(inputs) == {"training", "validation"}
    assert (inputs["validation"].name, inputs["validation"].digest) == ("btcv", "b" * 32)
    assert artifacts(client, run) == {
        "task.yaml", "resolved.yaml", "environment.json", "data.json", "cases.csv", "summary.json", "figures/0001.png",
    }  # fmt: skip


def test_timestamps_are_those_of_the_run(run: RunInfo, client: MlflowClient) -> None:
    record = {"step": 10, "split": "train", "time": 1700000000.25, "values": {"loss": 0.5}}
    RunFolder(run.folder).metrics.write_text(json.dumps(record) + "\n")
    Mirror(run, tracking_uri()).push()
    [point] = client.get_metric_history(mirrored(client, run).info.run_id, "train/loss")
    assert point.timestamp == 1700000000250


def test_a_resumed_run_goes_on_in_the_same_mlflow_run(
    run: RunInfo, client: MlflowClient, train: Callable[..., None]
) -> None:
    train(run, 10, 30)
    Mirror(run, tracking_uri()).push(best_step=20)
    first = mirrored(client, run)

    rewind_metrics(RunFolder(run.folder).metrics, 20)  # killed at 30, resumed from the checkpoint of 20
    changed = replace(run, start_step=20, config={**run.config, "seed": 8, "new": 1}, device="1 x GPU")
    resumed = Mirror(changed, tracking_uri())
    train(run, 30, 40)
    resumed.push(best_step=40)

    again = mirrored(client, run)
    assert again.info.run_id == first.info.run_id
    assert steps(client, run, "train/loss") == [10, 20, 30, 40]
    assert steps(client, run, "best/step") == [20, 40]
    assert again.data.params["seed"] == "7", "MLflow's parameters cannot be changed"
    assert again.data.params["new"] == "1"
    assert again.data.tags["device"] == "1 x GPU"
    assert len(again.inputs.dataset_inputs) == 2


def test_more_points_than_a_batch_holds(run: RunInfo, client: MlflowClient, train: Callable[..., None]) -> None:
    train(run, 10, 6000)
    mirror = Mirror(run, tracking_uri())
    mirror.push()
    mirror.push()
    assert len(steps(client, run, "train/loss")) == 600


def test_a_deleted_run_or_experiment_begins_anew_and_nothing_is_revived(
    run: RunInfo, client: MlflowClient, train: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    train(run, 10, 20)
    Mirror(run, tracking_uri()).push()
    client.delete_run(mirrored(client, run).info.run_id)
    Mirror(run, tracking_uri()).push()
    assert mirrored(client, run).info.lifecycle_stage == "active"
    assert steps(client, run, "train/loss") == [10, 20]

    deleted = mirrored(client, run).info
    client.delete_experiment(deleted.experiment_id)
    Mirror(run, tracking_uri()).push()
    assert client.get_experiment_by_name("abdomen").lifecycle_stage == "deleted"
    assert client.get_run(deleted.run_id).info.lifecycle_stage == "deleted"
    assert client.get_experiment(mirrored(client, run).info.experiment_id).name == "abdomen (2)"
    assert "this run goes to 'abdomen (2)'" in caplog.text


@pytest.mark.parametrize("value", [float("inf"), float("nan"), None])
def test_figures_that_are_not_defined_are_left_out(run: RunInfo, client: MlflowClient, value: float | None) -> None:
    record = {"step": 1, "split": "validation", "time": 1.0, "values": {"hd95_mm": value, "dice": 0.5}}
    RunFolder(run.folder).metrics.write_text(json.dumps(record) + "\n")
    Mirror(run, tracking_uri()).push(best_step=1)
    assert mirrored(client, run).data.metrics == {"validation/dice": 0.5, "best/dice": 0.5, "best/step": 1}


def test_secrets_and_files_from_outside_stay_here(
    make_run: Callable[..., RunInfo],
    client: MlflowClient,
    close: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "canary-in-environment")
    run = make_run(config=CONFIG | {"tracking": {"tags": {"lab": "canary-in-environment"}, "experiment": "abdomen"}})
    close(run)
    outside = run.folder.parent / "private.csv"
    outside.write_text("canary-outside")
    (run.folder / "figures" / "link.png").symlink_to(outside)
    Mirror(run, tracking_uri()).finish("finished")

    found = mirrored(client, run)
    assert found.data.params["dataset.api_key"] == "***"
    assert found.data.tags["lab"] == "${WANDB_API_KEY}"
    assert not {"figures/link.png", "private.csv"} & artifacts(client, run)
    root = run.folder.parents[2]
    logged = [root / "mlflow.db", *(path for path in (root / "mlartifacts").rglob("*") if path.is_file())]
    assert not [path for path in logged if b"canary" in path.read_bytes()]
    assert (root / "mlartifacts").stat().st_mode & 0o077 == 0


def test_names_of_patients_stay_here_where_that_is_asked(
    make_run: Callable[..., RunInfo], client: MlflowClient, train: Callable[..., None], close: Callable[..., None]
) -> None:
    named = {"root": "/data/DOE_JANE", "split": {"train": ["DOE_JANE_19610203"], "validation": ["DOE_JOHN"]}}
    run = make_run(config=CONFIG | {"dataset": CONFIG["dataset"] | named, "tracking": {"cases": False}})
    train(run, 10, 20)
    close(run)
    (run.folder / "cases.csv").write_text("case,label,dice\nDOE_JANE_19610203,liver,0.9\n")
    (run.folder / "figures" / "DOE_JANE_19610203.png").write_bytes(b"\x89PNG")
    Mirror(run, tracking_uri()).finish("finished")
    assert artifacts(client, run) == {"environment.json", "data.json"}
    assert mirrored(client, run).data.metrics["final/dice"] == 0.41
    root = run.folder.parents[2]
    logged = [root / "mlflow.db", *(root / "mlartifacts").rglob("*")]
    assert not [path for path in logged if b"DOE_J" in (path.read_bytes() if path.is_file() else bytes(path))]


def test_a_line_that_is_still_being_written_is_left_for_later(run: RunInfo) -> None:
    file = RunFolder(run.folder).metrics
    first, second = ({"step": step, "split": "train", "time": 1.0, "values": {}} for step in (1, 2))
    file.write_text(f'{json.dumps(first)}\n{{"st')
    records, offset = read_records(file, 0)
    assert records == [first]
    file.write_text(f"{json.dumps(first)}\nno record\n{json.dumps(second)}\n")
    assert read_records(file, offset)[0] == [second]
