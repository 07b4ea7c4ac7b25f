"""Random targets of any kind, and outputs that say what they say."""

import torch
from torch import Tensor

from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import Axes, What, Where

NAMES = ("background", "one", "two")


def toy_target(where: Where, what: What, names: tuple[str, ...] = NAMES) -> TargetInfo:
    """A target with some names, and units where it takes them."""
    return TargetInfo(where, what, names, ("unit",) * len(names) if what == "value" else ())


def random_target(info: TargetInfo, axes: Axes, size: tuple[int, ...], *, batch: int, seed: int = 0) -> Tensor:
    """Targets of a batch, all known."""
    shape, generator = (batch, *info.target_shape(axes, size)), torch.Generator().manual_seed(seed)
    if info.what == "class":
        return torch.randint(len(info.names), shape, generator=generator)
    if info.what == "labels":
        return torch.randint(2, shape, generator=generator).float()
    return torch.randn(shape, generator=generator)


def right_output(info: TargetInfo, target: Tensor) -> Tensor:
    """Outputs that say what known targets say, float64."""
    if info.what == "value":
        return target.double()
    if info.what == "labels":
        return 20 * (target.double() - 0.5)
    classes = 1 if info.where == "voxel" else -1
    return 10 * torch.nn.functional.one_hot(target, len(info.names)).movedim(-1, classes).double()
