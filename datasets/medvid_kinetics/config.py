"""Options of Kinetics, and of the generated clips that are its demo data."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.options import Options
from medvid.data.videos.options import ListedVideoOptions


class KineticsOptions(ListedVideoOptions):
    """Kinetics-400, -600, -700, or any set with their layout, by default read and augmented as in TimeSformer.

    In the lists of PySlowFast (train.csv, val.csv and test.csv) or mmaction2, or in one folder per class, as for
    torchvision and pytorchvideo.
    """

    name: Literal["kinetics"] = "kinetics"


class ClipsOptions(Options):
    """Generated clips in Kinetics' layout, whose classes are the four directions in which an object moves.

    Draws are uniform within every range, in the same way for all classes.
    """

    train: PositiveInt = 480
    """Training clips per class."""
    validation: PositiveInt = 60
    """Validation clips per class."""
    size: tuple[Annotated[int, Field(ge=16)], Annotated[int, Field(ge=16)]] = (50, 70)
    """Range of the height and of the width in pixels; even sizes are drawn."""
    seconds: tuple[PositiveFloat, PositiveFloat] = (1.1, 1.8)
    """Range of the length."""
    speed: tuple[PositiveFloat, PositiveFloat] = (0.3, 0.4)
    """Range of the speed, in lengths of the frame's short side per second."""
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        for name in ("size", "seconds", "speed"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} is {[low, high]}, its first value has to be the lower one")
        low, high = self.size
        if low == high and low % 2:
            raise ValueError(f"size: there is no even number from {low} to {high}")
        return self
