"""Options of the toys."""

from typing import Any

from pydantic import ConfigDict, field_validator

from medvid.config.options import BackboneOptions, DatasetOptions, Options, ProtocolOptions
from medvid.models.options import SegmentationHeadOptions
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import Axes, What, Where


class NetOptions(BackboneOptions):
    width: int = 4

    def check_input(self, info: InputInfo) -> None:
        if any(length % 2 for length in info.size):
            raise ValueError(f"size {list(info.size)} is odd")


class SilentOptions(NetOptions):
    """Refuses sizes without naming them."""

    def check_input(self, info: InputInfo) -> None:
        if any(length % 2 for length in info.size):
            raise ValueError("that will not do")


class StrictOptions(NetOptions):
    """Accepts one size only."""

    def check_input(self, info: InputInfo) -> None:
        if info.size != (8, 8):
            raise ValueError(f"size {list(info.size)} is not [8, 8]")


class BoldOptions(NetOptions):
    """Accepts sizes that the model does not take."""

    def check_input(self, info: InputInfo) -> None: ...


class OpenOptions(NetOptions):
    """Takes whatever it is given."""

    model_config = ConfigDict(extra="allow")


class DoublingOptions(NetOptions):
    """Changes each time it is read."""

    @field_validator("width", mode="before")
    @classmethod
    def _double(cls, value: Any) -> Any:
        return 2 * value


class PointOptions(SegmentationHeadOptions): ...


class SetOptions(DatasetOptions):
    axes: Axes = "volume"
    where: Where = "voxel"
    what: What = "class"
    channels: int = 1
    size: tuple[int, ...] = (8, 12, 4)
    labels: tuple[str, ...] = ("a", "b", "c")

    def input_info(self) -> InputInfo:
        return InputInfo(self.axes, self.channels, self.size)

    def target_info(self) -> TargetInfo:
        return TargetInfo(self.where, self.what, self.labels)


class DemoOptions(Options): ...


class ScoringOptions(ProtocolOptions): ...
