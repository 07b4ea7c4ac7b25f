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
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Predict existing ones again.")] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write the probability of each label at each voxel too.")
    ] = False,
    answers: Annotated[
        str | None, typer.Option("--format", help="Of label maps: nifti, dicom_seg, ... Default: the files' own.")
    ] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Devices that share the files; default: all GPUs, or one CPU process.")
    ] = None,
) -> None:
    """Predict new files with a run's weights: label maps on the files' own grid, or the five likeliest classes.

    Called again, it continues where it stopped: predictions of the same weights and files are kept.
    """
    from medvid.runs import api

    asked = [f"dataset.answers={answers}"] if answers else []
    found = api.load_run(run, plugins=plugins_file(context))
    with stage_progress() as progress:
        for case, prediction in found.predict(
            inputs,
            output,
            checkpoint=checkpoint,
            overrides=[*(overrides or ()), *asked],
            overwrite=overwrite,
            probabilities=probabilities,
            devices=devices or "auto",
            progress=progress,
        ):
            typer.echo(f"{case}: {', '.join(str(file) for file in prediction.files)}")
            for line in prediction.lines:
                typer.echo(f"  {line}")
