"""`platform embed`."""

from pathlib import Path
from typing import Annotated

import typer

from medvid.cli.common import CheckpointOption, Overrides, plugins_file, stage_progress


def embed(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="RUN", help="Run folder; or a task whose backbone names published weights.")
    ],
    inputs: Annotated[list[Path], typer.Argument(help="Files or folders.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for a file per case; or one file for all, .npz.")
    ] = Path("features.npz"),
    every: Annotated[
        float | None,
        typer.Option(min=0.001, help="Seconds between clips along a video. Default: one embedding per file or frame."),
    ] = None,
    checkpoint: CheckpointOption = "best",
    overrides: Overrides = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Embed existing ones again.")] = False,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Devices that share the files; default: all GPUs, or one CPU process.")
    ] = None,
) -> None:
    """Write the features that a backbone makes of files, as NumPy arrays: frozen features, or to localise actions.

    A task of whole cases gives one vector per file (the mean of its views), or one for each of the clips along a video
    (--every); a task of frames gives one per frame. Called again, it continues where it stopped.
    """
    from medvid.runs.embed import embed as write_features

    with stage_progress() as progress:
        for case, written in write_features(
            source,
            inputs,
            output,
            every=every,
            checkpoint=checkpoint,
            overrides=overrides or (),
            overwrite=overwrite,
            devices=devices or "auto",
            plugins=plugins_file(context),
            progress=progress,
        ):
            typer.echo(f"{case}: {', '.join(written.lines)}")
    typer.echo(str(output))
