"""`platform ui` serves the runs to this machine only, and a server takes a run as well as a file does."""

import json
import re
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psutil
import pytest
from mlflow import MlflowClient

from medvid.cli.ui import ui
from medvid.errors import ConfigError
from medvid.plugin.events import RunInfo
from medvid.tracking.mlflow import run_id
from medvid.tracking.record import Record, write_record
from medvid.tracking.sync import sync


@contextmanager
def serving(workdir: Path, arguments: str = "") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`platform ui` in the working directory, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = f"from medvid.cli.ui import ui; ui(port={port}{arguments})"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=workdir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        for _ in range(3000):
            assert process.poll() is None, process.communicate()
            try:
                urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except URLError:
                time.sleep(0.1)
        yield process, port
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture
def server(workdir: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with serving(workdir) as started:
        yield started


def said_at_start(process: subprocess.Popen[str], lines: int = 3) -> str:
    assert process.stdout
    return "".join(islice(process.stdout, lines))


def test_a_log_in_for_shared_machines(workdir: Path) -> None:
    with serving(workdir, ", auth=True") as (process, port):
        password = re.search(r"as admin with the password (\S+) \(of this start only\)", said_at_start(process))
        assert password

        def status(path: str, given: str) -> int:
            request = Request(f"http://127.0.0.1:{port}{path}")
            if given:
                request.add_header("Authorization", "Basic " + b64encode(f"admin:{given}".encode()).decode())
            try:
                with urlopen(request) as answer:
                    return int(answer.status)
            except HTTPError as error:
                return error.code

        for path in ("/", "/api/2.0/mlflow/experiments/get?experiment_id=0"):
            assert [status(path, given) for given in ("", "wrong", password[1])] == [401, 401, 200]
    assert (workdir / ".mlflow-auth").stat().st_mode & 0o077 == 0
    files = [path for path in workdir.rglob("*") if path.is_file()]
    assert not [path for path in files if password[1].encode() in path.read_bytes()]


def test_server(
    server: tuple[subprocess.Popen[str], int],
    run: RunInfo,
    train: Callable[..., None],
    close: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    workdir: Path,
) -> None:
    process, port = server
    assert "Every user of this machine can open it" in said_at_start(process)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    listening = {c.laddr for each in family for c in each.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert {(address.ip, address.port) for address in listening} == {("127.0.0.1", port)}
    assert len(family) <= 3, "one worker and no job runners"

    # A whole run through the server, with credentials in its address.
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "restored afterwards")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "restored afterwards")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:canary-password@127.0.0.1:{port}")
    train(run, 10, 40)
    close(run)
    assert sync(run.folder).tracking_uri == f"http://127.0.0.1:{port}"
    client = MlflowClient(f"sqlite:///{workdir / 'mlflow.db'}")
    found = client.get_run(run_id(run.folder))
    assert found.info.status == "FINISHED"
    assert found.data.metrics["final/dice"] == 0.41
    assert len(found.inputs.dataset_inputs) == 2
    artifacts = json.loads(
        urlopen(f"http://127.0.0.1:{port}/api/2.0/mlflow/artifacts/list?run_id={found.info.run_id}").read()
    )
    assert {"cases.csv", "figures", "resolved.yaml"} <= {file["path"] for file in artifacts["files"]}
    assert not [path for path in workdir.rglob("*") if path.is_file() and b"canary-password" in path.read_bytes()]


def test_nothing_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ConfigError, match=r"mlflow.db does not exist"):
        ui()


@pytest.mark.usefixtures("workdir")
def test_port_in_use() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} cannot be used") as caught:
            ui(port=port)
    assert "--port" in caught.value.hint


def test_a_server_needs_no_ui(
    run: RunInfo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:canary@mlflow.example.org/")
    with pytest.raises(ConfigError, match="not tracked"):
        ui(run.folder)
    write_record(run.folder, Record(tracking_uri="https://mlflow.example.org", experiment_id="3", run_id="abc"))
    ui(run.folder)
    assert capsys.readouterr().out.endswith(
        " https://mlflow.example.org/#/experiments/3/runs/abc?workflowType=machine_learning\n"
    )
