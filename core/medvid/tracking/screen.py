"""What a run shows on the screen: bars on a terminal, otherwise a plain line now and then, and the results."""

import logging
import math
import shlex
import time
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from medvid.evaluation.report import as_rich, as_text
from medvid.plugin.events import Evaluation, RunInfo, RunResult
from medvid.tracking.content import demo_warning, short_path

logger = logging.getLogger("medvid.console")
"""Gets a copy of every line, for the run's log; handlers that show log messages on the screen should skip it."""

PLAIN_SECONDS = 15.0
PLAIN_FRACTION = 0.1
"""A plain line of progress is due after this time or this share of the work, whichever comes first ..."""
PLAIN_PAUSE = 3.0
"""... but not sooner than this many seconds after the last one."""
PLAIN_WIDTH = 120
"""Columns of a table if there is no terminal to fit it to."""


def make_console() -> Console:
    """A console on standard output that shows names literally, without markup."""
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


class Screen:
    """The output of one run.

    Args:
        run: the run.
        console: where to show it.
    """

    def __init__(self, run: RunInfo, console: Console) -> None:
        self._run, self._console = run, console
        self._bars: Bars | None = Bars(console) if console.is_terminal else None
        self._paces: dict[str, Pace] = {}

    def say(self, text: str, style: str = "") -> None:
        """Show a line and log it."""
        self._console.print(text, style=style)
        logger.info("%s", text)

    def begin(self) -> None:
        """What runs, on which device, and in which folder."""
        run = self._run
        self._warn_of_demo()
        resumed = f", continuing from step {run.start_step}" if run.start_step else ""
        self.say(f"{run.name}: task {run.task} on {run.device}, seed {run.seed}, in {short_path(run.folder)}{resumed}")
        if run.unverified:
            names = ", ".join(f"{name} {run.plugins[name]}" for name in run.unverified)
            self.say(f"UNVERIFIED CODE - editable: {names}; the code is not pinned by a hash", "bold yellow")

    def _warn_of_demo(self) -> None:
        if self._run.demo:
            self.say(demo_warning(self._run.config["dataset"]["name"]), style="bold yellow")

    def progress(self, stage: str, done: int, total: int, values: Mapping[str, float]) -> None:
        """Move the stage's bar, or show a line if one is due."""
        figures, now = figures_text(values), time.monotonic()
        if self._bars:
            self._bars.update(stage, done, total, figures)
        if done == 0 or stage not in self._paces:
            self._paces[stage] = Pace(done, now)
        elif self._paces[stage].due(done, total, now):
            parts = [f"{stage} {done}/{total}", figures, self._paces[stage].remaining()]
            line = "  ".join(part for part in parts if part)
            logger.info("%s", line)
            if not self._bars:
                self._console.print(line)

    def validation(self, evaluation: Evaluation) -> None:
        """One line with the means of an evaluation during training."""
        figures = "  ".join(f"{name} {value:.3f}" for name, value in evaluation.metrics.items() if "/" not in name)
        self.say(f"step {evaluation.step}: {evaluation.split} {figures}")

    def checkpoint(self, step: int, is_best: bool) -> None:
        """A line for the best checkpoint so far; others go only to the log."""
        if is_best:
            self.say(f"step {step}: best so far, saved")
        else:
            logger.debug("step %d: saved", step)

    def results(self, evaluation: Evaluation) -> None:
        """The closing evaluation."""
        self.close()
        show_evaluation(evaluation, self._console)

    def finished(self, result: RunResult) -> None:
        """Where the results are and what to do with them."""
        folder = shlex.quote(str(short_path(self._run.folder)))
        self.close()
        self.say(f"finished in {_clock(result.seconds)}: {folder}", style="bold")
        self.say(
            f"look at it in MLflow:  platform ui {folder}\n"
            f"evaluate it again:     platform evaluate {folder}\n"
            f"use it:                platform predict {folder} FILE -o predictions"
        )
        self._warn_of_demo()

    def failed(self, result: RunResult) -> None:
        """How to continue; the caller of the run reports what went wrong."""
        folder = shlex.quote(str(short_path(self._run.folder)))
        self.close()
        ended = f"{'stopped' if result.status == 'killed' else 'failed'} after {_clock(result.seconds)}"
        exists = self._run.folder.exists()
        self.say(f"{ended}: {folder}" if exists else f"{ended}, before the first step: there is no run folder")
        if result.last:
            self.say(f"continue from {result.last.name}:  platform run --resume {folder}")
        self._warn_of_demo()

    def close(self) -> None:
        """Remove the bars."""
        if self._bars:
            self._bars.stop()
            self._bars = None


class Bars:
    """One bar per stage, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def update(self, stage: str, done: int, total: int, figures: str) -> None:
        """Show a stage's progress, with its figures beside it; stages other than training disappear when done."""
        if stage not in self._tasks:
            self._progress.start()
            self._tasks[stage] = self._progress.add_task(stage, total=total, completed=done, figures=figures)
            return
        task = self._tasks[stage]
        if done == 0:  # another evaluation
            self._progress.reset(task)
        visible = stage == "train" or done < total
        self._progress.update(task, total=total, completed=done, visible=visible, figures=figures)

    def stop(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()


class Pace:
    """Decides when a plain line of a stage's progress is due, and estimates the stage's remaining time."""

    def __init__(self, done: int, now: float) -> None:
        self._began = self._shown = self._latest = (done, now)
        self._total = 0

    def due(self, done: int, total: int, now: float) -> bool:
        """Whether to show a line for this state."""
        self._latest, self._total = (done, now), total
        advance, waited = done - self._shown[0], now - self._shown[1]
        enough = advance >= PLAIN_FRACTION * total and waited >= PLAIN_PAUSE
        if advance > 0 and (enough or waited >= PLAIN_SECONDS):
            self._shown = self._latest
            return True
        return False

    def rate(self) -> str:
        """The rate per second, or per minute, ``"12/s"``; empty while it is unknown."""
        advance, seconds = self._latest[0] - self._began[0], self._latest[1] - self._began[1]
        if not (advance and seconds):
            return ""
        per_second = advance / seconds
        return f"{per_second:.3g}/s" if per_second >= 1 else f"{60 * per_second:.3g}/min"

    def remaining(self) -> str:
        """The remaining time, ``"ETA 0:01:30"``, at the mean rate so far; empty at the end."""
        advance, left = self._latest[0] - self._began[0], self._total - self._latest[0]
        if not (advance and left):
            return ""
        return f"ETA {_clock((self._latest[1] - self._began[1]) / advance * left)}"


def figures_text(values: Mapping[str, float]) -> str:
    """The training figures beside a bar, e.g. ``loss 0.532  lr 0.0001  0.57 s/step (data 0.01 s)``."""
    parts = [f"{name} {values[name]:.{digits}g}" for name, digits in (("loss", 4), ("lr", 3)) if name in values]
    if "step_time" in values:
        parts.append(f"{values['step_time']:.3g} s/step (data {values.get('data_time', math.nan):.2g} s)")
    return "  ".join(parts)


def show_evaluation(evaluation: Evaluation, console: Console) -> None:
    """The table of a closing evaluation, notes on it, and the place of its pictures."""
    heading = f"{evaluation.split}, weights of step {evaluation.step}"
    console.print(heading, style="bold")
    if evaluation.table:
        logger.info("%s\n%s", heading, as_text(evaluation.table))
        console.print(as_rich(evaluation.table))
    for line in [*evaluation.notes, *(f"picture: {short_path(path)}" for path in evaluation.figures)]:
        console.print(line)
        logger.info("%s", line)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
