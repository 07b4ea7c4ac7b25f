"""The post-processing of a run: chosen at its end, kept in its folder, applied wherever it predicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from medvid.config.evaluation import ALL, VoxelEvaluationOptions
from medvid.config.task import Task
from medvid.data.dataset import Progress
from medvid.errors import DataError
from medvid.evaluation.build import build_evaluator
from medvid.evaluation.cases import evaluate_cases
from medvid.evaluation.evaluator import Evaluator
from medvid.evaluation.postprocessing import Dice, Steps, choose_steps
from medvid.evaluation.scoring.candidates import CandidateScorer, dice_after, foreground
from medvid.files import read_json, write_json
from medvid.runs.folder import RunFolder
from medvid.runs.session import Session

Rows = Sequence[Mapping[str, Any]]


def with_chosen_steps(task: Task, folder: RunFolder) -> Task:
    """A run's task, with the steps of its post-processing in place of ``if_better``.

    Raises:
        DataError: the run has not chosen any yet.
    """
    if not is_to_choose(task):
        return task
    chosen = read_json(folder.postprocessing)
    if "largest_component" not in chosen:
        raise DataError(
            f"{folder.postprocessing} is missing: the run has not chosen its post-processing, which is done at its end",
            hint="let it end (platform run --resume RUN), or do without: --set evaluation.largest_component=[]",
        )
    return _with_steps(task, tuple(chosen["largest_component"]))


def is_to_choose(task: Task) -> bool:
    """Whether a run of the task has to choose its post-processing."""
    return getattr(task.evaluation, "largest_component", ()) == "if_better"


def score_candidates(
    session: Session,
    model: nn.Module,
    cases: Sequence[str],
    folder: RunFolder,
    progress: Progress,
    interrupted: Callable[[], bool],
) -> Rows:
    """Evaluate cases with and without each step, see `medvid.evaluation.scoring.candidates.CandidateScorer`.

    Args:
        session: of the run; its data set is prepared.
        model: on its device, with the chosen weights.
        cases: ids.
        folder: of the run.
        progress: told after each case.
        interrupted: asked after each case.
    """
    checked, options = session.checked, session.task.evaluation
    assert isinstance(options, VoxelEvaluationOptions), "nothing else has such an option"
    protocol: Any = checked.host.build(options.protocol, checked.target_info)
    scorer = CandidateScorer(options, protocol, checked.target_info)
    setup = replace(session.evaluation, evaluator=Evaluator(session.evaluator.inference, scorer))
    return evaluate_cases(
        setup, model, cases, final=False, folder=folder.path, progress=progress, interrupted=interrupted
    )


def choose_postprocessing(session: Session, rows: Rows, folder: RunFolder) -> tuple[Session, str]:
    """Choose the steps that raise Dice, and write them into the run's folder.

    Args:
        session: of the run.
        rows: from `score_candidates`.
        folder: of the run.

    Returns:
        The session with an evaluator that takes these steps, and a sentence on them.
    """
    checked, labels = session.checked, foreground(session.checked.target_info)
    dice = partial(dice_after, rows=rows, labels=labels)
    steps = choose_steps(labels, dice)
    before, after = dice(()), dice(steps)
    if session.fabric.is_global_zero:
        split = session.task.evaluation.split
        chosen = {"largest_component": steps, "split": split, "dice": {"before": before, "after": after}}
        write_json(folder.postprocessing, chosen)
    options = _with_steps(session.task, steps).evaluation
    evaluator = build_evaluator(options, checked.input_info, checked.target_info, checked.host)
    return replace(session, evaluator=evaluator), _sentence(steps, before, after)


def _with_steps(task: Task, steps: Steps) -> Task:
    return task.model_copy(update={"evaluation": task.evaluation.model_copy(update={"largest_component": steps})})


def _sentence(steps: Steps, before: Dice, after: Dice) -> str:
    if not steps:
        return "post-processing: no largest component raises Dice, so all is left as predicted"
    of = ", then of ".join("all labels together" if step == ALL else step for step in steps)
    changes = ", ".join(
        f"{label} {before[label]:.4f} -> {after[label]:.4f}" for label in after if after[label] != before[label]
    )
    return f"post-processing, chosen on these same cases: the largest component is kept of {of}; Dice: {changes}"
