"""`platform plan`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medvid.cli.common import Overrides, plugins_file, stage_progress
from medvid.errors import ConfigError

if TYPE_CHECKING:
    from medvid.plugin.host import Host


def plan(
    context: typer.Context,
    data: Annotated[str, typer.Argument(help="Folder of the data, or a task file or recipe whose data set is taken.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Task file to write; default: on the screen.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(metavar="NAME", help="Backbone to plan for; default: the U-Net that nnU-Net plans.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(metavar="GB", min=0, help="Memory of the device; default: that of the preset.")
    ] = None,
    style: Annotated[
        Literal["nnunet", "medvid"] | None,
        typer.Option(help="Recipe: nnU-Net's, or medvid's; default: nnunet where nnU-Net plans the backbone."),
    ] = None,
    preset: Annotated[
        Literal["plain", "resenc_m", "resenc_l", "resenc_xl"],
        typer.Option(help="nnU-Net's planner: the network, and what it aims at (8, 8, 24, 40 GB)."),
    ] = "resenc_l",
    configuration: Annotated[
        Literal["2d", "3d_fullres", "3d_lowres"] | None,
        typer.Option(help="Of nnU-Net's plans; default: 3d_fullres, 2d where cases are single slices."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Optimizer steps, which the recipe is made for; default: as published."),
    ] = None,
    splits: Annotated[
        bool, typer.Option("--splits", help="Write the folds as splits_final.json into the data set's folder.")
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Look at a data set, and write a task that suits it, with the fact that decided each number.

    The plan is a task: edit it, then `platform run` it. It was checked before it is written.
    """
    from medvid.files import make_folder, write_text
    from medvid.planning.plan import make_plan
    from medvid.planning.request import request_for
    from medvid.plugin.host import make_host
    from medvid.plugin.specs import DatasetSpec

    if output is not None and output.exists():
        raise ConfigError(f"{output} exists and is not overwritten", hint="give another file: -o FILE")
    host = make_host(plugins_file(context))
    block = _dataset_block(data, host, overrides or [])
    spec = host.spec(DatasetSpec, block["name"])
    request = request_for(backbone, spec, style, memory, preset, configuration, steps, splits, host)
    with stage_progress() as progress:
        text = make_plan(block, request, host, overrides or (), lambda done, of: progress("looking at cases", done, of))
    if output is None:
        typer.echo(text, nl=False)
        return
    make_folder(output.absolute().parent)
    write_text(output, text)
    typer.echo(f"written to {output}; run it with: platform run {output}")


def _dataset_block(data: str, host: "Host", overrides: list[str]) -> dict[str, Any]:
    """The dataset block for a folder, or of a task."""
    from medvid.planning.find import dataset_of_task, find_dataset, is_task

    if is_task(data):
        return dataset_of_task(data, host, overrides)
    return find_dataset(Path(data), host)
