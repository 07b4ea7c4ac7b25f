"""The report runs, with small networks and a few steps, on any machine."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, imported with what Python adds to the path when it runs it, on a machine without a GPU."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # a process that asked before keeps its GPUs
    spec = importlib.util.find_spec("report")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_parts_print_their_tables(
    report: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--device", "cpu", "--quick", "--tasks", "timesformer_kinetics", "--parts", *report.PARTS]
    monkeypatch.setattr("sys.argv", ["report.py", *arguments])
    report.main()
    printed = capsys.readouterr().out
    rate, memory = r"\d+\.\d\d", r"\d+\.\d GiB"
    for line in (
        rf"timesformer_kinetics +\d+ +fp32 +- +{memory} +{rate}",
        rf"timesformer_kinetics +transformers +2 +{rate} +{rate} +{rate} x",
        rf"stride 2 +{rate} +{rate} +{rate} x",
        rf"timesformer_kinetics +{rate} +{rate} +{rate} x",
        rf"timesformer_kinetics, bf16 +\d+ +{memory} +{memory}(?: +\d+){{4}}",
    ):
        assert re.search(f"^{line}$", printed, re.MULTILINE), printed


def test_what_fails_is_a_row(report: ModuleType) -> None:
    rows: list[list[object]] = []
    with report.excused(rows, "one", columns=3):
        raise ValueError("no\nreason")
    assert rows == [["one (ValueError: no)", "-", "-"]]


def test_a_batch_that_does_not_fit_is_halved(report: ModuleType) -> None:
    task = report.read_task("timesformer_kinetics", report.Settings([], quick=True, compiled=False), batch_size=8)
    tried = []

    def measure(task: object) -> float:
        tried.append(task.train.batch_size)  # type: ignore[attr-defined]
        if len(tried) < 3:
            raise MemoryError
        return 1.0

    found, _ = report.fitting(task, measure)
    assert tried == [tried[0], tried[0] // 2, tried[0] // 4]
    assert found.train.batch_size == tried[-1]
