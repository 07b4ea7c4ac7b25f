"""The benchmarks run, and their sides train alike: a published network, and ours in medvid's loop from its weights."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run_quickly(script: str) -> str:
    """What it prints. On one thread: several would wait for each other where tests run in parallel."""
    command, variables = [sys.executable, str(BENCHMARKS / script), "--quick"], os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=variables, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def loss_curves(printed: str) -> list[list[list[float]]]:
    """Of each contest the rows of its last table, one per step: the losses of the published network and of ours."""
    tables = [part.partition("\n")[2] for part in printed.split("loss at step")[1:]]
    rows = [table.partition("\n\n")[0].splitlines() for table in tables]
    return [[[float(cell) for cell in row.split()[1:]] for row in table] for table in rows]


@pytest.mark.parametrize(
    ("script", "contests"), [("unetr.py", 1), ("timesformer.py", 1), ("vivit.py", 1), ("mvit.py", 2)]
)
def test_losses_of_all_sides_agree_step_by_step(script: str, contests: int) -> None:
    curves = loss_curves(run_quickly(script))
    assert [len(rows) for rows in curves] == [3] * contests
    for published, float32, default in (row for rows in curves for row in rows):
        assert abs(float32 - published) < 1e-4
        assert abs(default - published) < 1e-2
    assert all(rows[0][0] != rows[-1][0] for rows in curves)
    if script == "unetr.py":  # the others see other labels at each step
        assert curves[0][-1][0] < curves[0][0][0]


@pytest.mark.parametrize(
    ("script", "row"),
    [
        ("transunet.py", "default ("),
        ("augmentation.py", "medvid "),
        ("medt.py", "batched, default"),
        ("decoding.py", "250"),
        ("readers.py", "DICOM, RLE"),
        ("frames.py", "windows, embedded once"),
        ("preparation.py", "label map, slice by slice"),
        ("plugins_list.py", "list, 5 enabled"),
    ],
)
def test_other_benchmarks_print_their_table(script: str, row: str) -> None:
    assert any(line.startswith(row) for line in run_quickly(script).splitlines())
