"""`platform ui`."""

import os
import secrets
import shutil
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from medvid.errors import ConfigError
from medvid.files import make_folder, write_text
from medvid.redaction import split_credentials
from medvid.tracking.database import ensure_usable, exclusive, newest_experiment
from medvid.tracking.record import read_record
from medvid.tracking.store import SQLITE, VIEW, database, tracking_uri

HOST = "127.0.0.1"
"""This machine only: without --auth MLflow's UI has no log-in, and whoever reaches it can delete runs."""
USER = "admin"


def ui(
    run: Annotated[Path | None, typer.Argument(help="Run folder, to go to that run.")] = None,
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 5000,
    auth: Annotated[bool, typer.Option("--auth", help="Ask for a password, which is shown at the start.")] = False,
) -> None:
    """Open the runs in MLflow's UI, in a browser on this machine."""
    uri = tracking_uri(run)
    file = database(uri)
    if file and not file.exists():
        raise ConfigError(
            f"no runs to show: {file} does not exist",
            hint="go to the folder where `platform run` was called, or set MLFLOW_TRACKING_URI",
        )
    page = _page(run, file)
    if uri.startswith("http"):
        typer.echo(f"Runs are tracked by a server: {split_credentials(uri)[0].rstrip('/')}{page}")
        return
    if file:
        with exclusive(file):
            ensure_usable(file)  # finds the artifacts of a project that was moved
    _check_free(port)
    typer.echo(f"MLflow starts at http://{HOST}:{port}{page} (Ctrl-C ends it).")
    typer.echo("If it shows pages on language models, choose 'Model training' at the top left.")
    login = _make_login(file) if auth else {}
    if not auth:
        typer.echo("Every user of this machine can open it, and change and delete runs; with --auth it asks who it is.")
    _become_server(uri, port, login)


def _page(run: Path | None, file: Path | None) -> str:
    """The part of an address that leads to a run, or to the newest ones; the end hides what is for language models."""
    place, newest = "experiments", newest_experiment(file) if file else None
    if not run and newest:
        return f"/#/experiments/{newest}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"
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


def _make_login(file: Path | None) -> dict[str, str]:
    """Have MLflow ask for a password that is made for this start, and say which; the settings that it takes."""
    if file is None:
        raise ConfigError("--auth goes with an sqlite store", hint="set MLFLOW_TRACKING_URI to sqlite:///FILE")
    if find_spec("flask_wtf") is None:
        raise ConfigError("MLflow's log-in needs the package Flask-WTF", hint="pip install 'medvid[auth]'")
    folder = file.with_name(f".{file.stem}-auth")
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder, mode=0o700)
    settings = folder / "basic_auth.ini"
    write_text(
        settings,
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = {SQLITE}{folder / 'users.db'}\n"
        f"admin_username = {USER}\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
    )
    password = secrets.token_urlsafe(12)
    typer.echo(f"Log in as {USER} with the password {password} (of this start only).")
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_USERNAME": USER,
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(),
    }


def _become_server(uri: str, port: int, login: dict[str, str]) -> None:
    """Replace this process by MLflow's server, so that signals reach it and nothing is left behind."""
    sys.stdout.flush()
    environment = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **os.environ,
        # Not on the command line, where every user of the machine could read a password in it.
        **login,
        "MLFLOW_BACKEND_STORE_URI": uri,
        # Jobs are for LLM evaluation; without them it is one process instead of nine.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    options = ["--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--no-access-log"]
    options += ["--app-name", "basic-auth"] if login else []
    command = [sys.executable, "-m", "mlflow", "server", *options]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted
