"""`platform run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import Overrides, plugins_file
from medvid.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    if resume:
        from medvid.runs import api

        api.resume(resume, plugins=plugins_file(context))
    elif task:
        _run(task, plugins_file(context), overrides or (), sample=sample)


def _run(path: Path, plugins: Path | None, overrides: "Sequence[str]", *, sample: bool) -> None:
    """As `medvid.run`, but torch is imported only for a task that can be run."""
    from medvid.config.early import refuse_early
    from medvid.config.load import load_task
    from medvid.plugin.host import make_host
    from medvid.runs.pseudonyms import pseudonyms_of

    host = make_host(plugins)
    task = load_task(path, host, overrides=overrides, sample=sample)
    with pseudonyms_of(task):
        refuse_early(task, host)
    from medvid.runs.execute import run_task

    run_task(task, host, path.read_text())
