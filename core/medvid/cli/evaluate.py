"""`platform evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from medvid.cli.common import CheckpointOption, Overrides, plugins_file


def evaluate(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder, runs/<task>/<run>.")],
    checkpoint: CheckpointOption = "best",
    overrides: Overrides = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the results.")] = None,
) -> None:
    """Evaluate a run's weights in full, with its own or another protocol (--set evaluation.protocol=unetr)."""
    from medvid.cli.common import stage_progress
    from medvid.runs import api
    from medvid.tracking.console import show_evaluation

    found = api.load_run(run, plugins=plugins_file(context))
    with stage_progress() as progress:
        evaluation, folder = found.evaluate(
            checkpoint=checkpoint, overrides=overrides or (), output=output, progress=progress
        )
    show_evaluation(evaluation)
    typer.echo(f"written to {folder}")
