"""The largest patch, and then the largest batch, that the memory allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medvid.errors import ResourceError
from medvid.planning.nnunet.estimate import feature_map_elements
from medvid.planning.nnunet.presets import Preset
from medvid.planning.nnunet.topology import Topology, plan_topology

_FIRST_VOXELS = {3: 256**3, 2: 2048**2}
_BATCH = {3: 2, 2: 12}
"""Examples that the references are meant for."""
_LEAST_BATCH = 2


@dataclass(frozen=True, slots=True)
class Sizing:
    """What fits.

    Args:
        topology: of the network, with its patch.
        batch: examples.
        elements: of feature maps per example, see `estimate`.
        reference: what the planner allows them to be.
        cut: how often the patch was made smaller.
    """

    topology: Topology
    batch: int
    elements: int
    reference: float
    cut: int


def plan_patch(
    spacing: Sequence[float], median: Sequence[float], voxels: float, classes: int, preset: Preset, memory: float
) -> Sizing:
    """Begin with a patch of equal mm on all sides, no larger than the median case, and cut until it fits.

    Args:
        spacing: mm per axis.
        median: voxels of the median case at it.
        voxels: of all cases at it.
        classes: entries of `labels`.
        preset: of the planner.
        memory: GB.

    Raises:
        ResourceError: not even the smallest patch fits.
    """
    axes = len(spacing)
    reference, at_once = preset.elements(axes, memory), _BATCH[axes]
    topology, cut = plan_topology(spacing, first_patch(spacing, median)), 0
    elements = feature_map_elements(topology, classes, preset.residual)
    # The plain planner lets a patch in 2D be six times as large as the reference for its batch; the others do not.
    while (elements if preset.residual else elements / at_once * 2) > reference:
        topology, cut = _cut(topology, spacing, median), cut + 1
        elements = feature_map_elements(topology, classes, preset.residual)
    allowed = round(reference / elements * at_once)
    of_data = round(preset.coverage * voxels / math.prod(topology.patch))
    return Sizing(topology, max(min(allowed, of_data), _LEAST_BATCH), elements, reference, cut)


def first_patch(spacing: Sequence[float], median: Sequence[float]) -> list[float]:
    """A patch of 256^3 voxels (2048^2 in 2D) with sides of equal mm, cut to the median case."""
    inverse = [1 / mm for mm in spacing]
    axes = len(spacing)
    scale = (_FIRST_VOXELS[axes] / math.prod(inverse)) ** (1 / axes)
    return [min(round(part * scale), most) for part, most in zip(inverse, median, strict=True)]


def _cut(topology: Topology, spacing: Sequence[float], median: Sequence[float]) -> Topology:
    """One step less of the axis that covers most of the median case; the last of equal ones."""
    patch = list(topology.patch)
    covered = [voxels / whole for voxels, whole in zip(patch, median, strict=True)]
    axis = max(range(len(patch)), key=lambda each: (covered[each], each))
    trial = [voxels - topology.divisors[axis] if each == axis else voxels for each, voxels in enumerate(patch)]
    # The step is that of the smaller patch, taken from the larger one, as nnU-Net does it.
    patch[axis] -= plan_topology(spacing, trial).divisors[axis]
    if patch[axis] <= 0:
        raise ResourceError("no patch fits into the memory, not even the smallest", hint="plan for more memory")
    return plan_topology(spacing, patch)
