"""`platform pack`."""

from pathlib import Path
from typing import Annotated

import typer

from medvid.cli.common import CheckpointOption, plugins_file

NOT_STATED = "not stated"
RESEARCH = "research; not a medical device, and not for decisions on patients"


def pack(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder, runs/<task>/<run>.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The zip file.")] = Path("model.zip"),
    checkpoint: CheckpointOption = "best",
    use: Annotated[str, typer.Option(help="What the model is meant for, for its card.")] = RESEARCH,
    licence: Annotated[str, typer.Option(help="Of the weights, e.g. CC-BY-4.0, for its card.")] = NOT_STATED,
) -> None:
    """Pack a run's weights, task and card into one file, which predicts elsewhere: platform predict model.zip FILE.

    Names of cases and paths stay here. Every member is kept by its hash, and none can be executed.
    """
    from medvid.packing.pack import pack as pack_run
    from medvid.runs.api import load_run

    card, digest = pack_run(
        load_run(run, plugins=plugins_file(context)), output, checkpoint=checkpoint, use=use, licence=licence
    )
    typer.echo(f"{output}: {card.model['backbone']} of step {card.step}, {output.stat().st_size / 2**20:.1f} MiB")
    typer.echo(f"sha256 {digest}")
    if licence == NOT_STATED:
        typer.echo("The card states no licence of the weights: --licence NAME does.")
