"""Options of BTCV, of Synapse, which is BTCV as TransUNet uses it, and of the phantoms that are their demo data."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from medvid.config.numbers import Fraction
from medvid.config.options import DatasetOptions, Options, TransformOptions
from medvid.data.images.options import Size2D
from medvid.data.splits import SplitOptions
from medvid.data.transforms.options import ImageTransform
from medvid.data.volumes.index import FolderLayout
from medvid.data.volumes.options import Size, Spacing, VolumeDatasetOptions
from medvid.data.volumes.steps.options import Normalization
from medvid.plugin import InputInfo, TargetInfo

LABELS = (
    "background",
    "spleen",
    "right_kidney",
    "left_kidney",
    "gallbladder",
    "esophagus",
    "liver",
    "stomach",
    "aorta",
    "inferior_vena_cava",
    "portal_splenic_veins",
    "pancreas",
    "right_adrenal",
    "left_adrenal",
)
"""The labels of the challenge, by id."""

SYNAPSE_LABELS = (
    "background",
    "aorta",
    "gallbladder",
    "left_kidney",
    "right_kidney",
    "liver",
    "pancreas",
    "spleen",
    "stomach",
)
"""The eight organs on which TransUNet is scored, in the order of its files."""


class BTCVOptions(VolumeDatasetOptions):
    """BTCV, with the preparation and augmentation of the UNETR authors (research-contributions, UNETR/BTCV).

    Cases are split by `split`, else by a datalist in the folder, else as published: img0001-0010 and img0021-0034 for
    training, img0035-0040 for validation.
    """

    name: Literal["btcv"] = "btcv"
    spacing: Spacing | None = (1.5, 1.5, 2.0)
    normalize: Normalization = "window"
    window: tuple[float, float] | None = (-175.0, 250.0)

    def label_names(self) -> tuple[str, ...]:
        """Background and the 13 organs."""
        return LABELS


class PhantomOptions(Options):
    """Abdominal phantoms in BTCV's layout and file format."""

    train: PositiveInt = 16
    """Number of training cases."""
    validation: PositiveInt = 4
    """Number of validation cases."""
    shape: Size = (80, 64, 40)
    """Voxels of each file, on its own axes."""
    spacing: Spacing = (3.9, 3.9, 5.0)
    """Voxel size of the files in mm, give or take 5 %."""
    seed: NonNegativeInt = 0


class TurnOrRotateOptions(TransformOptions):
    """Turn and mirror a slice, or else rotate it a little; the defaults are the TransUNet authors'."""

    name: Literal["turn_or_rotate"] = "turn_or_rotate"
    turn: Fraction = 0.5
    """Probability of a turn by 0, 90, 180 or 270 degrees followed by mirroring an axis."""
    rotate: Fraction = 0.5
    """Probability of a rotation, if the slice is not turned and mirrored."""
    angle: PositiveInt = 20
    """Rotate by whole degrees drawn from [-angle, angle), with nearest neighbours in the image too."""


class SynapseOptions(DatasetOptions):
    """The 30 labelled volumes of BTCV as TransUNet uses them: axial slices, eight organs, 18 cases against 12.

    A model is trained on slices and scored on whole volumes.
    """

    name: Literal["synapse"] = "synapse"
    folder_layout: FolderLayout | Literal["preprocessed"] = "auto"
    """Form of the folder: `preprocessed` (the authors' train_npz and test_vol_h5), or as BTCV comes, see the data set
    btcv; or inferred."""
    datalist: str | None = None
    """The file name, below `root`, of the list of volumes, if there are several."""
    ignore_description: bool = False
    """Read the volumes even if a dataset.json in `root` has labels or channels other than BTCV's."""
    size: Size2D = (224, 224)
    """Height and width to which slices are resized."""
    window: tuple[float, float] = (-125.0, 275.0)
    """HU that become 0 and 1; preprocessed files are already scaled. The authors scale each volume between its own
    lowest and highest value within the window; in CT these are the window's ends, as there is always air and bone."""
    augment: tuple[ImageTransform, ...] = (TurnOrRotateOptions(),)
    """Random changes of training slices, in this order, before they are resized."""
    split: SplitOptions | None = None
    """The volumes of each split; default: the authors' 18 for training and 12 for testing."""

    @model_validator(mode="after")
    def _window_fits(self) -> "SynapseOptions":
        if not self.window[0] < self.window[1]:
            raise ValueError(f"window is {list(self.window)}, its first value has to be the lower one")
        return self

    @property
    def is_preprocessed(self) -> bool:
        """Whether the folder has the layout of the authors' files."""
        return self.folder_layout == "preprocessed" or (
            self.folder_layout == "auto" and (self.root / "train_npz").is_dir()
        )

    def input_info(self) -> InputInfo:
        """Slices as the model gets them, see `DatasetOptions.input_info`."""
        return InputInfo(axes="image", channels=1, size=self.size)

    def target_info(self) -> TargetInfo:
        """Eight organs, see `DatasetOptions.target_info`."""
        return TargetInfo("voxel", "class", SYNAPSE_LABELS)


class ScanOptions(VolumeDatasetOptions):
    """The volumes from which slices are cut, as they come from BTCV."""

    def label_names(self) -> tuple[str, ...]:
        """Background and the 13 organs that are labelled in the files."""
        return LABELS


class SynapsePhantomOptions(Options):
    """Abdominal phantoms with the names of the 30 volumes, in BTCV's layout and file format."""

    shape: Size = (80, 64, 24)
    """Voxels of each file, on its own axes."""
    spacing: Spacing = (3.9, 3.9, 8.3)
    """Voxel size of the files in mm, give or take 5 %."""
    seed: NonNegativeInt = 0
