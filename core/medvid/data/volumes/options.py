"""Options that every data set of segmented volumes has."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from medvid.config.named import Named
from medvid.config.numbers import Fraction
from medvid.config.options import DatasetOptions, FormatOptions, Options
from medvid.data.splits import SplitOptions
from medvid.data.transforms.options import (
    FlipOptions,
    Rotate90Options,
    ScaleIntensityOptions,
    ShiftIntensityOptions,
    VolumeTransform,
)
from medvid.data.volumes.description import Description, compare
from medvid.data.volumes.index import FolderLayout
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.steps.options import (
    Crop,
    CTOptions,
    Normalization,
    Resampling,
    WindowOptions,
    check_normalization,
)
from medvid.plugin.info import InputInfo, TargetInfo

Spacing = tuple[PositiveFloat, PositiveFloat, PositiveFloat]
Size = tuple[PositiveInt, PositiveInt, PositiveInt]

_FORCED = 0.33


class PatchOptions(Options):
    """How training patches are drawn from a case."""

    size: Size = (96, 96, 96)
    """Patch size in prepared voxels, along the axes R, A, S; smaller volumes are padded with zeros."""
    per_case: PositiveInt = 4
    """Patches drawn from a case each time it is visited."""
    centres: Literal["voxels", "classes"] = "voxels"
    """What decides where patches lie. `voxels`: a labelled voxel, or one of the body, by `positive` and `negative`, as
    in UNETR's code. `classes`: a share of `forced` patches is centred on a voxel of a class and the others lie
    anywhere, also over the rim, as in nnU-Net's."""
    positive: NonNegativeFloat = 1.0
    """Weight of patches centred on a labelled voxel, relative to `negative`; what nobody annotated is neither."""
    negative: NonNegativeFloat = 1.0
    """Weight of patches centred on an unlabelled voxel of the body."""
    forced: Fraction = _FORCED
    """With `centres: classes`, the share of patches centred on a voxel of one of the classes (or regions) of the case,
    drawn first, each as likely as any other. nnU-Net rounds it: 0.5 of a batch of 2, 0.33 of one of 3 or 9."""

    @model_validator(mode="after")
    def _some_weight(self) -> "PatchOptions":
        if self.positive + self.negative == 0:
            raise ValueError("positive and negative are both 0, so no patch can be drawn")
        if self.centres == "classes" and (self.positive, self.negative) != (1.0, 1.0):
            raise ValueError("positive and negative are for centres: voxels; leave them out, and set forced")
        if self.centres == "voxels" and self.forced != _FORCED:
            raise ValueError("forced is for centres: classes; leave it out, or set centres: classes")
        return self


class VolumeDatasetOptions(DatasetOptions):
    """Base of the options of data sets of segmented volumes."""

    folder_layout: FolderLayout = "auto"
    """Form of the folder: `datalist` (dataset_0.json or dataset.json), `nnunet` (imagesTr/*_0000.nii.gz and labelsTr),
    `pairs` (img + label, imagesTr + labelsTr, images + labels), or inferred, where a list takes precedence over
    folders. With `pairs`, numbers at the end of names are patients, not channels, also in prediction."""
    format: Annotated[FormatOptions, Named("format")] | None = None
    """The format that all images are read by; default: the one that recognises a file's content, else by its name."""
    answers: str = ""
    """Name of the format in which predictions are written; default: that of the image if it can be written, else NIfTI.
    Also: platform predict --format."""
    datalist: str | None = None
    """The datalist's file name below `root`, if it is not one of these."""
    ignore_description: bool = False
    """Use the task's labels and channels even if dataset.json has others; otherwise a difference stops the run."""
    spacing: Spacing | None = None
    """Voxel size in mm, along R, A, S, to which volumes are resampled; default: each file's own."""
    normalize: Normalization = "percentile"
    """Scaling of intensities: `window` maps the window to [0, 1] and clips; `percentile` does the same between the
    0.5th and 99.5th percentile of the volume; `zscore` gives mean 0 and standard deviation 1 over the nonzero voxels,
    and leaves zeros. Or a list with a block per channel, see docs/data.md."""
    window: tuple[float, float] | None = None
    """Lowest and highest intensity, in the files' units (HU for CT); implies `normalize: window`."""
    crop: Crop = "body"
    """Crop to the bounding box of the `body`: voxels above 0 after scaling (nonzero with `zscore`); or of those that
    are `nonzero` in any channel of the file; or false."""
    resampling: Resampling = "linear"
    """How volumes come to `spacing`: `linear`, with labels of the nearest voxel; or splines, as nnU-Net resamples."""
    straighten: bool = False
    """Resample scans with sheared axes, as of a CT with a tilted gantry, to axes at right angles when they are read:
    intensities linearly, labels to the nearest. Figures are of that grid, predictions lie on the file's own."""
    patch: PatchOptions = PatchOptions()
    augment: tuple[VolumeTransform, ...] = (
        FlipOptions(probability=0.2),
        Rotate90Options(probability=0.2),
        ScaleIntensityOptions(range=0.1, probability=0.1),
        ShiftIntensityOptions(range=0.1, probability=0.1),
    )
    """Random changes of training patches, in this order; the defaults are the UNETR authors' for BTCV."""
    split: SplitOptions | None = None
    """The cases of each split; default for each: as the folder says, else the data set's own split."""

    @model_validator(mode="before")
    @classmethod
    def _window_implies_normalize(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("window") is not None and "normalize" not in values:
            return {**values, "normalize": "window"}
        return values

    @model_validator(mode="after")
    def _steps_fit(self) -> "VolumeDatasetOptions":
        check_normalization(self.normalize, self.window, self.crop)
        if not isinstance(self.normalize, str) and len(self.normalize) != self.channel_count():
            raise ValueError(
                f"normalize needs a block for each of the channels, of which there are {self.channel_count()}, got "
                f"{len(self.normalize)}"
            )
        if self.resampling != "linear" and self.spacing is None:
            raise ValueError("resampling says how volumes come to spacing, but spacing is not set")
        return self

    def check_description(self, found: Description) -> tuple[str, ...]:
        """Compare the folder's description of labels and channels with the task's.

        Returns:
            Notes on harmless differences.

        Raises:
            medvid.errors.DataError: they contradict each other.
        """
        return compare(found, self.label_scheme(), self.channel_count(), strict=False)

    def display_window(self) -> tuple[float, float] | None:
        """Intensities of the first channel to be shown as black and white, in the files' units; None: as they are."""
        if isinstance(self.normalize, str):
            return self.window
        first = self.normalize[0]
        return (first.low, first.high) if isinstance(first, WindowOptions | CTOptions) else None

    def channel_count(self) -> int:
        """Channels of each case; one unless a data set says otherwise."""
        return 1

    def label_names(self) -> tuple[str, ...]:
        """Name of each label id, the background first, where the ids are classes."""
        raise NotImplementedError

    def label_scheme(self) -> LabelScheme:
        """What the ids in label maps stand for; classes unless a data set says otherwise."""
        return LabelScheme(self.label_names())

    def input_info(self) -> InputInfo:
        """Patches as the model gets them, see `DatasetOptions.input_info`."""
        return InputInfo(axes="volume", channels=self.channel_count(), size=self.patch.size)

    def examples_per_case(self) -> int:
        """Patches, see `DatasetOptions.examples_per_case`."""
        return self.patch.per_case

    def target_info(self) -> TargetInfo:
        """A class per voxel, or regions, see `DatasetOptions.target_info`."""
        return self.label_scheme().target_info()
