"""Options of Synapse, and of the phantoms that stand in for it."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from medvid.config.images import Size2D
from medvid.config.options import DatasetOptions, Options
from medvid.config.volumes import Probability, Size, Spacing, SplitOptions, VolumeDatasetOptions
from medvid.data.index import LayoutName
from medvid.plugin.info import InputInfo, TargetInfo

LABELS = (
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
"""The eight organs that TransUNet is scored on, in the order of its files."""

BTCV_LABELS = (
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
"""The labels of the challenge's own files, by id."""


class SliceAugmentOptions(Options):
    """Random changes of training slices; the defaults are those of the TransUNet authors."""

    turn: Probability = 0.5
    """Probability of a turn by 0, 90, 180 or 270 degrees followed by mirroring an axis."""
    rotate: Probability = 0.5
    """Probability, where that is not done, of a rotation ..."""
    angle: PositiveInt = 20
    """... by whole degrees from [-angle, angle), by nearest neighbours in the image too."""


class SynapseOptions(DatasetOptions):
    """The 30 labelled volumes of BTCV as TransUNet uses them: axial slices, eight organs, 18 cases against 12.

    A model is trained on slices and scored on whole volumes.
    """

    name: Literal["synapse"] = "synapse"
    layout: LayoutName | Literal["preprocessed"] = "auto"
    """How the folder is laid out: `preprocessed` (the authors' train_npz and test_vol_h5), or as BTCV comes, see the
    data set btcv; or found out."""
    datalist: str | None = None
    """The file name below `root` of the list of volumes, if there are several."""
    ignore_description: bool = False
    """Read the volumes although a dataset.json in `root` has other labels or channels than BTCV."""
    size: Size2D = (224, 224)
    """Height and width that slices are resized to."""
    window: tuple[float, float] = (-125.0, 275.0)
    """HU that become 0 and 1; preprocessed files are scaled already. The authors scale each volume between its own
    lowest and highest value within the window; in CT those are the window's, as there is always air and bone."""
    augment: SliceAugmentOptions = SliceAugmentOptions()
    split: SplitOptions | None = None
    """Names the volumes of each split; default: the authors' 18 for training and 12 for testing."""

    @model_validator(mode="after")
    def _window_fits(self) -> "SynapseOptions":
        if not self.window[0] < self.window[1]:
            raise ValueError(f"window is {list(self.window)}, its first value has to be the lower one")
        return self

    @property
    def is_preprocessed(self) -> bool:
        """Whether the folder is laid out as the authors' files."""
        return self.layout == "preprocessed" or (self.layout == "auto" and (self.root / "train_npz").is_dir())

    def input_info(self) -> InputInfo:
        """Slices as the model gets them, see `DatasetOptions.input_info`."""
        return InputInfo(layout="image", channels=1, size=self.size)

    def target_info(self) -> TargetInfo:
        """Eight organs, see `DatasetOptions.target_info`."""
        return TargetInfo(task="segmentation", labels=LABELS)


class ScanOptions(VolumeDatasetOptions):
    """The volumes that slices are cut from, as they come from BTCV."""

    def label_names(self) -> tuple[str, ...]:
        """Background and the 13 organs that are labelled in the files."""
        return BTCV_LABELS


class SynapsePhantomOptions(Options):
    """Abdominal phantoms under the names of the 30 volumes, in BTCV's layout and file format."""

    shape: Size = (80, 64, 24)
    """Voxels of each file, on its own axes."""
    spacing: Spacing = (3.9, 3.9, 8.3)
    """Voxel size of the files in mm, give or take 5 %."""
    seed: Annotated[int, Field(ge=0)] = 0
