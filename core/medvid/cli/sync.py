"""`platform sync`."""

from pathlib import Path
from typing import Annotated

import typer


def sync(run: Annotated[Path, typer.Argument(help="Run folder, runs/<task>/<run>.")]) -> None:
    """Upload to MLflow any results of a run that it is missing, e.g. because its server was down."""
    from medvid.tracking.sync import sync as sync_run

    record = sync_run(run)
    typer.echo(f"{run} is complete in MLflow: run {record.run_id} at {record.tracking_uri}")
