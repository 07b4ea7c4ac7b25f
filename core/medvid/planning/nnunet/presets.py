"""The planners of nnU-Net v2: what they aim at, and for which memory (arXiv 2404.09556, table 2)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """A planner.

    Args:
        planner: nnU-Net's name of it.
        plans_name: nnU-Net's name of its plans.
        residual: whether the encoder is residual.
        elements_3d: reference, elements of all feature maps of one example.
        elements_2d: the same for two axes.
        gigabytes: memory that the references belong to.
        coverage: largest share of all voxels that a batch may hold.
    """

    planner: str
    plans_name: str
    residual: bool
    elements_3d: float
    elements_2d: float
    gigabytes: float
    coverage: float

    def elements(self, axes: int, memory: float) -> float:
        """The reference for a memory in GB: in proportion to it."""
        return (self.elements_3d if axes == 3 else self.elements_2d) * (memory / self.gigabytes)


PRESETS: Mapping[str, Preset] = {
    "plain": Preset("ExperimentPlanner", "nnUNetPlans", False, 560e6, 85e6, 8, 0.05),
    "resenc_m": Preset("nnUNetPlannerResEncM", "nnUNetResEncUNetMPlans", True, 680e6, 135e6, 8, 1.0),
    "resenc_l": Preset("nnUNetPlannerResEncL", "nnUNetResEncUNetLPlans", True, 2100e6, 380e6, 24, 1.0),
    "resenc_xl": Preset("nnUNetPlannerResEncXL", "nnUNetResEncUNetXLPlans", True, 3600e6, 560e6, 40, 1.0),
}
