"""`platform sync`."""

from pathlib import Path
from typing import Annotated

import typer


def sync(run: Annotated[Path, typer.Argument(help="Run folder, runs/<task>/<run>.")]) -> None:
    """Log to MLflow what it does not have of a run yet, e.g. because its server was away."""
    from medvid.tracking.sync import sync as sync_run

    record = sync_run(run)
    typer.echo(f"{run} is complete in MLflow: run {record.run_id} at {record.tracking_uri}")
