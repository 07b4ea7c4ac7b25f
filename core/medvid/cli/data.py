"""`platform data`: check and prepare."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import Overrides, plugins_file, stage_progress
from medvid.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medvid.config.task import Task
    from medvid.data.videos import VideoDataset
    from medvid.plugin.host import Host

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Workers = Annotated[int | None, typer.Option(help="Processes; default: one per core.", min=1)]


@app.callback()
def data() -> None:
    """Check a data set of videos, or prepare it for fast reading."""


@app.command()
def check(
    context: typer.Context,
    task: Annotated[Path, typer.Argument(help="Task file; its data set is checked.")],
    overrides: Overrides = None,
    split: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this split; may be repeated. Default: all.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Decode all frames, not only the first and last.")] = False,
    workers: Workers = None,
) -> None:
    """Decode every video of a task's data set and list those that cannot be read. Writes nothing."""
    from medvid.config.load import load_task
    from medvid.data.processes import default_workers
    from medvid.data.video_check import check_videos
    from medvid.plugin.host import make_host

    host = make_host(plugins_file(context))
    dataset = _open_videos(load_task(task, host, overrides=overrides or ()), host)
    paths = {case: dataset.clip(case).path for case in _listed(dataset, split)}
    with stage_progress() as progress:
        reasons = check_videos(
            paths,
            dataset.options.reader,
            deep=deep,
            workers=workers or default_workers(),
            progress=lambda done, total: progress("checking", done, total),
        )
    _report(reasons)
    if reasons:
        raise DataError(
            f"{len(reasons)} of {len(paths)} videos in {dataset.options.root} cannot be read",
            hint="replace them, or take them out of the lists or folders",
        )
    what = "decoded in full" if deep else "decoded at their beginning and end"
    typer.echo(f"all {len(paths)} videos in {dataset.options.root} can be read: {what}")


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="Folder of videos, with lists or folders of classes.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DEST", help="Folder for the new videos.")],
    side: Annotated[int, typer.Option(help="Length of the shorter side in pixels.", min=16)] = 256,
    gop: Annotated[int, typer.Option(help="Frames from one key frame to the next.", min=1)] = 12,
    crf: Annotated[int, typer.Option(help="Quality of H.264, from 0 (lossless) to 51.", min=0, max=51)] = 23,
    workers: Workers = None,
) -> None:
    """Re-encode a folder of videos for fast reading. Run again, it goes on where it stopped."""
    from medvid.data.processes import default_workers
    from medvid.data.reencode import Encoding, reencode

    with stage_progress() as progress:
        reasons = reencode(
            source,
            output,
            Encoding(side, gop, crf),
            workers or default_workers(),
            lambda done, total: progress("re-encoding", done, total),
        )
    _report(reasons)
    if reasons:
        raise DataError(
            f"{len(reasons)} videos in {source} could not be re-encoded; all others are in {output}",
            hint="replace them and run again; or train without them: --set dataset.missing=drop",
        )
    typer.echo(f"all videos of {source} are in {output}; use it as dataset.root")


def _open_videos(task: "Task", host: "Host") -> "VideoDataset":
    """The data set of a task, if it is there and one of videos."""
    from medvid.config.load import data_problem
    from medvid.data.videos import VideoDataset

    problem = data_problem(task)
    if task.sample or problem:
        raise DataError(
            problem or "the data folder does not exist, the task would run on its generated sample",
            hint="set dataset.root to the folder of the data",
        )
    spec = host.spec("dataset", task.dataset.name)
    dataset = host.load(spec, spec.target)(task.dataset)
    if not isinstance(dataset, VideoDataset):
        raise ConfigError(
            f"{task.dataset.name!r} is no data set of videos",
            hint="`platform run` reads every file of other data sets before it trains",
        )
    return dataset


def _listed(dataset: "VideoDataset", splits: list[str] | None) -> tuple[str, ...]:
    """Names of the clips of some splits, there or not, each once."""
    unknown = [name for name in splits or () if name not in dataset.splits]
    if unknown:
        raise ConfigError(f"there is no split {unknown[0]!r}", hint=f"there are: {', '.join(dataset.splits)}")
    return tuple(dict.fromkeys(case for name in splits or dataset.splits for case in dataset.splits[name]))


def _report(reasons: "Mapping[str, str]") -> None:
    for name, reason in reasons.items():
        typer.echo(f"{name}: {reason}")
