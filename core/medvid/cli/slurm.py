"""`platform slurm`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import TASK_HELP, Overrides, plugins_file
from medvid.errors import ConfigError
from medvid.slurm import Resources, job_script, submit
from medvid.studies.folder import is_study_folder
from medvid.studies.launcher_options import SlurmOptions

if TYPE_CHECKING:
    from medvid.config.task import Task


def slurm(
    context: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK|STUDY", help=f"{TASK_HELP} Or the folder of a study.")],
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
    """Submit a run to SLURM, as a job that is queued again and goes on until the run is finished.

    Of a study, what is left of it is submitted, as an array with a job for each cell; of a search, workers.
    """
    from medvid.config.load import load_task
    from medvid.config.recipes import find_task
    from medvid.plugin.host import make_host

    if is_study_folder(Path(task)):
        if overrides or demo or folder:
            raise ConfigError(
                "--set, --demo and --folder are for tasks: the cells of a study have what it was set up with",
                hint="change them in a new study: platform study TASK --name NAME --set ...",
            )
        options = SlurmOptions(
            nodes=nodes, gpus_per_node=gpus_per_node, time=time, partition=partition, extra=tuple(extra or ()),
            submit=not show,
        )  # fmt: skip
        _submit_study(Path(task), options, plugins_file(context))
        return
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


def _submit_study(path: Path, options: SlurmOptions, plugins: Path | None) -> None:
    """Hand what is left of a study to SLURM, whatever its own launcher."""
    from medvid.cli.common import stage_progress
    from medvid.plugin.host import make_host
    from medvid.studies.ready import make_ready
    from medvid.studies.run import run_study
    from medvid.studies.study import Study

    host = make_host(plugins)
    study = Study.find(path, host)
    with stage_progress() as progress:
        make_ready(study, host, progress)
    run_study(study.launched_by(options), host, plugins)
    if not options.submit and study.folder.job.is_file():
        typer.echo(study.folder.job.read_text(), nl=False)


def _devices(task: "Task", resources: Resources) -> list[str]:
    """An override for a task that would have another number of processes."""
    return [] if task.train.devices in ("auto", resources.processes) else ["train.devices=auto"]


def _notes(task: "Task", resources: Resources) -> tuple[str, ...]:
    train = task.train
    step = train.batch_size * train.accumulate * resources.processes
    parts = f"{resources.processes} processes x batch_size {train.batch_size}"
    parts += f" x accumulate {train.accumulate}" if train.accumulate > 1 else ""
    return (f"{step} cases per step: {parts}.",)
