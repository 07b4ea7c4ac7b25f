"""From what formats other than NIfTI say of space to an affine in RAS+ millimetres."""

from collections.abc import Sequence

import numpy as np

from medvid.data.volumes.affines import is_singular
from medvid.data.volumes.formats.format import Geometry, UnusableError

LPS, RAS, LAS = (-1, -1, 1), (1, 1, 1), (-1, 1, 1)
"""The signs that lead from these axes of a body to RAS+."""
UNITS = {"m": 1e3, "cm": 10.0, "mm": 1.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "nm": 1e-6}
"""Millimetres by the names of units."""


def affine_of(steps: np.ndarray, origin: Sequence[float], signs: Sequence[int] = RAS, unit: float = 1.0) -> np.ndarray:
    """The affine of a grid.

    Args:
        steps: (3, n): column i is the way from a voxel to the next one on axis i, for n axes; two get a third one at
            right angles, of length 1.
        origin: of the first voxel.
        signs: of the axes that both are along, see `LPS`.
        unit: millimetres per unit of both.

    Raises:
        UnusableError: it cannot be inverted.
    """
    affine = np.eye(4)
    affine[:3, : steps.shape[1]] = steps
    if steps.shape[1] == 2:
        normal = np.cross(steps[:, 0], steps[:, 1])
        affine[:3, 2] = normal / (np.linalg.norm(normal) or 1) / unit
    affine[:3, 3] = origin
    if is_singular(affine):
        raise UnusableError(f"has axes that do not span three dimensions: {np.round(affine[:3, :3], 4).tolist()}")
    return np.asarray(np.diag([*np.multiply(signs, unit), 1.0]) @ affine)


def steps_in(geometry: Geometry, signs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The steps of a grid's axes, a row each, and its origin, along other axes of a body, in mm."""
    turned = np.diag(signs) @ geometry.affine[:3]
    return turned[:, :3].T, turned[:, 3]


def in_words(values: Sequence[float] | np.ndarray) -> str:
    """Numbers in a header, such that they are read back exactly."""
    return " ".join(repr(float(value)) for value in values)
