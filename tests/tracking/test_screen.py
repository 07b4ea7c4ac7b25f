"""What is shown on a terminal and without one."""

import io
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pluggy
import pytest
from rich.console import Console

from medvid.evaluation.metrics.aggregate import per_label
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.label_table import label_table
from medvid.plugin import hookspecs
from medvid.plugin.events import Evaluation, RunInfo, RunResult, RunStatus
from medvid.tracking import console as console_plugin
from medvid.tracking.screen import Pace, Screen, figures_text

ROWS = tuple(
    {"case": case, "label": label, "label_id": number, "state": "scored", "dice": 0.5 + 0.1 * number}
    for case in ("0001", "0002")
    for number, label in enumerate(("[red]liver", "spleen"), start=1)
)

TABLE = label_table(per_label(ROWS, ["dice"]), [Figure("dice", "Dice")])


def drive(hooks: pluggy.HookRelay, run: RunInfo) -> None:
    """The calls of a short run."""
    hooks.medvid_run_configured(run=run)
    for done in range(3):
        hooks.medvid_progress(run=run, stage="prepare", done=done, total=2, values={})
    hooks.medvid_run_started(run=run)
    for step in range(0, 41, 10):
        values = {"loss": 0.5, "lr": 1e-4, "step_time": 0.57, "data_time": 0.01} if step else {}
        hooks.medvid_progress(run=run, stage="train", done=step, total=40, values=values)
    hooks.medvid_evaluated(
        run=run,
        evaluation=Evaluation(
            split="validation", step=40, final=False, metrics={"dice": 0.7, "dice/spleen": 0.6}, rows=ROWS
        ),
    )
    hooks.medvid_checkpoint_saved(run=run, path=run.folder / "step-00000040", step=40, is_best=True)
    hooks.medvid_checkpoint_saved(run=run, path=run.folder / "step-00000050", step=50, is_best=False)
    for done in range(3):
        hooks.medvid_progress(run=run, stage="evaluate", done=done, total=2, values={})
    hooks.medvid_evaluated(
        run=run,
        evaluation=Evaluation(
            split="validation",
            step=40,
            final=True,
            metrics={"dice": 0.7},
            rows=ROWS,
            table=TABLE,
            figures=(run.folder / "figures" / "0001.png",),
            notes=("1 case has no spleen",),
        ),
    )


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the plugin writes to the console."""
    file = io.StringIO()
    console = Console(file=file, markup=False, width=120)
    monkeypatch.setattr("medvid.tracking.screen.make_console", lambda: console)
    monkeypatch.setattr("medvid.tracking.screen.PLAIN_PAUSE", 0.0)
    return file


@pytest.fixture
def hooks() -> pluggy.HookRelay:
    manager = pluggy.PluginManager("medvid")
    manager.add_hookspecs(hookspecs)
    manager.register(console_plugin)
    manager.check_pending()
    return manager.hook


def test_a_finished_run_without_a_terminal(
    make_run: Callable[..., RunInfo], hooks: pluggy.HookRelay, shown: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="medvid")
    run = make_run(demo=True)
    drive(hooks, run)
    hooks.medvid_run_finished(run=run, result=RunResult(status="finished", seconds=332.2, metrics={}))
    text = shown.getvalue()
    first, *lines, last = text.splitlines()
    assert first == last == "DEMO DATA - figures say nothing about btcv"
    assert lines[0] == "unetr-s7: task unetr_btcv on 1 x CPU (fp32), seed 7, in runs/unetr_btcv/unetr-s7"
    assert "prepare 1/2" in text
    assert "train 10/40  loss 0.5  lr 0.0001  0.57 s/step (data 0.01 s)  ETA 0:00:00" in text
    assert "step 40: validation dice 0.700\nstep 40: best so far, saved\n" in text
    assert "step 50" not in text
    assert "[red]liver" in text, "names are not markup"
    assert "1 case has no spleen" in text
    assert "picture: runs/unetr_btcv/unetr-s7/figures/0001.png" in text
    assert "finished in 0:05:32: runs/unetr_btcv/unetr-s7" in text
    assert "platform predict runs/unetr_btcv/unetr-s7 FILE" in text
    assert "\x1b" not in text
    log = "\n".join(record.getMessage() for record in caplog.records)
    assert all(line in log for line in (first, lines[0], "train 10/40", "step 50: saved", "0.600", "1 case has no"))


@pytest.mark.parametrize(("status", "word"), [("killed", "stopped"), ("failed", "failed")])
def test_a_run_that_can_be_resumed(
    run: RunInfo, hooks: pluggy.HookRelay, shown: io.StringIO, status: RunStatus, word: str
) -> None:
    drive(hooks, run)
    result = RunResult(status=status, seconds=61, metrics={}, last=run.folder / "checkpoints" / "step-00000040")
    hooks.medvid_run_failed(run=run, result=result, error=ValueError("x"))
    assert shown.getvalue().endswith(
        f"{word} after 0:01:01: runs/unetr_btcv/unetr-s7\n"
        "continue from step-00000040:  platform run --resume runs/unetr_btcv/unetr-s7\n"
    )


def test_on_a_terminal_there_are_bars(run: RunInfo) -> None:
    file = io.StringIO()
    screen = Screen(run, Console(file=file, force_terminal=True, markup=False, width=120))
    screen.begin()
    screen.progress("train", 0, 40, {})
    screen.progress("train", 10, 40, {"loss": 0.25})
    screen.progress("evaluate", 0, 2, {})
    screen.progress("evaluate", 2, 2, {})
    screen.progress("train", 20, 40, {"loss": 0.125})
    screen.close()
    last = file.getvalue().split("train")[-1]
    assert "20/40" in last
    assert "loss 0.125" in last
    assert "evaluate" not in last


def test_results_outside_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    console_plugin.show_evaluation(Evaluation(split="test", step=40, final=True, metrics={}, rows=ROWS, table=TABLE))
    text = capsys.readouterr().out
    assert text.startswith("test, weights of step 40\n")
    assert "spleen" in text


def test_pace() -> None:
    pace = Pace(100, now=0.0)
    assert not pace.due(101, 200, now=1.0), "neither far nor long enough"
    assert not pace.due(150, 200, now=2.0), "too soon"
    assert pace.due(151, 200, now=16.0), "long enough"
    assert not pace.due(152, 200, now=17.0)
    assert pace.due(175, 200, now=20.0), "far enough"
    assert pace.remaining() == "ETA 0:00:07"
    assert not pace.due(175, 200, now=60.0), "nothing happened"
    assert pace.due(200, 200, now=80.0)
    assert pace.remaining() == ""


def test_figures() -> None:
    assert figures_text({}) == ""
    assert figures_text({"loss": 1.23456, "dice_loss": 1.0, "lr": 0.00012345}) == "loss 1.235  lr 0.000123"


def test_paths_can_be_pasted_into_a_shell(
    make_run: Callable[..., RunInfo], hooks: pluggy.HookRelay, shown: io.StringIO
) -> None:
    run = make_run("a b")
    hooks.medvid_run_configured(run=run)
    hooks.medvid_run_finished(run=run, result=RunResult(status="finished", seconds=1, metrics={}))
    assert "platform evaluate 'runs/unetr_btcv/a b'" in shown.getvalue()


def test_importing_the_plugins_is_cheap(tmp_path: Path) -> None:
    program = (
        "import sys, medvid.tracking.console, medvid.tracking.mlflow, medvid.cli.ui, medvid.cli.sync;"
        "print([name for name in ('torch', 'numpy', 'mlflow', 'pandas', 'rich.progress') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"
