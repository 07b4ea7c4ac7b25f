"""What the user asks of a plan."""

from dataclasses import dataclass
from typing import Literal

from medvid.errors import ConfigError
from medvid.planning.backbones import head_of_topology
from medvid.planning.nnunet.presets import PRESETS
from medvid.plugin.host import Host

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
    """

    backbone: str
    style: Style
    memory: float
    preset: str
    configuration: Configuration | None = None

    def __str__(self) -> str:
        return f"backbone {self.backbone}, style {self.style}, {self.memory:g} GB (preset {self.preset})"


def request_for(
    backbone: str,
    style: Style | None,
    memory: float | None,
    preset: str,
    configuration: Configuration | None,
    host: Host,
) -> Request:
    """Fill in what the user left out: nnU-Net's style for its own networks, and the memory of the preset.

    Raises:
        ConfigError: there is no such backbone, or nnU-Net does not plan it.
    """
    is_planned = bool(head_of_topology(backbone, host))
    if style == "nnunet" and not is_planned:
        raise ConfigError(
            f"nnU-Net has no plan for the backbone {backbone}, only for U-Nets", hint="plan with --style medvid"
        )
    chosen = style or ("nnunet" if is_planned else "medvid")
    if memory is not None and memory <= 0:
        raise ConfigError(f"--memory is {memory:g}: it has to be more than 0 GB")
    return Request(backbone, chosen, memory or PRESETS[preset].gigabytes, preset, configuration)
