"""Outputs that are not finite are neither scored nor written."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medvid.errors import NumericError
from medvid.training.evaluate import InferenceModel, evaluate_cases

FABRIC = Fabric(accelerator="cpu")


class Scaled(nn.Module):
    """Its weight times its input, twice."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight * self.weight


class Cases:
    """A data set of numbers."""

    def case(self, case: str) -> float:
        return float(case)


class Writes:
    """An evaluator that writes what the model said."""

    monitor, loads_ahead = "mean", False

    def load(self, case: float) -> Tensor:
        return torch.tensor([case])

    def evaluate(self, model: nn.Module, loaded: Tensor, *, final: bool, folder: Path) -> list[dict[str, Any]]:  # noqa: ARG002
        value = float(model(loaded))
        (folder / str(float(loaded))).write_text(str(value))
        return [{"case": f"{float(loaded):g}", "value": value}]


def evaluate(model: nn.Module, cases: Sequence[str], folder: Path) -> list[Any]:
    return evaluate_cases(
        FABRIC,
        model,
        Writes(),  # type: ignore[arg-type]
        Cases(),  # type: ignore[arg-type]
        cases,
        final=True,
        folder=folder,
        workers=0,
        progress=lambda *_: None,
    )


def test_finite_outputs_are_scored(tmp_path: Path) -> None:
    assert [row["value"] for row in evaluate(Scaled(2.0), ["1", "3"], tmp_path)] == [4.0, 12.0]


@pytest.mark.parametrize(
    ("weight", "case", "reason"),
    [
        (1.0, "nan", "the case itself has values"),
        (1.0, "-inf", "the case itself has values"),
        (float("nan"), "1", r"the weights are not finite either \(weight\)"),
        (1e30, "1", "a number became too large on the way"),
    ],
)
def test_others_stop_the_evaluation_with_the_case_and_the_reason(
    tmp_path: Path, weight: float, case: str, reason: str
) -> None:
    with pytest.raises(NumericError, match=f"output for case {case} is not finite") as caught:
        evaluate(Scaled(weight), ["0", case] if weight == 1 else [case], tmp_path)
    assert re.search(reason, caught.value.hint)
    assert not (tmp_path / str(float(case))).exists()


def test_one_value_of_many_is_enough() -> None:
    model = InferenceModel(FABRIC, nn.Identity())
    fine = torch.zeros(2, 3, 4, 4)
    assert torch.equal(model(fine), fine)
    fine[1, 2, 3, 3] = torch.inf
    with pytest.raises(NumericError):
        model(fine)
