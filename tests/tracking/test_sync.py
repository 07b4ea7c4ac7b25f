import subprocess
import sys
from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from medvid.errors import ConfigError, MedvidError
from medvid.plugin.events import RunInfo
from medvid.runs.folder import RunFolder
from medvid.tracking.mlflow import run_id
from medvid.tracking.sync import sync


def test_a_run_is_rebuilt_from_its_folder(
    run: RunInfo, client: MlflowClient, train: Callable[..., None], close: Callable[..., None]
) -> None:
    train(run, 10, 40)
    close(run)
    record = sync(run.folder)
    found = client.get_run(record.run_id)
    assert (found.info.run_name, found.info.status) == ("unetr-s7", "FINISHED")
    assert found.data.metrics["best/dice"] == 0.4
    assert found.data.metrics["final/dice"] == 0.41
    assert found.data.params["train.optimizer.name"] == "adamw"
    assert found.data.tags["mlflow.source.git.branch"] == "main"
    assert found.data.tags["plugin.medvid"] == "0.1.0"
    assert len(found.inputs.dataset_inputs) == 2
    assert found.info.start_time <= found.info.end_time

    assert sync(run.folder) == record
    assert len(client.get_metric_history(record.run_id, "final/dice")) == 1


def test_a_killed_run_has_no_summary(run: RunInfo, client: MlflowClient, train: Callable[..., None]) -> None:
    train(run, 10, 20)
    with RunFolder(run.folder).metrics.open("a") as file:
        file.write('{"step": 30, "spl')
    record = sync(run.folder)
    assert client.get_run(record.run_id).info.status == "KILLED"
    assert len(client.get_metric_history(record.run_id, "train/loss")) == 2


def test_a_run_in_progress_is_left_alone(run: RunInfo) -> None:
    program = "import sys; from pathlib import Path; from medvid.tracking.sync import sync; sync(Path(sys.argv[1]))"
    with RunFolder(run.folder).lock():
        other = subprocess.run([sys.executable, "-c", program, run.folder], capture_output=True, text=True, check=False)
    assert "LockedError" in other.stderr
    assert run_id(run.folder) is None


def test_errors_name_what_is_wrong(run: RunInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="not a run folder"):
        sync(run.folder.parent)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://user:canary@host")
    with pytest.raises(MedvidError) as caught:
        sync(run.folder)
    assert "nonsense://***@host" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
