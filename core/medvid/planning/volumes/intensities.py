"""Intensities of labelled voxels: drawn per case, so that each case weighs the same, and summarised over cases.

nnU-Net draws 10^8 values over all cases, with replacement. Which values were drawn how often says the same in less
memory, so these are kept instead.
"""

from collections.abc import Iterator, Sequence

import numpy as np

DRAWS = 10**8
"""Values of a channel over all cases."""
_SEED = 1234
_AT_ONCE = 10**6

Drawn = tuple[np.ndarray, np.ndarray]
"""Different values, ascending, float32, and how often each was drawn."""


def draw(channels: Sequence[np.ndarray], count: int) -> list[Drawn]:
    """Draw values of one case.

    Args:
        channels: values of its labelled voxels, (V,) each, in the order of z, y, x as stored.
        count: values to draw of each channel; the draws of a channel follow those of the one before it.
    """
    random = np.random.RandomState(_SEED)  # nnU-Net's, anew for each case
    found = []
    for values in channels:
        times = np.zeros(len(values), dtype=np.int64)
        if len(values):
            for part in _parts(count):
                times += np.bincount(random.randint(0, len(values), part), minlength=len(values))
        kept = times > 0
        different, place = np.unique(values[kept].astype(np.float32), return_inverse=True)
        found.append((different, np.bincount(place, times[kept], len(different)).astype(np.int64)))
    return found


def summarise(cases: Sequence[Drawn]) -> dict[str, float]:
    """Mean, median, standard deviation, extremes and percentiles of what was drawn of a channel in all cases.

    Args:
        cases: at least one of them with values.
    """
    values = np.concatenate([case[0] for case in cases])
    times = np.concatenate([case[1] for case in cases])
    order = np.argsort(values)
    values, times = values[order].astype(np.float64), times[order]
    mean = float(np.average(values, weights=times))
    until = np.cumsum(times)
    return {
        "mean": mean,
        "median": _percentile(values, until, 50),
        "std": float(np.sqrt(np.average((values - mean) ** 2, weights=times))),
        "min": float(values[0]),
        "max": float(values[-1]),
        "percentile_00_5": _percentile(values, until, 0.5),
        "percentile_99_5": _percentile(values, until, 99.5),
    }


def _percentile(values: np.ndarray, until: np.ndarray, percent: float) -> float:
    """As of all draws in a row, interpolated between neighbours.

    Args:
        values: ascending.
        until: draws up to each of them.
        percent: 0 to 100.
    """
    place = (int(until[-1]) - 1) * percent / 100
    below, above = (values[np.searchsorted(until, whole, side="right")] for whole in (int(place), -int(-place // 1)))
    return float(below + (above - below) * (place - int(place)))


def _parts(count: int) -> Iterator[int]:
    while count > 0:
        yield min(count, _AT_ONCE)
        count -= _AT_ONCE
