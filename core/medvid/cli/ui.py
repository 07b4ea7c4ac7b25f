"""`platform ui`."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from medvid.errors import ConfigError
from medvid.tracking.record import read_record
from medvid.tracking.redaction import split_credentials
from medvid.tracking.store import database, ready, tracking_uri

HOST = "127.0.0.1"
"""This machine only: MLflow's UI has no log-in, and whoever reaches it can delete runs."""


def ui(
    run: Annotated[Path | None, typer.Argument(help="Run folder, to go to that run.")] = None,
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 5000,
) -> None:
    """Open the runs in MLflow's UI, in a browser on this machine."""
    page = _page(run)
    uri = tracking_uri(run)
    if uri.startswith("http"):
        typer.echo(f"Runs are tracked by a server: {split_credentials(uri)[0].rstrip('/')}{page}")
        return
    file = database(uri)
    if file and not file.exists():
        raise ConfigError(
            f"no runs to show: {file} does not exist",
            hint="go to the folder where `platform run` was called, or set MLFLOW_TRACKING_URI",
        )
    with ready(uri):  # which finds the artifacts of a project that was moved
        _check_free(port)
    typer.echo(f"MLflow starts at http://{HOST}:{port}{page} (Ctrl-C ends it).")
    typer.echo("If it shows pages on language models, choose 'Model training' at the top left.")
    _become_server(uri, port)


def _page(run: Path | None) -> str:
    """The part of an address that leads to a run, or to all; the last part hides what is for language models."""
    place = "experiments"
    if run:
        record = read_record(run)
        if record is None:
            raise ConfigError(f"{run} is not tracked by MLflow", hint=f"platform sync {run}")
        place = f"experiments/{record.experiment_id}/runs/{record.run_id}"
    return f"/#/{place}?workflowType=machine_learning"


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigError(
                f"port {port} cannot be used: {error.strerror}",
                hint=f"try another: platform ui --port {port % 65535 + 1}",
            ) from None


def _become_server(uri: str, port: int) -> None:
    """Replace this process by MLflow's server, so that signals reach it and nothing is left behind."""
    sys.stdout.flush()
    environment = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **os.environ,
        # Not on the command line, where every user of the machine could read a password in it.
        "MLFLOW_BACKEND_STORE_URI": uri,
        # Jobs are for LLM evaluation; without them it is one process instead of nine.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    options = ["--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--no-access-log"]
    command = [sys.executable, "-m", "mlflow", "server", *options]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted
