"""What benchmarks share: taking turns, timing, memory, and the machine's own rate at matrix products."""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch


def count(text: str) -> int:
    """A number of the command line, at least 1."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


@dataclass
class Stopwatch:
    """Seconds of the last measured block."""

    seconds: float = 0.0


@contextmanager
def stopwatch(device: torch.device) -> Iterator[Stopwatch]:
    """Measure the wall time of a block, until the device has finished what it started."""
    watch = Stopwatch()
    began = time.perf_counter()
    yield watch
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    watch.seconds = time.perf_counter() - began


def take_turns(measured: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1) -> dict[str, float]:
    """Median of what each callable returns; they take turns, so that all meet the same disturbances.

    Without rounds after the warm-up, that is what there is.
    """
    values: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(warm_up + rounds):
        for name, measure in measured.items():
            values[name].append(measure())
    return {name: median(those[warm_up:] or those) for name, those in values.items()}


def gemm_peak(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations per second of a large matrix product: what the machine can do at best."""
    size = 2048 if device.type == "cpu" else 8192
    matrix = torch.rand(size, size, device=device).to(dtype)
    seconds = []
    for _ in range(5):
        with stopwatch(device) as watch:
            matrix @ matrix
        seconds.append(watch.seconds)
    return 2 * size**3 / min(seconds)


def peak_memory(device: torch.device) -> int:
    """Bytes at most in use so far: on the device, or by the whole process where that is the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, what getrusage gives began with the peak of the process that started this one
        kilobytes = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(kilobytes) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows below columns: the first flush left, the others flush right."""
    cells = [[str(cell) for cell in row] for row in [columns, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *others = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]))
