"""How a decoder's levels are laid out over any feature pyramid: pure arithmetic on strides."""

import itertools
import math
from collections.abc import Sequence

Stride = tuple[int, ...]
"""How many input voxels one voxel of a map spans, on each axis."""


def level_strides(coarsest: Stride) -> list[Stride]:
    """Strides of the decoder's levels, finest (all ones) first, ending above the coarsest map.

    Level k has stride 2**k on each axis, but never more than the coarsest map has on it: (2, 16, 16) is reached over
    (1, 1, 1), (2, 2, 2), (2, 4, 4), (2, 8, 8), and 14 over 1, 2, 4, 8.
    """
    count = max(1, *(octaves(1, stride) for stride in coarsest))
    return [tuple(min(2**level, stride) for stride in coarsest) for level in range(count)]


def match_levels(maps: Sequence[Stride], levels: Sequence[Stride]) -> dict[int, int]:
    """Choose which map is the skip of which level, keeping their order and using as many as possible.

    Of all such choices the one with the smallest total distance (in octaves of stride, over all axes) is taken. So an
    exact pyramid lands on its own strides, and UNETR's three equal maps on the three levels above them. Level 0 takes a
    map only where the finest map has its full resolution.

    Returns:
        Index of the map by index of the level.
    """
    first = 0 if maps and max(maps[0]) == 1 else 1
    open_levels = range(first, len(levels))
    count = min(len(maps), len(open_levels))
    choices = itertools.product(
        itertools.combinations(open_levels, count), itertools.combinations(range(len(maps)), count)
    )

    def distance(choice: tuple[tuple[int, ...], tuple[int, ...]]) -> float:
        return sum(_distance(levels[level], maps[index]) for level, index in zip(*choice, strict=True))

    return dict(zip(*min(choices, key=distance), strict=True))


def octaves(fine: int, coarse: int) -> int:
    """Doublings that lead from one stride to the other, rounded up; 0 where it is not the coarser one."""
    return max(0, math.ceil(math.log2(coarse / fine)))


def _distance(one: Stride, other: Stride) -> float:
    return sum(abs(math.log2(a / b)) for a, b in zip(one, other, strict=True))
