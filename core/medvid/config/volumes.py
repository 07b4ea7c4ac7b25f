"""Options that every data set of segmented volumes has."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from unicodedata import normalize

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from medvid.config.options import DatasetOptions, Options
from medvid.data.description import Description, compare
from medvid.data.index import LayoutName
from medvid.plugin.info import InputInfo, TargetInfo

Probability = Annotated[float, Field(ge=0, le=1)]
Spacing = tuple[PositiveFloat, PositiveFloat, PositiveFloat]
Size = tuple[PositiveInt, PositiveInt, PositiveInt]


class PatchOptions(Options):
    """How training patches are drawn from a case."""

    size: Size = (96, 96, 96)
    """Patch size in prepared voxels, along the axes R, A, S; smaller volumes are padded with zeros."""
    per_case: PositiveInt = 4
    """Patches drawn from a case each time it is visited."""
    positive: NonNegativeFloat = 1.0
    """Weight of patches centred on a labelled voxel, ..."""
    negative: NonNegativeFloat = 1.0
    """... against patches centred on an unlabelled voxel of the body."""

    @model_validator(mode="after")
    def _some_weight(self) -> "PatchOptions":
        if self.positive + self.negative == 0:
            raise ValueError("positive and negative are both 0: no patch could be drawn")
        return self


class IntensityChange(Options):
    """A random change of all intensities of a patch."""

    range: NonNegativeFloat = 0.1
    """The change is drawn uniformly from [-range, range]."""
    probability: Probability = 0.1


class AugmentOptions(Options):
    """Random changes of training patches; the defaults are those of the UNETR authors for BTCV."""

    flip: Probability = 0.2
    """Probability of mirroring, for each axis on its own; use 0 where only position tells a left from a right label."""
    rotate90: Probability = 0.2
    """Probability of turning by 90, 180 or 270 degrees about the slice axis."""
    scale_intensity: IntensityChange = IntensityChange()
    """v * (1 + change)"""
    shift_intensity: IntensityChange = IntensityChange()
    """v + change, in prepared units"""


class SplitOptions(Options):
    """Which cases are trained on, and which are held out."""

    train: Annotated[tuple[str, ...], Field(min_length=1)]
    """Ids of the training cases: file names without ending."""
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @field_validator("*")
    @classmethod
    def _composed(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        """Accents in the form that ids have, whatever form the task file has."""
        return tuple(normalize("NFC", case) for case in ids)


class VolumeDatasetOptions(DatasetOptions):
    """Base of the options of data sets of segmented NIfTI volumes."""

    layout: LayoutName = "auto"
    """How the folder is laid out: `datalist` (dataset_0.json or dataset.json), `nnunet` (imagesTr/*_0000.nii.gz and
    labelsTr), `pairs` (img + label, imagesTr + labelsTr, images + labels), or found out: a list goes before folders.
    With `pairs` numbers at the end of names are those of patients, in prediction too."""
    datalist: str | None = None
    """The datalist's file name below `root`, if it has another."""
    fold: NonNegativeInt | None = None
    """Hold out this fold for validation and train on the others: of the cases' `fold` in the datalist, or of nnU-Net's
    splits_final.json in `root`."""
    ignore_description: bool = False
    """Let the task's labels and channels count where dataset.json has others; else a difference stops the run."""
    spacing: Spacing | None = None
    """Voxel size in mm, along R, A, S, that volumes are resampled to; without, each file's own."""
    normalize: Literal["window", "percentile", "zscore"] = "percentile"
    """How intensities are scaled: `window` to [0, 1] and clipped; `percentile` likewise, between the 0.5th and 99.5th
    percentile of the volume; `zscore` to mean 0 and standard deviation 1 over voxels that are not 0, which stay 0."""
    window: tuple[float, float] | None = None
    """Lowest and highest intensity, in the files' units (HU for CT); giving it implies `normalize: window`."""
    crop: bool = True
    """Crop to the box around the body: voxels above 0 once scaled (other than 0 with `zscore`)."""
    patch: PatchOptions = PatchOptions()
    augment: AugmentOptions = AugmentOptions()
    split: SplitOptions | None = None
    """Names the cases of each split, and so overrides a datalist's lists and the data set's own split."""

    @model_validator(mode="before")
    @classmethod
    def _window_implies_normalize(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("window") is not None and "normalize" not in values:
            return {**values, "normalize": "window"}
        return values

    @model_validator(mode="after")
    def _window_fits(self) -> "VolumeDatasetOptions":
        if self.normalize == "window" and self.window is None:
            raise ValueError("normalize is window, but there is no window: give one, e.g. [-175, 250] HU")
        if self.normalize != "window" and self.window is not None:
            raise ValueError(f"normalize is {self.normalize}, which uses no window: leave one of them out")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f"window is {list(self.window)}, its first value has to be the lower one")
        return self

    @model_validator(mode="after")
    def _rotations_fit(self) -> "VolumeDatasetOptions":
        if self.augment.rotate90 and self.patch.size[0] != self.patch.size[1]:
            raise ValueError(
                f"augment.rotate90 turns patches about the slice axis, so the first two numbers of patch.size "
                f"{list(self.patch.size)} have to be equal; or set augment.rotate90 to 0"
            )
        return self

    @model_validator(mode="after")
    def _one_split(self) -> "VolumeDatasetOptions":
        if self.fold is not None and self.split is not None:
            raise ValueError("fold and split both say which cases are held out: leave one of them out")
        return self

    def check_description(self, found: Description) -> tuple[str, ...]:
        """Compare what the folder says of labels and channels with what is used.

        Returns:
            What to say about differences that do no harm.

        Raises:
            medvid.errors.DataError: they contradict each other.
        """
        return compare(found, self.label_names(), self.channel_count(), strict=False)

    def channel_count(self) -> int:
        """Channels of each case; one unless a data set says otherwise."""
        return 1

    def label_names(self) -> tuple[str, ...]:
        """Name of each label id, the background first."""
        raise NotImplementedError

    def input_info(self) -> InputInfo:
        """Patches as the model gets them, see `DatasetOptions.input_info`."""
        return InputInfo(layout="volume", channels=self.channel_count(), size=self.patch.size)

    def target_info(self) -> TargetInfo:
        """One label per voxel, see `DatasetOptions.target_info`."""
        return TargetInfo(task="segmentation", labels=self.label_names())
