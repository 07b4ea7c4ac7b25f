"""From a model to rows: in order, only of finite outputs, and within the memory that there is."""

import logging
import re
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medvid.data.loading.workers import Loading
from medvid.errors import DataError, NumericError
from medvid.evaluation.cases import EvaluationSetup, evaluate_cases
from medvid.evaluation.evaluator import Evaluator
from medvid.evaluation.inference.cases import infer_cases
from medvid.evaluation.inference.model import InferenceModel
from medvid.evaluation.predict import predict_cases
from medvid.scarcity import as_resource_error

FABRIC = Fabric(accelerator="cpu")


class Scaled(nn.Module):
    """Its weight times its input, twice."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, input: Tensor) -> Tensor:
        return input * self.weight * self.weight


class Number(str):
    """A case that is a number, and cannot be read if it is not."""

    __slots__ = ()

    @property
    def id(self) -> str:
        return str(self)


class Cases:
    """A data set of numbers."""

    def open_case(self, case: str) -> Number:
        return Number(case)


class Writes:
    """An inference that is its scorer too, and writes what the model said."""

    monitor = "mean"

    def __init__(self, at_once: int = 1, *, loads_ahead: bool = False) -> None:
        self.at_once, self.loads_ahead = at_once, loads_ahead
        self.batches: list[int] = []

    def cases_at_once(self, device: torch.device) -> int:  # noqa: ARG002
        return self.at_once

    def load(self, case: Number) -> Tensor:
        try:
            return torch.tensor([float(case)])
        except ValueError as error:
            raise DataError(str(error)) from None

    def infer(self, model: nn.Module, loaded: Sequence[Tensor], *, final: bool) -> list[Any]:  # noqa: ARG002
        self.batches.append(len(loaded))
        return [*zip(loaded, model(torch.stack([*loaded])).tolist(), strict=True)]

    def score(self, inferred: Any, *, final: bool, folder: Path) -> list[dict[str, Any]]:  # noqa: ARG002
        case, [value] = inferred
        (folder / str(float(case))).write_text(str(value))
        return [{"case": f"{float(case):g}", "value": value}]

    def write(self, inferred: Any, folder: Path) -> Any:
        case, [value] = inferred
        if value == 7:
            raise DataError("7 cannot be written")
        (folder / f"{float(case):g}").write_text(str(value))
        return value


def as_evaluator(both: Writes) -> Evaluator:
    return Evaluator(both, both)  # type: ignore[arg-type]


def evaluate(
    model: nn.Module, cases: Sequence[str], folder: Path, evaluator: Writes | None = None, workers: int = 0, **more: Any
) -> list[Any]:
    return evaluate_cases(
        EvaluationSetup(FABRIC, as_evaluator(evaluator or Writes()), Cases(), Loading(workers)),  # type: ignore[arg-type]
        model,
        cases,
        final=True,
        folder=folder,
        **{"progress": lambda *_: None, **more},
    )


@pytest.mark.parametrize("at_once", [1, 2, 9])
@pytest.mark.parametrize("loads_ahead", [False, True])
def test_finite_outputs_are_scored_in_order(tmp_path: Path, at_once: int, loads_ahead: bool) -> None:
    evaluator, told = Writes(at_once, loads_ahead=loads_ahead), list[tuple[int, int]]()
    rows = evaluate(
        Scaled(2.0), ["1", "3", "2"], tmp_path, evaluator, workers=1, progress=lambda *state: told.append(state)
    )
    assert [(row["case"], row["value"]) for row in rows] == [("1", 4.0), ("3", 12.0), ("2", 8.0)]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert evaluator.batches == {1: [1, 1, 1], 2: [2, 1], 9: [3]}[at_once]


def test_what_was_inferred_can_be_changed_in_place(tmp_path: Path) -> None:
    class Doubles(Writes):
        def infer(self, model: nn.Module, loaded: Sequence[Tensor], *, final: bool) -> list[Any]:  # noqa: ARG002
            return [*model(torch.stack([*loaded]))]

        def score(self, inferred: Tensor, *, final: bool, folder: Path) -> list[dict[str, Any]]:  # noqa: ARG002
            return [{"case": "1", "value": float(inferred.mul_(2))}]

        def write(self, inferred: Tensor, folder: Path) -> Any:  # noqa: ARG002
            return float(inferred.mul_(2))

    assert evaluate(Scaled(), ["1"], tmp_path, Doubles()) == [{"case": "1", "value": 2.0}]
    predicted = predict_cases(FABRIC, Scaled(), Doubles(), Doubles(), [Number("1")], tmp_path)  # type: ignore[arg-type]
    assert [value for _, value in predicted] == [2.0]


def test_an_interrupted_evaluation_has_the_rows_so_far(tmp_path: Path) -> None:
    rows = evaluate(Scaled(), ["1", "2", "3", "4"], tmp_path, interrupted=(tmp_path / "2.0").exists)
    assert [row["case"] for row in rows] == ["1", "2"]
    assert not (tmp_path / "4.0").exists()


@pytest.mark.parametrize("at_once", [1, 3])
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
    tmp_path: Path, weight: float, case: str, reason: str, at_once: int
) -> None:
    with pytest.raises(NumericError, match=f"output for case {case} is not finite") as caught:
        evaluate(Scaled(weight), ["0", case, "2"] if weight == 1 else [case], tmp_path, Writes(at_once))
    assert re.search(reason, caught.value.hint)
    assert not (tmp_path / str(float(case))).exists()
    assert (tmp_path / "0.0").exists() == (weight == 1 and at_once == 1)


def test_one_value_of_many_windows_is_enough() -> None:
    class Windows(Writes):
        def infer(self, model: nn.Module, loaded: Sequence[Tensor], *, final: bool) -> list[Any]:  # noqa: ARG002
            return [torch.cat([model(window) for window in windows]) for windows in loaded]

    model, fine = InferenceModel(FABRIC, nn.Identity()), torch.zeros(5, 2, 3, 4, 4)
    [output] = model.infer(Windows(), ["a"], [fine], final=True)  # type: ignore[arg-type]
    assert torch.equal(output, fine.flatten(0, 1))
    spoilt = fine.clone()
    spoilt[1, 1, 2, 3, 3] = torch.inf
    with pytest.raises(NumericError, match="case b "):
        model.infer(Windows(), ["a", "b"], [fine, spoilt], final=True)  # type: ignore[arg-type]


def test_an_output_that_is_finite_the_second_time_is_refused_too() -> None:
    class Flickers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.outputs = iter([torch.nan, 1.0])

        def forward(self, input: Tensor) -> Tensor:
            return input * next(self.outputs)

    with pytest.raises(NumericError, match="case 1 is not finite, though"):
        InferenceModel(FABRIC, Flickers()).infer(Writes(), ["1"], [torch.ones(1)], final=True)  # type: ignore[arg-type]


class Small(nn.Module):
    """A model that refuses more than some examples, as memory does."""

    def __init__(self, fits: int, error: Exception) -> None:
        super().__init__()
        self.fits, self.error, self.sizes = fits, error, list[int]()

    def forward(self, input: Tensor) -> Tensor:
        self.sizes.append(len(input))
        if len(input) > self.fits:
            raise self.error
        return 2 * input


SCARCE = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
]


@pytest.mark.parametrize("error", SCARCE, ids=lambda error: str(error)[:20])
def test_a_batch_that_does_not_fit_is_halved_and_stays_so(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    model, cases = Small(3, error), [str(number) for number in range(12)]
    with caplog.at_level(logging.WARNING):
        rows = evaluate(model, cases, tmp_path, Writes(12))
        assert [row["value"] for row in rows] == [2.0 * number for number in range(12)]
        assert model.sizes == [12, 6, 3, 3, 3, 3]
        evaluate(model, cases, tmp_path, Writes(12))  # the next validation of a run
    assert model.sizes[6:] == [3, 3, 3, 3]
    [record] = caplog.records
    assert "memory is not enough for 12 windows at once: from now on it is 3" in record.getMessage()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="how much memory is used cannot be told")
def test_memory_that_really_runs_out_halves_the_batch(tmp_path: Path) -> None:
    class Large(nn.Module):
        def forward(self, input: Tensor) -> Tensor:
            torch.empty(len(input), 3 << 29, dtype=torch.uint8)  # 1.5 GiB for each, which nothing touches
            return input

    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 30), limits[1]))
    try:
        evaluator = Writes(6)
        rows = evaluate(Large(), [str(number) for number in range(6)], tmp_path, evaluator)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert [row["value"] for row in rows] == [float(number) for number in range(6)]


def test_one_example_that_does_not_fit_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(torch.OutOfMemoryError) as caught:
        evaluate(Small(0, SCARCE[1]), ["1", "2"], tmp_path, Writes(2))
    scarce = as_resource_error(caught.value)
    assert scarce is not None
    assert "evaluation.window_batch" in scarce.hint


def test_other_errors_of_a_model_are_not_tried_again(tmp_path: Path) -> None:
    model = Small(0, RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"))
    with pytest.raises(RuntimeError, match="NOT_SUPPORTED"):
        evaluate(model, ["1", "2"], tmp_path, Writes(2))
    assert model.sizes == [2]


@pytest.mark.parametrize("at_once", [1, 2, 9])
def test_cases_that_cannot_be_read_or_written_leave_the_others_alone(tmp_path: Path, at_once: int) -> None:
    cases = [Number(case) for case in ("1", "broken", "7", "x", "2")]
    found = predict_cases(FABRIC, Scaled(), Writes(at_once), Writes(at_once), cases, tmp_path)  # type: ignore[arg-type]
    results = {case.id: str(result) for case, result in found}
    assert results == {
        "1": "1.0",
        "broken": "could not convert string to float: 'broken'",
        "7": "7 cannot be written",
        "x": "could not convert string to float: 'x'",
        "2": "2.0",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_inputs_are_pinned_for_cuda_alone() -> None:
    """A stand-in for a launched Fabric on a GPU says so; what is pinned, is pinned before it is inferred."""

    class Pinned:
        def __init__(self, name: str, *, pinned: bool = False) -> None:
            self.name, self.pinned = name, pinned

        def pin_memory(self) -> "Pinned":
            return Pinned(self.name, pinned=True)

    class Looks(Writes):
        def infer(self, model: nn.Module, loaded: Sequence[Any], *, final: bool) -> list[Any]:  # noqa: ARG002
            return [one.pinned for one in loaded]

    class OnCuda:
        autocast, device = FABRIC.autocast, torch.device("cuda")

    for fabric, pinned in ((FABRIC, False), (OnCuda(), True)):
        found = infer_cases(fabric, nn.Identity(), Looks(2), ["a", "b", "c"], Pinned, bool, final=True)  # type: ignore[arg-type]
        assert [*found] == [("a", pinned), ("b", pinned), ("c", pinned)]
