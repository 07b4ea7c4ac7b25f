"""Options of small components that exist for the tests of the configuration only."""

from typing import Annotated, Literal

from pydantic import PositiveInt, model_validator

from medvid.config.named import Named
from medvid.config.options import BackboneOptions, DatasetOptions, HeadOptions, LossOptions, Options, WeightsOptions
from medvid.errors import DataError
from medvid.losses.options import CrossEntropyOptions
from medvid.plugin.info import InputInfo, TargetInfo


class ToyWeights(WeightsOptions):
    source: Literal["hub"]


class NetOptions(BackboneOptions):
    weights: ToyWeights | None = None
    width: PositiveInt = 8
    sizes: tuple[PositiveInt, ...] = ()
    norm: Literal["batch", "layer"] | PositiveInt = "batch"

    @model_validator(mode="after")
    def _width_is_even(self) -> "NetOptions":
        if self.width % 2:
            raise ValueError(f"width ({self.width}) has to be even")
        return self

    def check_input(self, info: InputInfo) -> None:
        if self.sizes and info.size != self.sizes:
            raise ValueError(f"sizes is {list(self.sizes)}, inputs are {list(info.size)}")


class OtherNetOptions(BackboneOptions):
    depth: PositiveInt = 2


class PixelOptions(HeadOptions):
    bias: bool = True
    loss: Annotated[LossOptions, Named("loss")] = CrossEntropyOptions()


class ScansOptions(DatasetOptions):
    patch: tuple[int, int, int] = (4, 4, 4)
    labels: tuple[str, ...] = ("background", "organ")

    def input_info(self) -> InputInfo:
        return InputInfo("volume", 1, self.patch)

    def target_info(self) -> TargetInfo:
        if self.labels == ("read",):
            raise DataError("dataset.json is missing")
        return TargetInfo("voxel", "class", self.labels)


class ClipsOptions(ScansOptions):
    def input_info(self) -> InputInfo:
        return InputInfo("video", 3, self.patch)

    def target_info(self) -> TargetInfo:
        return TargetInfo("case", "class", self.labels)


class PhantomOptions(Options):
    cases: PositiveInt = 3
    shape: tuple[int, int, int] = (8, 8, 8)


class ClumsyOptions(BackboneOptions):
    @model_validator(mode="after")
    def _fails(self) -> "ClumsyOptions":
        raise KeyError("bug")


class NoOptions:
    """Not a pydantic model at all."""
