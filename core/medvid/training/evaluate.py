"""Runs an evaluator over cases, on one process or several."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medvid.data.dataset import Dataset, Progress
from medvid.errors import NumericError
from medvid.models.finite import abridged, names_of_non_finite
from medvid.models.head import Evaluator
from medvid.training.batches import load_in_order


class InferenceModel(nn.Module):
    """A model as evaluators call it: in eval mode, cast as in training, with float32 logits, all of them finite.

    Only the model itself runs under autocast, so that metrics and resampling around it keep float32. It is not
    wrapped for distributed training either: processes may infer different numbers of windows.

    Args:
        fabric: launched.
        model: on its device.
    """

    def __init__(self, fabric: Fabric, model: nn.Module) -> None:
        super().__init__()
        self.model = model.eval()
        self.autocast = fabric.autocast
        self.case = ""
        """The case that is being inferred, for the error that names it."""

    def forward(self, input: Tensor) -> Tensor:
        """Logits of input (B, C, *S).

        Raises:
            NumericError: one is NaN or infinite, which would be scored, or written, as some label.
        """
        with self.autocast():
            output: Tensor = self.model(input)
        logits = output.float()
        if not bool(torch.isfinite(logits).all()):
            raise NumericError(f"the model's output for case {self.case} is not finite", hint=self._reason(input))
        return logits

    def _reason(self, input: Tensor) -> str:
        if not bool(torch.isfinite(input).all()):
            return "the case itself has values that are NaN or infinite: repair or remove it"
        if names := names_of_non_finite(self.model.state_dict()):
            return f"the weights are not finite either ({abridged(names)}): use an earlier checkpoint, or train anew"
        return (
            "case and weights are finite, so a number became too large on the way: try train.precision=fp32; if the "
            "training diverged, train anew with a lower train.optimizer.lr or train.clip_norm=1"
        )


@dataclass(frozen=True, slots=True)
class _CaseLoader:
    """Reads what the evaluator needs of a case."""

    dataset: Dataset
    evaluator: Evaluator

    def __call__(self, case: str) -> Any:
        return self.evaluator.load(self.dataset.case(case))


def evaluate_cases(
    fabric: Fabric,
    model: nn.Module,
    evaluator: Evaluator,
    dataset: Dataset,
    cases: Sequence[str],
    *,
    final: bool,
    folder: Path,
    workers: int,
    timeout: int = 0,
    progress: Progress,
    interrupted: Callable[[], bool] = lambda: False,
) -> list[Mapping[str, Any]]:
    """Evaluate cases, shared out among the processes.

    Args:
        fabric: launched.
        model: on its device.
        evaluator: the head's.
        dataset: prepared.
        cases: ids to evaluate.
        final: see `Evaluator.evaluate`.
        folder: where predictions go.
        workers: loader processes, for evaluators that load ahead.
        timeout: seconds that they may take for a case; 0: any.
        progress: told after each case.
        interrupted: asked after each case; True ends the evaluation early.

    Returns:
        The rows of all processes, in the order of the cases.

    Raises:
        NumericError: the model's output for a case is not finite.
    """
    inference = InferenceModel(fabric, model)
    mine = cases[fabric.global_rank :: fabric.world_size]
    rows: list[Mapping[str, Any]] = []
    progress(0, len(cases))
    # Closed also where an error, which is kept for a debugger, would keep the loader processes alive.
    ahead = workers if evaluator.loads_ahead else 0
    with closing(load_in_order(_CaseLoader(dataset, evaluator), mine, workers=ahead, timeout=timeout)) as loaded:
        for number, (name, case) in enumerate(zip(mine, loaded, strict=True), start=1):
            inference.case = name
            with torch.inference_mode():
                rows += evaluator.evaluate(inference, case, final=final, folder=folder)
            progress(min(number * fabric.world_size, len(cases)), len(cases))
            if interrupted():
                break
    if fabric.world_size > 1:
        parts: list[list[Mapping[str, Any]]] = [[] for _ in range(fabric.world_size)]
        torch.distributed.all_gather_object(parts, rows)
        rows = [row for part in parts for row in part]
    order = {case: number for number, case in enumerate(cases)}
    return sorted(rows, key=lambda row: order[row["case"]])
