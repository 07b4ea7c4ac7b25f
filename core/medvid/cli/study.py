"""`platform study`: several runs of one task that are read together."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from medvid.cli.common import TASK_HELP, Overrides, aligned, plugins_file, stage_progress
from medvid.cli.compare import BaselineOption, GroupOption, MetricOption, Test
from medvid.cli.compare import show as show_comparison
from medvid.cli.run import run
from medvid.errors import ConfigError
from medvid.sentences import listed

if TYPE_CHECKING:
    from medvid.plugin.host import Host
    from medvid.studies.study import Study

START = "start"
"""The command that is meant where none is named."""


class _StudyGroup(TyperGroup):
    """Commands of which one need not be named: ``platform study TASK``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = [START, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_StudyGroup,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Run a task several times, on folds, with seeds or in several configurations, and read the runs together: "
    "platform study TASK --folds 5 --seeds 3, or platform study STUDY.yaml.",
)
FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the study, studies/<study>.")]


@app.command()
def start(
    context: typer.Context,
    given: Annotated[str, typer.Argument(metavar="TASK|STUDY.yaml", help=f"Study file; or: {TASK_HELP}")],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the study; default: that in its file, or the task's.")
    ] = None,
    folds: Annotated[int | None, typer.Option("--folds", min=2, help="Number of folds of a cross-validation.")] = None,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="REGEX", help="Finds in a case's name what stays together, such as a patient."),
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Number of seeds.")] = None,
    overrides: Overrides = None,
    demo: Annotated[bool, typer.Option("--demo", help="Run on the task's demo data.")] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the study's folder is, or is to be.")
    ] = Path("studies"),
    launcher: Annotated[
        str | None, typer.Option("--launcher", help="Where the cells run: local, slurm; platform plugins list.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option("--concurrency", min=1, help="Cells at a time.")] = None,
    show: Annotated[
        bool, typer.Option("--print", help="With slurm: write and print the job script, and submit nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and list the cells.")] = False,
) -> None:
    """Set up a study, or extend one, and run its cells. The word `start` can be left out."""
    from medvid.config.early import check_run
    from medvid.plugin.host import make_host
    from medvid.runs.pseudonyms import pseudonyms_of
    from medvid.studies.cells import cells_of
    from medvid.studies.load import read_study
    from medvid.studies.options import DEFAULT
    from medvid.studies.search.proposals import number_of_trials
    from medvid.studies.search.trials import own_values
    from medvid.studies.setup import resolved, set_up

    changes = {
        "study.name": name,
        "folds.count": folds,
        "folds.group": group,
        "study.seeds": seeds,
        "launcher.name": launcher,
        "launcher.concurrency": concurrency,
        "launcher.submit": False if show else None,
    }
    host = make_host(plugins_file(context))
    file = read_study(given, host, {key: value for key, value in changes.items() if value is not None})
    tasks = file.tasks(host, overrides or (), demo=demo)
    checked = {}
    for configuration, task in tasks.items():
        with pseudonyms_of(task):
            checked[configuration] = check_run(task, host)
    if dry_run and (search := file.options.search):
        own = own_values(tasks[DEFAULT].model_dump(mode="json"), search.space)
        trials = number_of_trials(search, own)
        typer.echo(f"{trials} trials by {search.method}, the first with the task's own values; nothing was written")
        return
    if dry_run:
        cells = list(cells_of(resolved(file.options, tasks), file.folds()))
        for number, one in enumerate(cells):
            typer.echo(f"{number}  {one.name}")
        typer.echo(f"{len(cells)} cells; nothing was written")
        return
    study = set_up(file, checked, host, output)
    _run(study, host, plugins_file(context))
    if show and study.folder.job.is_file():
        typer.echo(study.folder.job.read_text(), nl=False)


@app.command()
def resume(
    context: typer.Context,
    folder: FolderArgument,
    retry: Annotated[bool, typer.Option("--retry", help="Run the cells that have failed, too.")] = False,
    here: Annotated[
        bool, typer.Option("--here", help="One cell after the other on this machine, whatever the study's launcher.")
    ] = False,
) -> None:
    """Run what is left of a study. Several of these may run at once, on one machine or on many."""
    from medvid.plugin.host import make_host
    from medvid.studies.launcher_options import LocalOptions
    from medvid.studies.study import Study

    host = make_host(plugins_file(context))
    study = Study.find(folder, host)
    _run(study.launched_by(LocalOptions()) if here else study, host, plugins_file(context), retry=retry)


@app.command()
def status(
    context: typer.Context,
    folder: FolderArgument,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: the state of every cell.")] = False,
) -> None:
    """Show how far the cells of a study are."""
    from medvid.files import json_text
    from medvid.plugin.host import make_host
    from medvid.studies.search.search import summary_lines
    from medvid.studies.status import as_values, states, strangers, table
    from medvid.studies.study import Study

    study = Study.find(folder, make_host(plugins_file(context)))
    found = states(study)
    if as_json:
        typer.echo(json_text(as_values(study, found), indent=2))
        return
    for line in aligned(table(study, found)):
        typer.echo(line)
    for line in summary_lines(study.search) if study.options.search else ():
        typer.echo(line)
    if others := strangers(study, list(found)):
        typer.echo(f"not cells of the study: {listed(others)}")


@app.command()
def compare(
    context: typer.Context,
    folder: FolderArgument,
    metric: MetricOption = None,
    baseline: BaselineOption = None,
    test: Annotated[Test | None, typer.Option("--test", help="The paired test; default: the study's.")] = None,
    group: GroupOption = None,
) -> None:
    """Compare the configurations of a study, case by case, on what each has held out.

    Metric, baseline and test are by default those of the study's block `compare`.
    """
    from medvid.plugin.host import make_host
    from medvid.studies.reading import read_study_sides
    from medvid.studies.study import Study

    asked = Study.find(folder, make_host(plugins_file(context))).options.compare
    sides = read_study_sides(folder, plugins_file(context))
    show_comparison(sides, metric or asked.metric, baseline or asked.baseline, test or asked.test, group)


@app.command()
def best(context: typer.Context, folder: FolderArgument) -> None:
    """Name the best configuration of a study, how sure that is, and the runs by which the study predicts."""
    from medvid.cli.compare import lines_of
    from medvid.studies.compare import CURSE
    from medvid.studies.ensemble import best_of_study

    found = best_of_study(folder, plugins_file(context))
    typer.echo(f"best configuration: {found.name}")
    for one in found.runs:
        typer.echo(f"  {one}")
    if found.comparison:
        typer.echo("")
        for line in (*lines_of(found.comparison), CURSE):
            typer.echo(line)


@app.command()
def cell(
    context: typer.Context,
    folder: FolderArgument,
    number: Annotated[int, typer.Argument(help="Of the cell, counted from 0 as --dry-run lists them.")],
) -> None:
    """Run one cell of a study in this process, as the jobs of a cluster do; start it, or continue it."""
    from medvid.plugin.host import make_host
    from medvid.started import speaks
    from medvid.studies.report import report_end
    from medvid.studies.single import keeping_others_out
    from medvid.studies.status import states
    from medvid.studies.study import Study

    study = Study.find(folder, make_host(plugins_file(context)))
    cells = study.cells()
    if number not in range(len(cells)):
        raise ConfigError(f"{study.folder.path} has no cell {number}: it has {len(cells)}, counted from 0")
    with keeping_others_out(study.folder, cells[number]) as options:
        if options is None:
            typer.echo(f"{cells[number].name} is finished, or another process works on it")
            return
        run(context, **options)
    if speaks():
        report_end(study, states(study), ended=study.options.search is None)


def _run(study: "Study", host: "Host", plugins: Path | None, *, retry: bool = False) -> None:
    from medvid.studies.ready import make_ready
    from medvid.studies.run import run_study

    typer.echo(f"study {study.folder.path}")
    with stage_progress() as progress:
        make_ready(study, host, progress)
    run_study(study, host, plugins, retry=retry)
