"""`platform run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import TASK_HELP, Overrides, plugins_file
from medvid.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(
    context: typer.Context,
    task: Annotated[str | None, typer.Argument(help=TASK_HELP)] = None,
    overrides: Overrides = None,
    demo: Annotated[bool, typer.Option("--demo", help="Run on the task's demo data.")] = False,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Continue the run in this folder.")
    ] = None,
    extend: Annotated[
        Path | None,
        typer.Option(
            "--extend",
            metavar="RUN",
            help="Go on from a finished run with more steps, --set train.steps=N, in a new run folder.",
        ),
    ] = None,
) -> None:
    """Check, build, train, evaluate and report a task; or continue a stopped run, or a finished one with more steps."""
    if sum(given is not None for given in (task, resume, extend)) != 1:
        raise ConfigError("give a task, or --resume RUN, or --extend RUN", hint="platform run unetr_btcv")
    if resume and (overrides or demo):
        raise ConfigError(
            "--set and --demo cannot be combined with --resume: a resumed run must equal the uninterrupted one",
            hint="start a new run to change options: platform run TASK.yaml --set ...",
        )
    if resume:
        from medvid.runs import api

        api.resume(resume, plugins=plugins_file(context))
    elif extend:
        if demo:
            raise ConfigError("--demo cannot be combined with --extend: the data are those of the run")
        from medvid.runs import api

        api.extend(extend, overrides or (), plugins=plugins_file(context))
    elif task:
        _run(task, plugins_file(context), overrides or (), demo=demo)


def _run(given: str, plugins: Path | None, overrides: "Sequence[str]", *, demo: bool) -> None:
    """As `medvid.run`, but torch is imported only for a task that can be run."""
    from medvid.config.early import check_run
    from medvid.config.load import load_task
    from medvid.config.recipes import find_task
    from medvid.plugin.host import make_host
    from medvid.runs.pseudonyms import pseudonyms_of

    host, path = make_host(plugins), find_task(given)
    task = load_task(path, host, overrides=overrides, demo=demo)
    with pseudonyms_of(task):
        checked = check_run(task, host)
    from medvid.runs.execute import run_task

    run_task(checked, path.read_text())
