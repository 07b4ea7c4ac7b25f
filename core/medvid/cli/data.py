"""`platform data`: check, splits and reencode."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import TASK_HELP, Overrides, plugins_file, stage_progress
from medvid.cli.data_splits import open_dataset, splits
from medvid.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medvid.data.dataset import Dataset

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Workers = Annotated[int | None, typer.Option(help="Processes; default: one per core that this process may use.", min=1)]


app.command()(splits)


@app.callback()
def data() -> None:
    """Check a data set, divide it into folds, or re-encode videos."""


@app.command()
def check(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help=f"{TASK_HELP} Its data set is checked.")],
    overrides: Overrides = None,
    split: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this split; can be repeated. Default: all.")
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Decode all frames of videos, not only the first and last.")
    ] = False,
    workers: Workers = None,
) -> None:
    """Open every case of a task's data set and list those that cannot be used, with the reasons.

    For videos it records hashes of the files in the cache, so that a run notices changes.
    """
    from medvid.machine import usable_cores
    from medvid.plugin.host import make_host

    dataset = open_dataset(task, overrides, make_host(plugins_file(context)))
    cases, root, count = _listed(dataset, split), dataset.options.root, 0
    with stage_progress() as progress:

        def advance(done: int, total: int) -> None:
            nonlocal count
            count = total
            progress("checking", done, total)

        errors = dataset.check(cases, advance, deep=deep, workers=workers or usable_cores())
        good = [case for case in cases if case not in errors]
        dataset.record(good, lambda done, total: progress("hashing files", done, total))
    for error in errors.values():
        typer.echo(str(error))
    if errors:
        raise DataError(
            f"{len(errors)} of {count} cases in {root} cannot be used",
            hint="repair or replace them, or take them out of the lists or folders",
        )
    more = f"; --deep also {dataset.deep_check}" if dataset.deep_check and not deep else ""
    typer.echo(f"all {count} cases in {root} can be used{more}")


@app.command("reencode")
def reencode_videos(
    source: Annotated[Path, typer.Argument(help="Folder of videos, with lists or folders of classes.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DEST", help="Folder for the new videos.")],
    side: Annotated[int, typer.Option(help="Length of the shorter side in pixels.", min=16)] = 256,
    gop: Annotated[int, typer.Option(help="Frames from one key frame to the next.", min=1)] = 12,
    crf: Annotated[int, typer.Option(help="Quality of H.264, from 0 (lossless) to 51.", min=0, max=51)] = 23,
    workers: Workers = None,
) -> None:
    """Re-encode a folder of videos for fast reading. Run again, it continues where it stopped."""
    from medvid.data.videos.reencode import Encoding, reencode
    from medvid.machine import usable_cores

    with stage_progress() as progress:
        reasons = reencode(
            source,
            output,
            Encoding(side, gop, crf),
            workers or usable_cores(),
            lambda done, total: progress("re-encoding", done, total),
        )
    _report(reasons)
    if reasons:
        raise DataError(
            f"{len(reasons)} videos in {source} could not be re-encoded; all others are in {output}",
            hint="replace them and run again; or train without them: --set dataset.missing=drop",
        )
    typer.echo(f"all videos of {source} are in {output}; use it as dataset.root")


def _listed(dataset: "Dataset", splits: list[str] | None) -> tuple[str, ...]:
    """Names of the cases of some splits, with or without files, each once."""
    unknown = [name for name in splits or () if name not in dataset.splits]
    if unknown:
        raise ConfigError(f"there is no split {unknown[0]!r}", hint=f"there are: {', '.join(dataset.splits)}")
    return tuple(dict.fromkeys(case for name in splits or dataset.splits for case in dataset.splits[name]))


def _report(reasons: "Mapping[str, str]") -> None:
    from medvid.sentences import shown_name

    for name, reason in reasons.items():
        typer.echo(f"{shown_name(name)}: {reason}")
