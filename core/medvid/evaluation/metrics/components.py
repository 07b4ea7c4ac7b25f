"""Connected components of masks."""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

Box = tuple[slice, ...]


def neighbourhood(axes: int, touching: int) -> np.ndarray:
    """The voxels that count as neighbours.

    Args:
        axes: number of axes.
        touching: along how many axes neighbours may differ by one: of volumes 1 has 6 neighbours, 2 has 18, 3 has 26;
            of images 1 has 4 and 2 has 8.

    Returns:
        (3, ...) bool, the centre included.
    """
    found: np.ndarray = ndimage.generate_binary_structure(axes, touching)
    return found


def components(mask: np.ndarray, touching: int | None = None) -> np.ndarray:
    """Number the connected components of a mask from 1, in the order of their first voxels; 0 is outside.

    Args:
        mask: (*S) bool.
        touching: see `neighbourhood`; default: voxels with a corner in common are neighbours.
    """
    numbers: np.ndarray = ndimage.label(mask, neighbourhood(mask.ndim, touching or mask.ndim))[0]
    return numbers


def count(mask: np.ndarray, touching: int | None = None) -> int:
    """Number of components."""
    return int(components(mask, touching).max(initial=0))


def bounding_box(mask: np.ndarray, margin: int = 0) -> Box:
    """The smallest box that holds a mask, widened by a margin inside of the array; of an empty mask the first voxel."""
    sides = []
    for axis in range(mask.ndim):
        found = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        first, last = (int(found[0]), int(found[-1])) if len(found) else (0, 0)
        sides.append(slice(max(first - margin, 0), last + 1 + margin))
    return tuple(sides)


def enclosing(boxes: Iterable[Box]) -> Box:
    """The smallest box that holds all of these."""
    return tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides)) for sides in zip(*boxes, strict=True)
    )
