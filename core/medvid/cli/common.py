"""Options that several commands share."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override an option, e.g. train.steps=100; can be repeated."),
]
TASK_HELP = "Task file, or the name of a recipe (platform tasks)."
CheckpointOption = Annotated[str, typer.Option("--checkpoint", help="best, last, or the number of a saved step.")]

MirrorOption = Annotated[
    bool, typer.Option("--mirror", help="Average over the mirror images that the training had: evaluation.mirror.")
]
MIRRORED = "evaluation.mirror=trained"


def plugins_file(context: typer.Context) -> Path | None:
    """The global option --plugins."""
    path: Path | None = context.find_root().params.get("plugins")
    return path


def runs_of_study(study: Path, plugins: Path | None) -> Sequence[Path]:
    """The run folders that predict for a study."""
    from medvid.studies.ensemble import runs_of

    return runs_of(study, plugins)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows of a table as lines, with each column as wide as its longest text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


@contextmanager
def stage_progress() -> Iterator[Callable[[str, int, int], None]]:
    """For commands outside a run: the progress of each stage on standard error, with its rate and the time left.

    Bars on a terminal, otherwise a line now and then.
    """
    if sys.stderr.isatty():
        with _bars() as advance:
            yield advance
        return
    from medvid.tracking.screen import Pace

    paces: dict[str, Pace] = {}

    def say(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage not in paces:
            paces[stage] = Pace(done, now)
        elif paces[stage].due(done, total, now):
            parts = (f"{stage} {done}/{total}", paces[stage].rate(), paces[stage].remaining())
            print("  ".join(part for part in parts if part), file=sys.stderr)

    yield say


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from medvid.tracking.screen import Pace

    bars: dict[str, tuple[TaskID, Pace]] = {}
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    # A command's output goes to standard output, even a file, and not to standard error with the bars.
    shown_together = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=shown_together) as progress:

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                # The time of earlier work is unknown.
                pace = Pace(done, time.monotonic())
                bars[stage] = progress.add_task(stage, total=total, completed=done, rate=""), pace
                return
            bar, pace = bars[stage]
            pace.due(done, total, time.monotonic())
            progress.update(bar, completed=done, total=total, rate=pace.rate())

        yield advance
