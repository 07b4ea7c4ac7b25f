"""`platform evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from medvid.cli.common import MIRRORED, CheckpointOption, MirrorOption, Overrides, plugins_file, runs_of_study


def evaluate(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder, runs/<task>/<run>; or a study.")],
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
    mirror: MirrorOption = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the results.")] = None,
) -> None:
    """Evaluate a run's weights in full, with its own or another protocol (--set evaluation.protocol=unetr).

    It scores the run's held-out cases, or all labelled cases of another folder (--data). A study is evaluated on the
    test split, by the folds of its best configuration with the mean of their probabilities.
    """
    from medvid.cli.common import stage_progress
    from medvid.runs import api
    from medvid.studies.folder import is_study_folder
    from medvid.tracking.console import show_evaluation

    of_study = is_study_folder(run)
    runs = runs_of_study(run, plugins_file(context)) if of_study else [run]
    found, *others = (api.load_run(one, plugins=plugins_file(context)) for one in runs)
    asked = [*([] if data or not of_study else ["evaluation.split=test"]), *([MIRRORED] if mirror else [])]
    with stage_progress() as progress:
        evaluation, folder = found.evaluate(
            checkpoint=checkpoint,
            overrides=[*asked, *(overrides or ())],
            data=data,
            trained=trained,
            output=output,
            others=others,
            average="probabilities" if others else None,
            home=run if of_study else None,
            progress=progress,
        )
    show_evaluation(evaluation)
    typer.echo(f"written to {folder}")
