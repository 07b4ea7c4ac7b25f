"""`platform run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import TASK_HELP, Overrides, plugins_file
from medvid.errors import ConfigError
from medvid.signals import ended_by_signals
from medvid.started import is_one_of_several, speaks

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
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="RUN",
            help="Run in this folder: start there, or continue what is there; nothing is done if it is finished.",
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
    if folder and not task:
        raise ConfigError("--folder is for a task: it cannot be combined with --resume or --extend")
    with ended_by_signals(speaks):  # also while torch is imported
        if resume:
            from medvid.runs import api

            api.resume(resume, plugins=plugins_file(context))
        elif extend:
            if demo:
                raise ConfigError("--demo cannot be combined with --extend: the data are those of the run")
            from medvid.runs import api

            api.extend(extend, overrides or (), plugins=plugins_file(context))
        elif task:
            _run(task, plugins_file(context), overrides or (), folder, demo=demo)


def _run(name: str, plugins: Path | None, overrides: "Sequence[str]", folder: Path | None, *, demo: bool) -> None:
    """As `medvid.run`, but torch is imported only for a task that can be run."""
    from medvid.config.early import check_run
    from medvid.config.load import load_task
    from medvid.config.recipes import find_task
    from medvid.plugin.host import make_host
    from medvid.runs.given_folder import GivenFolder, finished_note
    from medvid.runs.pseudonyms import pseudonyms_of

    host, path = make_host(plugins), find_task(name)
    task = load_task(path, host, overrides=overrides, demo=demo)
    given = GivenFolder.of(folder, task, host) if folder else None
    task = given.asked if given else task
    with pseudonyms_of(task):
        checked = check_run(task, host)
    if given and not is_one_of_several() and given.state(checked.task) == "finished":
        typer.echo(finished_note(given.folder))
        return
    from medvid.runs.execute import run_task

    run_task(checked, path.read_text(), given)
