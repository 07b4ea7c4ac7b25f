"""Options of Kinetics, and of the generated clips that stand in for it."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from medvid.config.options import Options
from medvid.config.videos import ListedVideoOptions


class KineticsOptions(ListedVideoOptions):
    """Kinetics-400, -600, -700, or any set of their layout, read and augmented as TimeSformer is trained by default.

    As PySlowFast lists it (train.csv, val.csv and test.csv), as mmaction2 does, or in one folder per class, as
    torchvision and pytorchvideo want it.
    """

    name: Literal["kinetics"] = "kinetics"


class ClipsOptions(Options):
    """Generated clips in Kinetics' layout, whose classes are the four directions in which an object moves.

    Every range is drawn from uniformly, for all classes alike.
    """

    train: PositiveInt = 480
    """Training clips of each class."""
    validation: PositiveInt = 60
    """Validation clips of each class."""
    size: tuple[Annotated[int, Field(ge=16)], Annotated[int, Field(ge=16)]] = (50, 70)
    """Range of the height and of the width in pixels; even sizes are drawn."""
    seconds: tuple[PositiveFloat, PositiveFloat] = (1.1, 1.8)
    """Range of the length."""
    speed: tuple[PositiveFloat, PositiveFloat] = (0.3, 0.4)
    """Range of the speed, in lengths of the picture's short side per second."""
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        for name in ("size", "seconds", "speed"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} is a range from the least to the greatest, not {low} to {high}")
        low, high = self.size
        if low == high and low % 2:
            raise ValueError(f"size: there is no even number from {low} to {high}")
        return self
