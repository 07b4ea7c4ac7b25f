"""The hooks: training never waits for MLflow or fails with it, and whatever it does not take can be made up for."""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread

import pluggy
import pytest
from mlflow import MlflowClient

from medvid.files import read_json
from medvid.plugin.events import RunInfo, RunResult, RunStatus
from medvid.tracking import worker
from medvid.tracking.mlflow import run_id
from medvid.tracking.sync import sync

CANARY = "canary-pass%21word"


def result(status: RunStatus = "finished") -> RunResult:
    return RunResult(status=status, seconds=1.0, metrics={})


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@contextmanager
def server(behaviour: str) -> Iterator[str]:
    """A tracking server that does not work, as a URI with credentials in it."""
    over = Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if behaviour == "hangs":
                over.wait()
                return
            self.send_response(int(behaviour))
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        address = f"http://user:{CANARY}@127.0.0.1:{http.server_port}"
        if behaviour == "refuses":
            http.server_close()
            yield address
            return
        Thread(target=http.serve_forever, daemon=True).start()
        yield address
        over.set()
        http.shutdown()


def test_a_run_is_mirrored_while_it_trains(
    run: RunInfo, hooks: pluggy.HookRelay, client: MlflowClient, train: Callable[..., None], close: Callable[..., None]
) -> None:
    hooks.medvid_run_started(run=run)
    train(run, 10, 20)
    hooks.medvid_checkpoint_saved(run=run, path=run.folder / "checkpoints" / "step-00000020", step=20, is_best=True)
    wait_until(lambda: run_id(run.folder) is not None)
    tracked = run_id(run.folder)
    wait_until(lambda: "best/dice" in client.get_run(tracked).data.metrics)
    assert client.get_run(tracked).info.status == "RUNNING"

    train(run, 30, 40)
    close(run)
    hooks.medvid_run_finished(run=run, result=result())
    found = client.get_run(tracked)
    assert found.info.status == "FINISHED"
    assert len(client.get_metric_history(tracked, "train/loss")) == 4


def test_a_run_that_is_over_at_once_has_its_id(
    run: RunInfo, hooks: pluggy.HookRelay, train: Callable[..., None], close: Callable[..., None]
) -> None:
    hooks.medvid_run_started(run=run)
    train(run, 10, 10)
    close(run)
    hooks.medvid_run_finished(run=run, result=result())
    assert read_json(run.folder / "summary.json")["mlflow_run_id"] == run_id(run.folder)
    assert run_id(run.folder) is not None


@pytest.mark.parametrize(("status", "shown"), [("failed", "FAILED"), ("killed", "KILLED")])
def test_a_run_that_does_not_finish(
    run: RunInfo,
    hooks: pluggy.HookRelay,
    client: MlflowClient,
    close: Callable[..., None],
    status: RunStatus,
    shown: str,
) -> None:
    hooks.medvid_run_started(run=run)
    close(run, status)
    hooks.medvid_run_failed(run=run, result=result(status), error=ValueError("x"))
    assert client.get_run(run_id(run.folder)).info.status == shown


def test_a_run_that_fails_before_it_starts_is_not_tracked(run: RunInfo, hooks: pluggy.HookRelay) -> None:
    hooks.medvid_run_failed(run=run, result=result("failed"), error=ValueError("x"))
    assert run_id(run.folder) is None


def test_a_store_that_fails_for_a_while(
    run: RunInfo,
    hooks: pluggy.HookRelay,
    client: MlflowClient,
    train: Callable[..., None],
    close: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    hooks.medvid_run_started(run=run)
    train(run, 10, 20)
    wait_until(lambda: run_id(run.folder) is not None)
    with closing(sqlite3.connect("mlflow.db", isolation_level=None)) as store:
        store.execute("ALTER TABLE metrics RENAME TO away")
        train(run, 30, 40)
        wait_until(lambda: bool(caplog.records))
        store.execute("ALTER TABLE away RENAME TO metrics")
    train(run, 50, 60)
    close(run)
    hooks.medvid_run_finished(run=run, result=result())
    points = client.get_metric_history(run_id(run.folder), "train/loss")
    assert [point.step for point in points] == [10, 20, 30, 40, 50, 60]
    [warning] = [record for record in caplog.records if record.name == "medvid"]
    assert warning.levelno == logging.WARNING
    assert "metrics.jsonl" in warning.getMessage()


@pytest.mark.parametrize("behaviour", ["refuses", "hangs", "401", "500"])
def test_a_server_that_does_not_work(
    behaviour: str,
    run: RunInfo,
    hooks: pluggy.HookRelay,
    train: Callable[..., None],
    close: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(worker, "FINISH_TIMEOUT", 6.0)
    with server(behaviour) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "restored afterwards")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "restored afterwards")
        began = time.monotonic()
        hooks.medvid_run_started(run=run)
        train(run, 10, 40)
        assert time.monotonic() - began < 1, "training waited"
        close(run)
        wait_until(lambda: bool(caplog.records))
        hooks.medvid_run_finished(run=run, result=result())
        assert time.monotonic() - began < 20
    messages = [record.getMessage() for record in caplog.records if record.name == "medvid"]
    assert len(messages) == 2, messages
    assert messages[1].endswith("platform sync runs/unetr_btcv/unetr-s7")
    written = "".join(messages) + caplog.text + "".join(capfd.readouterr())
    assert "canary-pass" not in written
    assert not [path for path in run.folder.rglob("*") if path.is_file() and b"canary-pass" in path.read_bytes()]

    # The server never worked; another store takes the whole run from its folder.
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    record = sync(run.folder)
    assert len(MlflowClient(record.tracking_uri).get_metric_history(record.run_id, "train/loss")) == 4


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_processes_that_start_at_once_on_no_store(make_run: Callable[..., RunInfo], train: Callable[..., None]) -> None:
    runs = [make_run(f"run-{number}") for number in range(4)]
    for each in runs:
        train(each, 10, 40)
    Path("mlflow.db").unlink()
    # Forked, because each would import MLflow for seconds otherwise.
    processes = [get_context("fork").Process(target=sync, args=(each.folder,)) for each in runs]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    client = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    histories = [client.get_metric_history(run_id(each.folder), "train/loss") for each in runs]
    assert [len(points) for points in histories] == [4, 4, 4, 4]


def test_the_store_that_a_run_began_in_is_kept(
    run: RunInfo,
    hooks: pluggy.HookRelay,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hooks.medvid_run_started(run=run)
    hooks.medvid_run_failed(run=run, result=result("killed"), error=KeyboardInterrupt())
    tracked = run_id(run.folder)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    hooks.medvid_run_started(run=replace(run, start_step=10))
    hooks.medvid_run_failed(run=run, result=result("killed"), error=KeyboardInterrupt())
    assert run_id(run.folder) == tracked
    assert not Path("mlflow.db").exists()
