"""What the user asks of a plan."""

from dataclasses import dataclass
from typing import Literal

from medvid.errors import ConfigError
from medvid.planning.backbones import head_of_topology
from medvid.planning.nnunet.presets import PRESETS
from medvid.plugin.host import Host
from medvid.plugin.specs import BackboneSpec, DatasetSpec

Style = Literal["nnunet", "medvid"]
Configuration = Literal["2d", "3d_fullres", "3d_lowres"]


@dataclass(frozen=True, slots=True)
class Request:
    """A plan that is wanted.

    Args:
        backbone: name of the backbone.
        style: the recipe: nnU-Net's, or medvid's.
        memory: GB of the device.
        preset: of nnU-Net's planner, see `medvid.planning.nnunet.presets`.
        configuration: of nnU-Net's plans; None: 3d_fullres, or 2d where cases are flat.
        steps: of the training; None: as the recipe was published.
        splits: whether to write splits_final.json into the data set's folder.
    """

    backbone: str
    style: Style
    memory: float
    preset: str
    configuration: Configuration | None = None
    steps: int | None = None
    splits: bool = False

    def __str__(self) -> str:
        planner = f", planner {PRESETS[self.preset].planner}" if self.style == "nnunet" else ""
        steps = f", {self.steps} steps" if self.steps else ""
        return f"backbone {self.backbone}, style {self.style}{planner}, {self.memory:g} GB{steps}"


def request_for(
    backbone: str | None,
    dataset: DatasetSpec,
    style: Style | None,
    memory: float | None,
    preset: str,
    configuration: Configuration | None,
    steps: int | None,
    splits: bool,
    host: Host,
) -> Request:
    """Fill in what the user left out: the network that nnU-Net plans, its style for it, and the memory of the preset.

    Raises:
        ConfigError: there is no such backbone, none was named where nnU-Net has no plan, or it does not plan this one.
    """
    backbone = backbone or _planned_backbone(dataset, host)
    is_planned = dataset.where == "voxel" and bool(head_of_topology(backbone, host))
    if style == "nnunet" and not is_planned:
        raise ConfigError(
            f"nnU-Net has no plan for the backbone {backbone}, only for U-Nets that segment",
            hint="plan with --style medvid",
        )
    chosen = style or ("nnunet" if is_planned else "medvid")
    if memory is not None and memory <= 0:
        raise ConfigError(f"--memory is {memory:g}: it has to be more than 0 GB")
    return Request(backbone, chosen, memory or PRESETS[preset].gigabytes, preset, configuration, steps, splits)


def _planned_backbone(dataset: DatasetSpec, host: Host) -> str:
    suited = [spec.name for spec in host.specs(BackboneSpec) if dataset.axes in spec.axes]
    planned = [name for name in suited if dataset.where == "voxel" and head_of_topology(name, host)]
    if not planned:
        raise ConfigError(
            f"nnU-Net has no plan for {dataset.axes}s with an answer per {dataset.where}",
            hint=f"name a backbone: --backbone {' | '.join(suited)}",
        )
    return planned[0]
