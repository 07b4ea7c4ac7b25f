"""Options of EchoNet-Dynamic, and of the cine loops that are its demo data."""

from collections.abc import Mapping
from functools import partial
from statistics import fmean, pstdev
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.options import Options
from medvid.data.fold_choice import settle
from medvid.data.transforms.options import VideoTransform
from medvid.data.videos.clip_options import Color, PositiveColor
from medvid.data.videos.index import VideoIndex
from medvid.data.videos.options import VideoDatasetOptions
from medvid.data.videos.sampling import ShortPolicy
from medvid.plugin.info import TargetInfo
from medvid_echonet.index import FileList, Measure, read_file_list

UNITS: Mapping[Measure, str] = {"EF": "%", "ESV": "ml", "EDV": "ml"}
SIZE = 112
"""Height and width of the published videos."""


class EchoNetOptions(VideoDatasetOptions):
    """EchoNet-Dynamic (Ouyang et al., Nature 2020): ejection fractions of 10,030 videos of the heart, as published.

    `root` has FileList.csv, VolumeTracings.csv and Videos/. By default clips are read and changed as in the authors'
    code: 32 frames, every second one of the file, with margins of 12 pixels of which a random square is taken.
    """

    name: Literal["echonet"] = "echonet"
    measures: Annotated[tuple[Measure, ...], Field(min_length=1)] = ("EF",)
    """What is predicted: the ejection fraction (EF), the volumes at end systole (ESV) and end diastole (EDV)."""
    means: dict[Measure, float] = Field(default_factory=dict)
    """Value from which a measure is learnt as a distance, at which an untrained model starts; default: the mean of the
    training videos."""
    deviations: dict[Measure, PositiveFloat] = Field(default_factory=dict)
    """Unit in which that distance is counted, and so the loss; default: the standard deviation of the training videos.
    The authors' loss is in percent: {EF: 1}."""
    untraced: Literal["drop", "keep"] = "drop"
    """Videos without a tracing in VolumeTracings.csv: leave them out, as the authors do (six), or use them."""
    frames: PositiveInt = 32
    rate: PositiveFloat = 2
    target_fps: PositiveFloat | Literal["file"] = "file"
    short: ShortPolicy = "blank"
    size: PositiveInt = SIZE
    short_side: tuple[PositiveInt, PositiveInt] | None = (SIZE, SIZE)
    margin: NonNegativeInt = 12
    mean: Color = (0.1274, 0.1274, 0.1274)
    std: PositiveColor = (0.1956, 0.1956, 0.1956)
    augment: tuple[VideoTransform, ...] = ()

    @model_validator(mode="after")
    def _values_alone(self) -> Self:
        if self.classes is not None:
            raise ValueError("EchoNet's answers are numbers: leave out classes")
        if len(set(self.measures)) < len(self.measures):
            raise ValueError(f"measures names one twice: {', '.join(self.measures)}")
        return self

    def index(self) -> VideoIndex:
        """The videos of FileList.csv, see `VideoDatasetOptions.index`."""
        return self.file_list().index

    def file_list(self) -> FileList:
        """The videos of FileList.csv with their measures.

        Raises:
            DataError: all that is wrong with it.
        """
        return read_file_list(self.root, drop_untraced=self.untraced == "drop")

    def target_info(self) -> TargetInfo:
        """The measures with their units, see `DatasetOptions.target_info`."""
        if not set(self.measures) <= self.means.keys() & self.deviations.keys():
            return self.filled().target_info()
        return TargetInfo(
            "case",
            "value",
            self.measures,
            tuple(UNITS[measure] for measure in self.measures),
            means=tuple(self.means[measure] for measure in self.measures),
            deviations=tuple(self.deviations[measure] for measure in self.measures),
        )

    def filled(self) -> Self:
        """With mean and deviation of the training videos, see `DatasetOptions.filled`."""
        if set(self.measures) <= self.means.keys() & self.deviations.keys():
            return self
        files = self.file_list()
        splits = files.index.splits
        train = settle(self, lambda: splits, lambda: splits, dict, partial(tuple, files.measured))["train"]
        known = {measure: [files.measured[case][measure] for case in train] for measure in self.measures}
        means = {measure: fmean(values) for measure, values in known.items()}
        deviations = {measure: pstdev(values) or 1.0 for measure, values in known.items()}
        return self.model_copy(update={"means": means | self.means, "deviations": deviations | self.deviations})


class CineLoopOptions(Options):
    """Generated cine loops of a beating ventricle in EchoNet-Dynamic's layout and file format.

    Draws are uniform within every range.
    """

    train: PositiveInt = 160
    """Videos to train with."""
    validation: PositiveInt = 40
    test: PositiveInt = 40
    size: Annotated[int, Field(ge=32, multiple_of=2)] = SIZE
    """Height and width in pixels."""
    frames: tuple[PositiveInt, PositiveInt] = (70, 110)
    """Range of the number of frames, at 50 per second."""
    beats: tuple[PositiveFloat, PositiveFloat] = (55, 100)
    """Range of the heart rate per minute."""
    ejection_fraction: tuple[PositiveFloat, PositiveFloat] = (15, 75)
    """Range of the ejection fraction in percent."""
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("frames", "beats", "ejection_fraction"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} is {[low, high]}, its first value has to be the lower one")
        if self.ejection_fraction[1] >= 100:
            raise ValueError("ejection_fraction has to stay below 100 %")
        return self
