"""Options that several commands share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override an option, e.g. train.steps=100; may be repeated."),
]
CheckpointOption = Annotated[str, typer.Option("--checkpoint", help="best, last, or the number of a saved step.")]


def plugins_file(context: typer.Context) -> Path | None:
    """The global option --plugins."""
    path: Path | None = context.find_root().params.get("plugins")
    return path


@contextmanager
def stage_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar per stage on standard error, for commands that run outside of a run."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    bars: dict[str, TaskID] = {}
    with Progress(console=Console(stderr=True)) as progress:

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(stage, total=total)
            progress.update(bars[stage], completed=done, total=total)

        yield advance
