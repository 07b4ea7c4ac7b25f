"""Linear interpolation of labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np

_AT_ONCE = 1 << 18  # voxels


def largest_indicator(labels: np.ndarray, operators: Sequence[np.ndarray]) -> np.ndarray:
    """The label whose indicator is largest after linear interpolation.

    Of equal ones it is that of the nearest voxel, if it is one of them, else the lowest: the rule of batchgenerators
    since 0.25.5. Where all voxels around have one label, that is it; only the others, close to borders, are computed.

    Args:
        labels: (*S) integers.
        operators: per axis a matrix (new, old) with one or two weights per row, whose sum is 1.

    Returns:
        Labels with the new lengths, of the same type.
    """
    taps = [_Taps.of(operator) for operator in operators]
    lowest = highest = nearest = labels
    for axis, tap in enumerate(taps):
        nearest = nearest.take(tap.nearest, axis)
        if tap.is_linear:
            lowest = np.minimum(lowest.take(tap.lower, axis), lowest.take(tap.upper, axis))
            highest = np.maximum(highest.take(tap.lower, axis), highest.take(tap.upper, axis))
        else:
            lowest, highest = lowest.take(tap.nearest, axis), highest.take(tap.nearest, axis)
    result = np.ascontiguousarray(nearest)
    mixed = np.flatnonzero(lowest != highest)
    for start in range(0, len(mixed), _AT_ONCE):
        part = mixed[start : start + _AT_ONCE]
        result.flat[part] = _largest(labels, taps, np.unravel_index(part, result.shape), result.flat[part])
    return result


@dataclass(frozen=True, slots=True)
class _Taps:
    """The voxels from which those of another axis are interpolated.

    Args:
        lower: index of the one before.
        upper: index of the one behind; where one alone has weight, it is both.
        fraction: weight of ``upper``.
        nearest: index of the nearest.
    """

    lower: np.ndarray
    upper: np.ndarray
    fraction: np.ndarray
    nearest: np.ndarray

    @classmethod
    def of(cls, operator: np.ndarray) -> Self:
        weighs = operator != 0
        lower, upper = weighs.argmax(axis=1), operator.shape[1] - 1 - weighs[:, ::-1].argmax(axis=1)
        fraction = np.where(lower == upper, 0.0, operator[range(len(operator)), upper])
        # scipy rounds a coordinate half-way between two voxels up
        return cls(lower, upper, fraction, np.where(fraction < 0.5, lower, upper))

    @property
    def is_linear(self) -> bool:
        """Whether any voxel has two that count."""
        return bool((self.lower != self.upper).any())

    def corners(self, index: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Index and weight of the two voxels."""
        fraction = self.fraction[index]
        return (self.lower[index], 1 - fraction), (self.upper[index], fraction)


def _largest(labels: np.ndarray, taps: Sequence[_Taps], where: Sequence[np.ndarray], nearest: np.ndarray) -> np.ndarray:
    """The winning labels (N,) at places, per axis (N,), whose nearest labels (N,) are known."""
    around = list(product(*(tap.corners(index) for tap, index in zip(taps, where, strict=True))))
    found = [labels[tuple(index for index, _ in corner)] for corner in around]
    weights = [np.prod([weight for _, weight in corner], axis=0) for corner in around]

    def score(label: np.ndarray) -> np.ndarray:
        shares = [np.where(other == label, weight, 0) for other, weight in zip(found, weights, strict=True)]
        return np.asarray(np.sum(shares, axis=0))

    # Multiplied and added in scipy's order, so that rounding decides as there where equal scores come out unequal.
    scores = [score(label) for label in found]
    best = np.max(scores, axis=0)
    highest = np.iinfo(labels.dtype).max
    tied = [np.where(one == best, label, highest) for one, label in zip(scores, found, strict=True)]
    return np.where(score(nearest) == best, nearest, np.min(tied, axis=0))
