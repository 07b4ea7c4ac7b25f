"""Times of a computation on a device, with their spread."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

WARM_UP = 2
"""Calls before those that count: the first ones choose kernels and allocate memory."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of repeated calls.

    Args:
        calls: how many.
        median: half of them took less.
        p90: nine of ten took less.
        p99: 99 of 100 took less; the longest, for fewer than 100.
    """

    calls: int
    median: float
    p90: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Times":
        """Of at least one call; the percentile p is the smallest time that p % do not exceed."""
        ordered = sorted(seconds)

        def percentile(share: float) -> float:
            return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

        return cls(len(ordered), percentile(0.5), percentile(0.9), percentile(0.99))


def synchronise(device: torch.device) -> None:
    """Wait until the device has computed what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def measure(call: Callable[[], object], device: torch.device, seconds: float, most: int = 1000) -> Times:
    """Call until the time is over, at least once, and wait for the device each time.

    Args:
        call: what is measured; `WARM_UP` more calls come before, one where that took longer than `seconds`.
        device: where it computes.
        seconds: for which to go on.
        most: calls.
    """
    for _ in range(WARM_UP):
        if timed(call, device) > seconds:
            break
    taken: list[float] = []
    while not taken or (sum(taken) < seconds and len(taken) < most):
        taken.append(timed(call, device))
    return Times.of(taken)


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call, with all that the device computes for it."""
    synchronise(device)
    began = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - began
