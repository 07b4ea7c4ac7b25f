"""`platform evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from medvid.cli.common import CheckpointOption, Overrides, plugins_file


def evaluate(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder, runs/<task>/<run>.")],
    checkpoint: CheckpointOption = "best",
    overrides: Overrides = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="Score all labelled cases of another folder instead."),
    ] = None,
    trained: Annotated[
        Literal["refuse", "leave-out", "score"],
        typer.Option("--trained", help="Training cases of the run in --data: refuse, leave-out or score."),
    ] = "refuse",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the results.")] = None,
) -> None:
    """Evaluate a run's weights in full, with its own or another protocol (--set evaluation.protocol=unetr).

    It scores the run's held-out cases, or all labelled cases of another folder (--data).
    """
    from medvid.cli.common import stage_progress
    from medvid.runs import api
    from medvid.tracking.console import show_evaluation

    found = api.load_run(run, plugins=plugins_file(context))
    with stage_progress() as progress:
        evaluation, folder = found.evaluate(
            checkpoint=checkpoint,
            overrides=overrides or (),
            data=data,
            trained=trained,
            output=output,
            progress=progress,
        )
    show_evaluation(evaluation)
    typer.echo(f"written to {folder}")
