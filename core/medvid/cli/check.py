"""`platform check`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import Overrides, plugins_file
from medvid.errors import DataError

if TYPE_CHECKING:
    from medvid.config.task import Task
    from medvid.plugin.discovery import PluginStatus
    from medvid.plugin.host import Host


def check(
    context: typer.Context,
    task: Annotated[Path, typer.Argument(help="Task file, e.g. tasks/unetr_btcv.yaml.")],
    overrides: Overrides = None,
    sample: Annotated[bool, typer.Option("--sample", help="Check the task on its generated sample.")] = False,
) -> None:
    """Check a task without running it: options, plugins, data and whether its parts fit together."""
    from medvid.config.compatibility import check_compatible, check_weights_exist
    from medvid.config.load import data_problem, load_task
    from medvid.plugin.host import make_host

    host = make_host(plugins_file(context))
    loaded = load_task(task, host, overrides=overrides or (), sample=sample)
    _say("config", f"{task} is valid: task {loaded.name!r}")
    _say("plugins", _origins(loaded, host))
    if host.allow_list.problem:
        _say("plugins", f"only builtin plugins are loaded: {host.allow_list.problem}", mark="!!")
    if problem := data_problem(loaded):
        raise DataError(problem, hint="set dataset.root to the folder of the data, or use the sample: --sample")
    try:
        for note in check_compatible(loaded, host):
            _say("parts", note)
        _say("parts", _fit(loaded))
        check_weights_exist(loaded.backbone)
    except DataError:  # a data set may have to be there to say what its labels are
        if not loaded.sample or loaded.dataset.root.exists():
            raise
        _say("parts", "can be checked once the sample is generated, by platform run", mark="--")
    if loaded.sample:
        _say("data", _sample(loaded, asked=sample))
    if loaded.dataset.root.exists():
        _say("data", _cases(loaded, host))


def _say(what: str, finding: str, mark: str = "ok") -> None:
    typer.echo(f"{what:<7} {mark}  {finding}")


def _origins(task: "Task", host: "Host") -> str:
    specs = (
        host.spec("dataset", task.dataset.name),
        host.spec("backbone", task.backbone.name),
        host.spec("head", task.head.name),
    )
    return ", ".join(f"{spec.kind} {spec.name} of {_origin(host.owner(spec))}" for spec in specs)


def _origin(owner: "PluginStatus") -> str:
    return f"{owner.distribution} {owner.version}" + (" (editable: not verified)" if owner.editable else "")


def _fit(task: "Task") -> str:
    given, target = task.dataset.input_info(), task.dataset.target_info()
    size = " x ".join(map(str, given.size))
    return f"{given.layout}s of {given.channels} x {size}, {target.task} of {len(target.labels)} labels"


def _sample(task: "Task", *, asked: bool) -> str:
    root = task.dataset.root
    reason = "as asked" if asked else "the data folder does not exist"
    return f"{reason}: the generated sample is used, {root}" + ("" if root.exists() else " (not generated yet)")


def _cases(task: "Task", host: "Host") -> str:
    """Index the cases that a run would use."""
    from medvid.data.splits import cases_of_run

    spec = host.spec("dataset", task.dataset.name)
    dataset = host.load(spec, spec.target)(task.dataset)
    cases = cases_of_run(dataset, task.evaluation.split)
    counts = (f"{len(ids)} {split}" for split, ids in cases.items())
    return f"{task.dataset.root}: {', '.join(counts)} cases"
