"""`platform slurm`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import TASK_HELP, Overrides, plugins_file
from medvid.slurm import Resources, job_script, submit

if TYPE_CHECKING:
    from medvid.config.task import Task


def slurm(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help=TASK_HELP)],
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="RUN", help="Run folder; default: <output>/<task>/<backbone>.")
    ] = None,
    overrides: Overrides = None,
    demo: Annotated[bool, typer.Option("--demo", help="Run on the task's demo data.")] = False,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    gpus_per_node: Annotated[int, typer.Option(min=0, help="GPUs, and processes, of each; 0: one on the CPU.")] = 1,
    time: Annotated[str, typer.Option(help="Longest duration of a job, which is then queued again.")] = "24:00:00",
    partition: Annotated[str | None, typer.Option(help="Partition of the cluster.")] = None,
    extra: Annotated[
        list[str] | None,
        typer.Option(metavar="OPTION", help="Option of sbatch, --extra=--account=med; can be repeated."),
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Print the job script, and submit nothing.")] = False,
) -> None:
    """Submit a run to SLURM, as a job that is queued again and goes on until the run is finished."""
    from medvid.config.load import load_task
    from medvid.config.recipes import find_task
    from medvid.plugin.host import make_host

    path = find_task(task)
    loaded = load_task(path, make_host(plugins_file(context)), overrides=overrides or (), demo=demo)
    place = folder or loaded.output / loaded.name / f"{loaded.backbone.name}-s{loaded.seed}"
    resources = Resources(
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        cpus_per_task=loaded.train.workers + 2,
        time=time,
        partition=partition,
        extra=tuple(extra or ()),
    )
    words = ["platform", "run", task, "--folder", str(place), *(["--demo"] if demo else [])]
    given = [*(overrides or ()), *_devices(loaded, resources)]
    if plugins := plugins_file(context):
        words += ["--plugins", str(plugins)]
    command = shlex.join([*words, *(word for override in given for word in ("--set", override))])
    log = f"{place.parent}/{place.name}-%j.out"
    script = job_script(command, resources, name=loaded.name, log=log, notes=_notes(loaded, resources))
    if show:
        typer.echo(script, nl=False)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)  # SLURM makes no folders for its logs
        typer.echo(submit(script))


def _devices(task: "Task", resources: Resources) -> list[str]:
    """An override for a task that would have another number of processes."""
    return [] if task.train.devices in ("auto", resources.processes) else ["train.devices=auto"]


def _notes(task: "Task", resources: Resources) -> tuple[str, ...]:
    train = task.train
    step = train.batch_size * train.accumulate * resources.processes
    parts = f"{resources.processes} processes x batch_size {train.batch_size}"
    parts += f" x accumulate {train.accumulate}" if train.accumulate > 1 else ""
    return (f"{step} cases per step: {parts}.",)
