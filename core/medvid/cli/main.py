"""The command `platform`: global options, commands that are imported on use, and errors in one line."""

import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from medvid.errors import MedvidError
from medvid.scarcity import as_resource_error
from medvid.started import node_name, speaks

COMMANDS = {
    "run": "Check, build, train, evaluate and report a task.",
    "study": "Run a task on folds, with seeds, in several configurations.",
    "slurm": "Submit a run to SLURM, or print its job script.",
    "evaluate": "Evaluate a run's weights in full.",
    "predict": "Predict new files with a run's weights, on the files' grid.",
    "embed": "Write the features that a backbone makes of files.",
    "pack": "Pack a run into one file that predicts elsewhere.",
    "compare": "Compare runs on the same cases: differences, intervals, tests.",
    "score": "Score masks against true masks, case by case.",
    "check": "Check a task without running it.",
    "profile": "Measure a model: size, latency, memory, where time goes.",
    "plan": "Look at a data set, and write a task that suits it.",
    "tasks": "List the recipes that come with medvid, and copy one.",
    "data": "Check a data set, divide it into folds, or re-encode videos.",
    "cache": "Show and prune the cache of prepared cases.",
    "plugins": "List, show, enable and write plugins.",
    "matrix": "Show which backbones, heads and data go together.",
    "schema": "Write the JSON Schema of task files, for editors.",
    "ui": "Open the runs in MLflow's UI, on this machine.",
    "sync": "Upload to MLflow any results of a run that it is missing.",
}
"""Command -> help. Each is the function, or the Typer `app`, of the module of its name in this package."""


class LazyGroup(TyperGroup):
    """Commands whose modules are imported when they are called, so that help and errors come at once."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, text in COMMANDS.items():
            self.add_command(TyperCommand(name, help=text, rich_markup_mode=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that the arguments begin with, and import it."""
        name, stub, rest = super().resolve_command(ctx, args)
        return name, _import_command(name) if name and stub else stub, rest


app = typer.Typer(cls=LazyGroup, add_completion=False, rich_markup_mode=None, no_args_is_help=True)


def _import_command(name: str) -> Any:
    module = importlib.import_module(f"medvid.cli.{name}")
    if hasattr(module, "app"):
        return typer.main.get_command(module.app)
    command = typer.Typer(add_completion=False, rich_markup_mode=None)
    command.command(name)(getattr(module, name))
    return typer.main.get_command(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"medvid {version('medvid')}")
        raise typer.Exit


@app.callback()
def platform(
    plugins: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Allow-list of plugins; default: plugins.toml here or above.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train, evaluate and compare models on medical images and videos."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: default: those of the process, which then ends with the command.

    Returns:
        The exit code: see `medvid.errors`; 1 for an error that medvid does not foresee.
    """
    given = _global_options_first(sys.argv[1:] if arguments is None else arguments)
    try:
        with _log_on_screen(), _interrupts_ignored_at_exit() if arguments is None else nullcontext():
            typer.main.get_command(app)(given, prog_name="platform")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:
        return _report(error, verbose="--verbose" in given)
    return 0


@contextmanager
def _interrupts_ignored_at_exit() -> Iterator[None]:
    """After the block, Ctrl-C does nothing: it would only interrupt the last output of the process."""
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _global_options_first(arguments: Sequence[str]) -> list[str]:
    """Allow --verbose and --plugins FILE after the command too, where people add them."""
    first, others = [], []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--verbose" or argument.startswith("--plugins="):
            first.append(argument)
        elif argument == "--plugins":
            first += [argument, *islice(remaining, 1)]
        else:
            others.append(argument)
    return first + others


class _Screen(logging.Handler):
    """Writes log messages to the current standard error, which a progress bar can replace."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr)
        except OSError:  # the reader of a pipe has left, which must not end a run
            self.handleError(record)


@contextmanager
def _log_on_screen() -> Iterator[None]:
    """Show what medvid logs, except for what the console shows anyway."""
    logger, screen = logging.getLogger("medvid"), _Screen(logging.INFO if speaks() else logging.ERROR)
    screen.addFilter(lambda record: record.name != "medvid.console")
    logger.addHandler(screen)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(screen)


def _report(error: Exception, *, verbose: bool) -> int:
    """Say what went wrong, as it is: no markup, no wrapping. Returns the exit code."""
    told = as_resource_error(error) or error
    if isinstance(told, MedvidError):
        place = "" if speaks() else f" of another process on {node_name()}"
        lines = [f"error[{told.kind}]{place}: {told}", *([f"hint: {told.hint}"] if told.hint else [])]
    else:
        lines = [f"error: {type(error).__name__}: {error}"]
        lines += [] if verbose else ["hint: re-run with --verbose for the traceback"]
    try:
        if verbose:
            traceback.print_exception(error)
        print(*lines, sep="\n", file=sys.stderr, flush=True)
        sys.stdout.flush()
    except OSError:  # the terminal is gone, which must not change the exit code
        _discard_output()
    return told.exit_code if isinstance(told, MedvidError) else 1


def _discard_output() -> None:
    """Discard what was not written yet; Python would try again at its end, and fail."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream:
            os.dup2(devnull, stream.fileno())
