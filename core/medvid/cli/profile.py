"""`platform profile`."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medvid.cli.common import TASK_HELP, Overrides, aligned, plugins_file, stage_progress
from medvid.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medvid.config.checked import CheckedTask
    from medvid.config.task import Task
    from medvid.runs.folder import RunFolder


def profile(
    context: typer.Context,
    tasks: Annotated[list[str], typer.Argument(metavar="TASK|RUN ...", help=f"{TASK_HELP} Or a run folder.")],
    overrides: Overrides = None,
    demo: Annotated[bool, typer.Option("--demo", help="Profile the task on its demo data.")] = False,
    counts: Annotated[
        bool, typer.Option("--counts", help="Only count parameters and multiply-adds: a row per task; no case is read.")
    ] = False,
    steps: Annotated[int, typer.Option(min=0, help="Training steps that are measured; 0: inference only.")] = 20,
    seconds: Annotated[float, typer.Option(min=0.0, help="For each measurement of inference.")] = 3.0,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Also write JSON.")] = None,
) -> None:
    """Count and measure a model on this machine: size, latency, memory, and where the time of its training goes.

    Of a run it also says where the time of that run went. Nothing is trained to be kept.
    """
    from medvid.files import write_json

    loaded = [_load(each, plugins_file(context), overrides or (), demo=demo) for each in tasks]
    if counts:
        found: Any = _count(tasks, [checked for checked, _ in loaded])
    elif len(loaded) == 1:
        ((checked, run),) = loaded
        found = _measure(checked, run, steps, seconds)
    else:
        raise ConfigError(
            "several tasks are measured one by one, as they would disturb each other",
            hint="give one, or --counts for a table of sizes",
        )
    if output:
        write_json(output, found)
        typer.echo(f"written to {output}")


def _load(
    name: str, plugins: Path | None, overrides: "Sequence[str]", *, demo: bool
) -> "tuple[CheckedTask, RunFolder | None]":
    """A checked task, and the folder if it is that of a run."""
    from medvid.config.checked import check_task
    from medvid.config.early import check_again, check_run
    from medvid.config.load import load_task
    from medvid.config.recipes import find_task
    from medvid.plugin.host import make_host
    from medvid.runs.folder import RunFolder, is_run_folder

    if is_run_folder(Path(name)):
        from medvid.runs.api import load_run

        run = load_run(name, plugins=plugins)
        return check_again(_on_one_device(run.task(overrides)), run.host), RunFolder.find(Path(name))
    host = make_host(plugins)
    task = _on_one_device(load_task(find_task(name), host, overrides=overrides, demo=demo))
    return (check_run(task, host) if task.demo else check_task(task, host)), None


def _on_one_device(task: "Task") -> "Task":
    return task.model_copy(update={"train": task.train.model_copy(update={"devices": 1, "strategy": "auto"})})


def _count(names: "Sequence[str]", tasks: "Sequence[CheckedTask]") -> "list[dict[str, Any]]":
    import torch

    from medvid.models.build import build_model
    from medvid.profiling.words import large
    from medvid.runs.short_profile import size_of

    found, rows = [], [("task", "backbone", "head", "input", "parameters", "multiply-adds")]
    for name, checked in zip(names, tasks, strict=True):
        with torch.device("meta"):  # nothing is initialised
            model = build_model(checked)
        size, task = size_of(model, checked.input_info), checked.task
        found.append({"task": name, "backbone": task.backbone.name, "head": task.head.name, **size})
        multiply_adds = "-" if size["multiply_adds"] is None else large(size["multiply_adds"])
        one = " x ".join(map(str, size["input"]))
        rows.append((name, task.backbone.name, task.head.name, one, large(size["parameters"]), multiply_adds))
    for line in aligned(rows):
        typer.echo(line)
    return found


def _measure(checked: "CheckedTask", run: "RunFolder | None", steps: int, seconds: float) -> "dict[str, Any]":
    from medvid.profiling.profile import profile_task
    from medvid.profiling.words import rows_of, share_words
    from medvid.runs.short_profile import time_of_run

    with stage_progress() as progress, tempfile.TemporaryDirectory() as folder:
        profile = profile_task(checked, Path(folder), seconds, steps, progress)
    rows, of_run = [*rows_of(profile)], time_of_run(run) if run else {}
    if of_run.get("shares"):
        rows.append(("time of the run", f"{of_run['seconds_per_step']:.3g} s a step; {share_words(of_run['shares'])}"))
    for line in aligned(rows):
        typer.echo(line)
    return profile.as_json() | ({"run": of_run} if of_run else {})
