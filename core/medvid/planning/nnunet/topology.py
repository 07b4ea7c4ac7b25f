"""Stages of a U-Net: where each axis is pooled, and by which kernels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

_LEAST_EDGE = 4
"""Voxels of the smallest feature map per axis."""
_ALIKE = 2
"""Times by which an axis may be coarser than the finest one and still be treated as it is."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The stages, finest first.

    Args:
        strides: per stage and axis; the first stage has 1.
        kernels: per stage and axis.
        divisors: of the patch, per axis: 2 to the number of its poolings.
        patch: voxels per axis, padded to multiples of these.
    """

    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    divisors: tuple[int, ...]
    patch: tuple[int, ...]

    def features(self) -> list[int]:
        """Channels of the stages: 32, twice as many in each, up to 320 for three axes and 512 for two."""
        cap = 320 if len(self.patch) == 3 else 512
        return [min(32 * 2**stage, cap) for stage in range(len(self.strides))]


def topology_of(strides: Sequence[Sequence[int]], kernels: Sequence[Sequence[int]], patch: Sequence[int]) -> Topology:
    """The topology that plans.json has."""
    divisors = tuple(math.prod(steps) for steps in zip(*strides, strict=True))
    return Topology(tuple(map(tuple, strides)), tuple(map(tuple, kernels)), divisors, tuple(patch))


def plan_topology(spacing: Sequence[float], size: Sequence[float]) -> Topology:
    """Pool the axes of nearly the finest spacing until all are alike, and all until the feature maps are small.

    Args:
        spacing: mm per axis.
        size: voxels per axis, of a patch.
    """
    now, left = list(spacing), list(size)
    kernel = [1] * len(now)
    strides, kernels = [(1,) * len(now)], []
    while pooled := _axes_to_pool(now, left):
        kernel = [3 if k == 3 or mm / min(now) < _ALIKE else 1 for k, mm in zip(kernel, now, strict=True)]
        kernels.append(tuple(kernel))
        strides.append(tuple(2 if axis in pooled else 1 for axis in range(len(now))))
        for axis in pooled:
            now[axis], left[axis] = now[axis] * 2, math.ceil(left[axis] / 2)
    topology = topology_of(strides, [*kernels, (3,) * len(now)], ())
    pairs = zip(size, topology.divisors, strict=True)
    return replace(topology, patch=tuple(math.ceil(voxels / divisor) * divisor for voxels, divisor in pairs))


def _axes_to_pool(spacing: Sequence[float], size: Sequence[float]) -> list[int]:
    long = [axis for axis, voxels in enumerate(size) if voxels >= 2 * _LEAST_EDGE]
    finest = min((spacing[axis] for axis in long), default=1.0)
    alike = [axis for axis in long if spacing[axis] / finest < _ALIKE]
    if len(alike) == 1 and size[alike[0]] < 3 * _LEAST_EDGE:
        return []
    return alike
