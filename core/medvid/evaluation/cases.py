"""Runs an evaluator over cases, on one process or several."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import nn

from medvid.data.dataset import Dataset, Progress
from medvid.data.loading.workers import HERE, Loading
from medvid.devices.waiting import gather
from medvid.evaluation.evaluator import Evaluator, Inference
from medvid.evaluation.inference.cases import infer_cases


@dataclass(frozen=True, slots=True)
class EvaluationSetup:
    """What is the same for all evaluations of a run.

    Args:
        fabric: launched.
        evaluator: of the task's target.
        dataset: prepared.
        loading: in which processes, for inferences that load ahead.
    """

    fabric: Fabric
    evaluator: Evaluator
    dataset: Dataset
    loading: Loading = HERE


@dataclass(frozen=True, slots=True)
class _CaseLoader:
    """Reads what the inference needs of a case."""

    dataset: Dataset
    inference: Inference

    def __call__(self, case: str) -> Any:
        return self.inference.load(self.dataset.open_case(case))


def evaluate_cases(
    setup: EvaluationSetup,
    model: nn.Module,
    cases: Sequence[str],
    *,
    final: bool,
    folder: Path,
    progress: Progress,
    interrupted: Callable[[], bool] = lambda: False,
) -> list[Mapping[str, Any]]:
    """Evaluate cases, shared out among the processes.

    Args:
        setup: with what.
        model: on its device.
        cases: ids to evaluate.
        final: see `medvid.evaluation.evaluator.Scorer.score`.
        folder: where predictions go.
        progress: told after each case.
        interrupted: asked after each case; True ends the evaluation early.

    Returns:
        The rows of all processes, in the order of the cases.

    Raises:
        NumericError: the model's output for a case is not finite.
    """
    fabric, evaluator = setup.fabric, setup.evaluator
    mine = cases[fabric.global_rank :: fabric.world_size]
    rows: list[Mapping[str, Any]] = []
    progress(0, len(cases))
    scored = infer_cases(
        fabric,
        model,
        evaluator.inference,
        mine,
        _CaseLoader(setup.dataset, evaluator.inference),
        partial(evaluator.scorer.score, final=final, folder=folder),
        final=final,
        loading=setup.loading,
    )
    with closing(scored):
        for number, (_, found) in enumerate(scored, start=1):
            rows += found
            progress(min(number * fabric.world_size, len(cases)), len(cases))
            if interrupted():
                break
    order = {case: number for number, case in enumerate(cases)}
    return sorted((row for part in gather(rows) for row in part), key=lambda row: order[row["case"]])
