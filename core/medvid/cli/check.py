"""`platform check`."""

from typing import TYPE_CHECKING, Annotated

import typer

from medvid.cli.common import TASK_HELP, Overrides, plugins_file, stage_progress
from medvid.data.problems import raise_together
from medvid.errors import DataError
from medvid.plugin.info import described

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from medvid.config.checked import CheckedTask
    from medvid.config.task import Task
    from medvid.data.dataset import Dataset
    from medvid.plugin.discovery import PluginStatus
    from medvid.plugin.host import Host

SECONDS = 20
"""Time for which cases are opened, without --all."""
_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, less their integers, are spread evenly, however many there are."""


def check(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help=TASK_HELP)],
    overrides: Overrides = None,
    demo: Annotated[bool, typer.Option("--demo", help="Check the task on its demo data.")] = False,
    all_cases: Annotated[
        bool, typer.Option("--all", help=f"Open every case, not only those that {SECONDS} s suffice for.")
    ] = False,
) -> None:
    """Check a task without running it: options, plugins, device, data and whether its parts fit together."""
    from medvid.config.early import check_data
    from medvid.config.load import load_task
    from medvid.config.recipes import find_task
    from medvid.plugin.host import make_host

    host = make_host(plugins_file(context))
    loaded = load_task(find_task(task), host, overrides=overrides or (), demo=demo)
    _say("config", f"{task} is valid: task {loaded.name!r}")
    _say("plugins", _origins(loaded, host))
    if host.allow_list.problem:
        _say("plugins", f"only builtin plugins are loaded: {host.allow_list.problem}", mark="!!")
    check_data(loaded)
    checked = _check_parts(loaded, host)
    if loaded.demo:
        _say("data", _demo(loaded, asked=demo))
    if loaded.dataset.root.exists():
        _check_cases(loaded, host, None if all_cases else SECONDS)
    _check_device(loaded, checked)


def _say(what: str, finding: str, mark: str = "ok") -> None:
    typer.echo(f"{what:<7} {mark}  {finding}")


def _origins(task: "Task", host: "Host") -> str:
    from medvid.config.components import options_in

    specs = map(host.spec_of, options_in(task))
    return ", ".join(f"{spec.kind} {spec.name} of {_origin(host.owner(spec))}" for spec in specs)


def _origin(owner: "PluginStatus") -> str:
    return f"{owner.distribution} {owner.version}" + (" (editable: not verified)" if owner.editable else "")


def _check_parts(task: "Task", host: "Host") -> "CheckedTask | None":
    """Whether the parts fit together; None where only demo data that are not generated yet could say so."""
    from medvid.config.checked import check_task
    from medvid.config.compatibility import check_weights_exist

    try:
        checked = check_task(task, host)
    except DataError:  # a data set may have to be there to say what its labels are
        if not task.demo or task.dataset.root.exists():
            raise
        _say("parts", "can be checked once platform run has generated the demo data", mark="--")
        return None
    for note in (*checked.notes, _fit(checked)):
        _say("parts", note)
    check_weights_exist(task)
    return checked


def _fit(checked: "CheckedTask") -> str:
    given, target = checked.input_info, checked.target_info
    size, annotation = " x ".join(map(str, given.size)), described(target.where, target.what)
    return f"{given.axes}s of {given.channels} x {size}, {annotation}, {len(target.names)} in all"


def _demo(task: "Task", *, asked: bool) -> str:
    root = task.dataset.root
    reason = "as asked" if asked else "the data folder does not exist"
    return f"{reason}: the demo data is used, {root}" + ("" if root.exists() else " (not generated yet)")


def _check_cases(task: "Task", host: "Host", seconds: float | None) -> None:
    """Index the cases that a run would use, and open them, first some of each split.

    Raises:
        DataError: a case cannot be used.
    """
    from medvid.data.splits import cases_of_run
    from medvid.machine import usable_cores

    root = task.dataset.root
    dataset: Dataset = host.build(task.dataset)
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


def _check_device(task: "Task", checked: "CheckedTask | None") -> None:
    """Say what the run would be on, and, if the parts are known to fit together, what it may take of its memory.

    Raises:
        ResourceError: the task asks for devices that this machine does not have.
    """
    from medvid.training.device import describe_device, make_fabric

    fabric = make_fabric(task.train)
    _say("device", describe_device(fabric))
    if checked is None:
        return
    from medvid.devices.free_memory import free_memory
    from medvid.devices.precision import cudnn_note
    from medvid.models.build import build_model
    from medvid.training.footprint import estimate, gibibytes, shortage

    model, free = build_model(checked), free_memory(fabric.device)
    if note := cudnn_note(model, fabric):
        _say("device", note, "!!")
    if footprint := estimate(checked, model, fabric):
        advice = shortage(footprint, task, model, fabric, free)
        _say(
            "memory",
            f"{footprint}, {gibibytes(free)} free" + (f": {advice}" if advice else ""),
            "!!" if advice else "ok",
        )
    else:
        _say("memory", "cannot be estimated for this model", mark="--")
