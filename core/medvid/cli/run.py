"""`platform run`."""

from pathlib import Path
from typing import Annotated

import typer

from medvid.cli.common import Overrides, plugins_file
from medvid.errors import ConfigError


def run(
    context: typer.Context,
    task: Annotated[Path | None, typer.Argument(help="Task file, e.g. tasks/unetr_btcv.yaml.")] = None,
    overrides: Overrides = None,
    sample: Annotated[bool, typer.Option("--sample", help="Run on the task's generated sample.")] = False,
    resume: Annotated[Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run folder.")] = None,
) -> None:
    """Check, build, train, evaluate and report a task; or go on with a run that was stopped."""
    if (task is None) == (resume is None):
        raise ConfigError("give either a task file or --resume RUN", hint="platform run tasks/unetr_btcv.yaml")
    if resume and (overrides or sample):
        raise ConfigError(
            "--set and --sample do not go with --resume: a resumed run must equal the uninterrupted one",
            hint="start a new run to change options: platform run TASK.yaml --set ...",
        )
    from medvid.runs import api

    if resume:
        api.resume(resume, plugins=plugins_file(context))
    elif task:
        api.run(task, overrides or (), sample=sample, plugins=plugins_file(context))
