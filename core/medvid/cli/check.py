"""`platform check`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import Overrides, plugins_file, stage_progress
from medvid.data.problems import raise_together
from medvid.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from medvid.config.task import Task
    from medvid.data.dataset import Dataset
    from medvid.plugin.discovery import PluginStatus
    from medvid.plugin.host import Host

SECONDS = 20
"""Time for which cases are opened, unless all are asked for."""
_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, less their integers, are spread evenly, however many there are."""


def check(
    context: typer.Context,
    task: Annotated[Path, typer.Argument(help="Task file, e.g. tasks/unetr_btcv.yaml.")],
    overrides: Overrides = None,
    sample: Annotated[bool, typer.Option("--sample", help="Check the task on its generated sample.")] = False,
    all_cases: Annotated[
        bool, typer.Option("--all", help=f"Open every case, not only as many as {SECONDS} s suffice for.")
    ] = False,
) -> None:
    """Check a task without running it: options, plugins, device, data and whether its parts fit together."""
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
        _check_cases(loaded, host, None if all_cases else SECONDS)
    _say("device", _device(loaded))


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


def _check_cases(task: "Task", host: "Host", seconds: float | None) -> None:
    """Index the cases that a run would use, and open them, first some of each split.

    Raises:
        DataError: a case cannot be used.
    """
    from medvid.data.splits import cases_of_run
    from medvid.machine import usable_cores

    spec, root = host.spec("dataset", task.dataset.name), task.dataset.root
    dataset: Dataset = host.load(spec, spec.target)(task.dataset)
    splits = cases_of_run(dataset, task.evaluation.split)
    _say("data", f"{root}: {', '.join(f'{len(ids)} {split}' for split, ids in splits.items())} cases")
    cases, opened, total = _spread(splits.values()), 0, 0
    with stage_progress() as progress:

        def advance(done: int, of: int) -> None:
            nonlocal opened, total
            opened, total = done, of
            progress("opening cases", done, of)

        errors = dataset.check(cases, advance, workers=usable_cores(), seconds=seconds)
    raise_together(list(errors.values()), f"of {opened} opened cases cannot be used")
    rest = "" if opened == total else "; for the others: --all, or platform data check"
    _say("data", f"{opened} of {total} cases were opened and can be used{rest}")


def _spread(splits: "Iterable[Sequence[str]]") -> list[str]:
    """All cases, each once, in such an order that the first ones are spread over each split."""
    ranked = {case: (number * _GOLDEN) % 1 if number else -1 for cases in splits for number, case in enumerate(cases)}
    return sorted(ranked, key=lambda case: ranked[case])


def _device(task: "Task") -> str:
    """What the run would be on.

    Raises:
        ResourceError: the task asks for devices that this machine does not have.
    """
    from medvid.training.device import describe_device, make_fabric

    return describe_device(make_fabric(task.train))
