"""The console, a builtin plugin on the lifecycle hooks; what it shows is in `medvid.tracking.screen`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medvid.plugin.events import Evaluation, RunInfo, RunResult
from medvid.plugin.markers import hookimpl

if TYPE_CHECKING:
    from medvid.tracking.screen import Screen

_screens: dict[Path, "Screen"] = {}


def show_evaluation(evaluation: Evaluation) -> None:
    """Show the results of an evaluation outside a run."""
    from medvid.tracking import screen

    screen.show_evaluation(evaluation, screen.make_console())


@hookimpl
def medvid_run_configured(run: RunInfo) -> None:
    """Announce the run."""
    from medvid.tracking.screen import Screen, make_console

    _screens[run.folder] = Screen(run, make_console())
    _screens[run.folder].begin()


@hookimpl
def medvid_progress(run: RunInfo, stage: str, done: int, total: int, values: Mapping[str, float]) -> None:
    """Move the bar of the stage."""
    _screens[run.folder].progress(stage, done, total, values)


@hookimpl
def medvid_checkpoint_saved(run: RunInfo, step: int, is_best: bool) -> None:
    """Announce the best checkpoint so far."""
    _screens[run.folder].checkpoint(step, is_best)


@hookimpl
def medvid_evaluated(run: RunInfo, evaluation: Evaluation) -> None:
    """Show the figures: one line during training, in full at the end."""
    screen = _screens[run.folder]
    if evaluation.final:
        screen.results(evaluation)
    else:
        screen.validation(evaluation)


@hookimpl
def medvid_run_finished(run: RunInfo, result: RunResult) -> None:
    """Say where the results are."""
    _screens.pop(run.folder).finished(result)


@hookimpl
def medvid_run_failed(run: RunInfo, result: RunResult) -> None:
    """Say how to continue."""
    if screen := _screens.pop(run.folder, None):
        screen.failed(result)
