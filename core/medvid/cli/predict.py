"""`platform predict`."""

from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal

import typer

from medvid.cli.common import (
    MIRRORED,
    CheckpointOption,
    MirrorOption,
    Overrides,
    plugins_file,
    runs_of_study,
    stage_progress,
)
from medvid.errors import ConfigError


def predict(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN [RUN ...]", help="Run folder or several, study, packed model.")],
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
    average: Annotated[
        Literal["logits", "probabilities"] | None,
        typer.Option(help="Of several runs; default: logits of models of the same kind, else probabilities."),
    ] = None,
    mirror: MirrorOption = False,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Devices that share the files; default: all GPUs, or one CPU process.")
    ] = None,
) -> None:
    """Predict new files with a run's weights: label maps on the files' own grid, or the five likeliest classes.

    The answers of several runs, such as those of all folds, are averaged. Called again, it continues where it stopped:
    predictions of the same weights and files are kept. A study predicts by the folds of its best configuration, with
    the mean of their probabilities.
    """
    from medvid.packing.archive import is_archive, unpacked
    from medvid.runs import api
    from medvid.runs.folder import is_run_folder
    from medvid.studies.folder import is_study_folder

    asked = [*([f"dataset.answers={answers}"] if answers else []), *([MIRRORED] if mirror else [])]
    packed = context.with_resource(unpacked(run)) if is_archive(run) else None
    others = list(takewhile(is_run_folder, inputs))
    of_study = is_study_folder(run)
    if of_study and others:
        raise ConfigError("a study predicts alone", hint="name its runs instead, to average them with others")
    runs = runs_of_study(run, plugins_file(context)) if of_study else [packed or run, *others]
    found, *more = (api.load_run(one, plugins=plugins_file(context)) for one in runs)
    if len(others) == len(inputs):
        raise ConfigError("there are only run folders, and nothing to predict", hint="name files or folders of them")
    with stage_progress() as progress:
        for case, prediction in found.predict(
            inputs[len(others) :],
            output,
            checkpoint=checkpoint,
            overrides=[*(overrides or ()), *asked],
            overwrite=overwrite,
            probabilities=probabilities,
            devices=devices or "auto",
            others=more,
            average=average or ("probabilities" if of_study and more else None),
            progress=progress,
        ):
            typer.echo(f"{case}: {', '.join(str(file) for file in prediction.files)}")
            for line in prediction.lines:
                typer.echo(f"  {line}")
