"""Options of the RSNA haemorrhage data set and its protocol, and of the generated heads that are its demo data."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import Options, ProtocolOptions
from medvid.data.framed_options import FramedOptions
from medvid.data.splits import SplitOptions
from medvid.data.transforms.options import VolumeTransform
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.sentences import listed

LABELS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")
"""Kinds of haemorrhage, and whether there is any, in the order of the published table."""
WINDOWS = {"brain": (0.0, 80.0), "subdural": (-20.0, 180.0), "bone": (-800.0, 2000.0)}
"""Lowest and highest HU of the windows by which radiologists look at heads."""

Window = Literal["brain", "subdural", "bone"] | tuple[float, float]
Size = tuple[PositiveInt, PositiveInt, PositiveInt]


class RSNAHemorrhageOptions(FramedOptions):
    """RSNA Intracranial Hemorrhage Detection 2019 (Flanders et al., Radiology: AI 2020) as it unpacks.

    `root` has stage_2_train.csv, whose lines say of an image and a kind of haemorrhage whether it is there, and the
    folder stage_2_train of single slices, ``ID_<image>.dcm``. A case is a series: the files of one SeriesInstanceUID,
    in the order of their positions. Validation patients are held out whole. Slices that the table does not name are
    unknown. Needs the extra ``medvid[dicom]``.
    """

    name: Literal["rsna_hemorrhage"] = "rsna_hemorrhage"
    table: str = "stage_2_train.csv"
    """The table of labels, relative to `root`."""
    images: str = "stage_2_train"
    """The folder of slices, relative to `root`; also with folders in it."""
    windows: Annotated[tuple[Window, ...], Field(min_length=1)] = ("brain", "subdural", "bone")
    """A channel each: brain (0 to 80 HU), subdural (-20 to 180), bone (-800 to 2000), or the lowest and highest HU.
    They become 0 and 1, and what lies beyond is cut off."""
    size: Size = (256, 256, 16)
    """Pixels along R and A to which slices are resampled, and how many follow one another in a training example. A
    series of fewer is filled up with its last slice, without labels."""
    leave_out: tuple[str, ...] = ()
    """Images (ID_...) or series not to use, such as files that are damaged."""
    split: SplitOptions | None = None
    """The series of each split; default: `validation_fraction`."""
    validation_fraction: FractionBelowOne = 0.1
    """Share of the patients to hold out; 0: train on all."""
    split_seed: NonNegativeInt = 0
    """Seed that decides which these are."""
    augment: tuple[VolumeTransform, ...] = ()
    """Random changes of training examples, in this order."""

    @field_validator("windows")
    @classmethod
    def _ordered(cls, windows: tuple[Window, ...]) -> tuple[Window, ...]:
        for window in windows:
            if not isinstance(window, str) and not window[0] < window[1]:
                raise ValueError(f"{list(window)} is not a window: its first value has to be the lower one")
        return windows

    @property
    def limits(self) -> tuple[tuple[float, float], ...]:
        """Lowest and highest HU of each channel."""
        return tuple(WINDOWS[window] if isinstance(window, str) else window for window in self.windows)

    def input_info(self) -> InputInfo:
        """Slices that follow one another, see `DatasetOptions.input_info`."""
        return InputInfo("volume", len(self.windows), self.size, self.stride, self.answers)

    def target_info(self) -> TargetInfo:
        """The kinds of haemorrhage on each slice, see `DatasetOptions.target_info`."""
        return TargetInfo("frame", "labels", LABELS, has_unknown=True)


class RSNAProtocolOptions(ProtocolOptions):
    """The challenge's figure beside medvid's: the log loss of all labels of all slices, in which `any` counts twice."""

    name: Literal["rsna_hemorrhage"]
    weights: dict[str, PositiveFloat] = Field(default={"any": 2.0})
    """Weight of a label in the mean; those that are not named have 1."""

    def check_target(self, info: TargetInfo) -> None:
        """Refuse weights of labels that there are not, see `ProtocolOptions.check_target`."""
        if strange := [name for name in self.weights if name not in info.names]:
            raise ValueError(f"weights has {listed(strange)}, but the labels are {listed(info.names)}")


class BleedsOptions(Options):
    """Generated CT of heads with bleeds, in the layout and file format of the challenge."""

    patients: PositiveInt = 60
    """Number of patients; each third one has two series."""
    size: PositiveInt = 64
    """Pixels on a side of a slice."""
    slices: Annotated[tuple[PositiveInt, PositiveInt], Field(min_length=2)] = (9, 14)
    """Fewest and most slices of a series."""
    seed: NonNegativeInt = 0
