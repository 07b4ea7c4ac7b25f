"""The benchmark's sides train alike: MONAI's network, and ours in medvid's loop from the same weights."""

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "unetr.py"


def test_losses_of_both_sides_agree_step_by_step() -> None:
    command = [sys.executable, str(BENCHMARK), "--quick"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    rows = [[float(cell) for cell in line.split()[1:]] for line in result.stdout.splitlines()[-3:]]
    for monai, float32, default in rows:
        assert abs(float32 - monai) < 1e-4
        assert abs(default - monai) < 1e-2
    assert rows[-1][0] < rows[0][0]
