"""`platform predict`."""

from pathlib import Path
from typing import Annotated

import typer

from medvid.cli.common import CheckpointOption, Overrides, plugins_file, stage_progress


def predict(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder, runs/<task>/<run>.")],
    inputs: Annotated[list[Path], typer.Argument(help="Files or folders to predict.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the predictions.")] = Path("predictions"),
    checkpoint: CheckpointOption = "best",
    overrides: Overrides = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Predict again what is there already.")] = False,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Devices that share the files; default: all GPUs, or one CPU process.")
    ] = None,
) -> None:
    """Predict new files with a run's weights: label maps on the files' own grid, or the five likeliest classes.

    Called again, it goes on where it was stopped: predictions of the same weights and files are left as they are.
    """
    from medvid.runs import api

    found = api.load_run(run, plugins=plugins_file(context))
    with stage_progress() as progress:
        for case, prediction in found.predict(
            inputs,
            output,
            checkpoint=checkpoint,
            overrides=overrides or (),
            overwrite=overwrite,
            devices=devices or "auto",
            progress=progress,
        ):
            typer.echo(f"{case}: {', '.join(str(file) for file in prediction.files)}")
            for line in prediction.lines:
                typer.echo(f"  {line}")
