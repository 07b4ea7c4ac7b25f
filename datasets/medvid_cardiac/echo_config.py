"""Options of CAMUS, and of the echoes that are its demo data."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import Options
from medvid.data.transforms.options import FlipOptions, ScaleIntensityOptions, ShiftIntensityOptions, VolumeTransform
from medvid.data.volumes.options import PatchOptions, Spacing, VolumeDatasetOptions

LABELS = ("background", "left_ventricle", "myocardium", "left_atrium")
"""The labels of CAMUS's files, by id."""
View = Literal["2CH", "4CH"]
Phase = Literal["ED", "ES"]
Quality = Literal["Good", "Medium", "Poor"]
VIEWS: tuple[View, ...] = ("2CH", "4CH")
PHASES: tuple[Phase, ...] = ("ED", "ES")

_FOREIGN = ("folder_layout", "datalist", "ignore_description")


class CAMUSOptions(VolumeDatasetOptions):
    """CAMUS (Leclerc et al., IEEE TMI 2019): ultrasound of the heart in two views at end diastole and end systole.

    The folder is as published: `database_nifti/patient0001/` ... and perhaps `database_split/`, or the folders of the
    patients alone; or the earlier `training/` and `testing/` of .mhd files. A case is an image, `patient0001_4CH_ED`,
    read as a volume of one slice whose other axes are those of the file; sequences are left out. Patients are never
    split between training and held-out cases: the lists subgroup_training.txt, subgroup_validation.txt and
    subgroup_testing.txt, if they are there, say where they belong.
    """

    name: Literal["camus"] = "camus"
    views: Annotated[tuple[View, ...], Field(min_length=1)] = VIEWS
    """The views that are used: two and four chambers."""
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)] = PHASES
    """The phases that are used: end diastole and end systole."""
    quality: Annotated[tuple[Quality, ...], Field(min_length=1)] | None = None
    """Use images of these qualities alone, by ImageQuality in Info_2CH.cfg and Info_4CH.cfg; default: all."""
    spacing: Spacing | None = (0.6, 0.6, 1.0)
    normalize: Literal["window", "percentile", "zscore"] = "window"
    window: tuple[float, float] | None = (0.0, 255.0)
    crop: bool = False
    patch: PatchOptions = PatchOptions(size=(256, 256, 1), per_case=1)
    augment: tuple[VolumeTransform, ...] = (
        FlipOptions(axes=("R",), probability=0.5),
        ScaleIntensityOptions(range=0.1, probability=0.5),
        ShiftIntensityOptions(range=0.1, probability=0.5),
    )
    """Random changes of training patches, in this order."""
    validation_fraction: FractionBelowOne = 0.1
    """Share of the training patients to hold out where lists do not say which; 0: train on all."""
    split_seed: NonNegativeInt = 0
    """Seed that decides which patients these are."""

    @model_validator(mode="after")
    def _one_layout(self) -> "CAMUSOptions":
        fields = type(self).model_fields
        if given := [name for name in _FOREIGN if getattr(self, name) != fields[name].default]:
            raise ValueError(f"CAMUS has one layout, without datalists: leave out {' and '.join(given)}")
        return self

    def label_names(self) -> tuple[str, ...]:
        """Background, cavity of the left ventricle, myocardium and left atrium."""
        return LABELS


class EchoOptions(Options):
    """Generated echoes in CAMUS's layout and file format."""

    train: PositiveInt = 12
    """Number of patients to train with."""
    validation: NonNegativeInt = 4
    test: NonNegativeInt = 4
    shape: tuple[PositiveInt, PositiveInt] = (128, 104)
    """Pixels of each image, across and along the beam."""
    spacing: tuple[PositiveFloat, PositiveFloat] = (1.25, 1.25)
    """Pixel size in mm."""
    seed: NonNegativeInt = 0
