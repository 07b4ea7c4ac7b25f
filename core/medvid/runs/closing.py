"""The closing evaluation: every metric, per case, with predictions and pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from medvid.data.dataset import Progress
from medvid.evaluation.cases import evaluate_cases
from medvid.evaluation.metrics.aggregate import undefined_notes
from medvid.evaluation.report import write_cases
from medvid.plugin.events import Evaluation
from medvid.runs.session import Session


def close_evaluation(
    session: Session,
    model: nn.Module,
    step: int,
    cases: Sequence[str],
    folder: Path,
    progress: Progress,
    interrupted: Callable[[], bool] = lambda: False,
    *,
    split: str = "",
) -> Evaluation:
    """Evaluate cases in full, and write cases.csv, predictions/ and figures/.

    Args:
        session: opened; its data set is prepared.
        model: on its device, with the weights to evaluate.
        step: the optimizer step of these weights.
        cases: ids.
        folder: where the files go.
        progress: told after each case.
        interrupted: asked after each case.
        split: what the cases are called; default: the split of the task's evaluation block.
    """
    rows = evaluate_cases(
        session.evaluation,
        model,
        cases,
        final=True,
        folder=folder,
        progress=progress,
        interrupted=interrupted,
    )
    summary = session.evaluator.scorer.summarise(rows)
    figures: list[Path] = []
    if session.fabric.is_global_zero:
        write_cases(rows, folder / "cases.csv")
        figures = session.evaluator.scorer.figures(rows, folder)
    return Evaluation(
        split=split or session.task.evaluation.split,
        step=step,
        final=True,
        metrics=summary.metrics,
        rows=tuple(rows),
        table=summary.table,
        figures=tuple(figures),
        notes=(*summary.notes, *undefined_notes(summary.metrics)),
        better=summary.better,
        monitor=session.evaluator.scorer.monitor,
    )
