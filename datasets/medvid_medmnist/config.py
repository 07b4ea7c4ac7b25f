"""Options of MedMNIST, of its protocol, and of generated sets in its form."""

from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.options import DatasetOptions, Options, ProtocolOptions
from medvid.data.images.options import Size2D
from medvid.data.transforms.options import ImageTransform, VolumeTransform
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_medmnist.sets import SETS, MedMNISTSet

Size3D = tuple[PositiveInt, PositiveInt, PositiveInt]


class MedMNISTOptions(DatasetOptions):
    """Base of the options of both kinds; `root` has the .npz files as published (zenodo.org/records/10519652)."""

    flag: str
    channels: Literal[1, 3] = 3
    """3: gray images are repeated, as in the published training; 1: as they are."""
    mean: float = 0.5
    """Subtracted from values in [0, 1]."""
    std: PositiveFloat = 0.5
    """Divisor after that; with the `mean` of 0.5, values are in [-1, 1], as in the published training."""

    @model_validator(mode="after")
    def _channels_fit(self) -> "MedMNISTOptions":
        if self.channels < self.one.channels:
            raise ValueError(f"channels is {self.channels}, but {self.flag} is in colour: set 3")
        return self

    @property
    def one(self) -> MedMNISTSet:
        """The chosen set."""
        return SETS[self.flag]

    def archive(self) -> Path:
        """The set's file."""
        raise NotImplementedError

    def model_size(self) -> tuple[int, ...]:
        """Of the model's input, *S."""
        raise NotImplementedError

    def input_info(self) -> InputInfo:
        """Images, or volumes, see `DatasetOptions.input_info`."""
        return InputInfo("volume" if self.one.is_volume else "image", self.channels, self.model_size())

    def target_info(self) -> TargetInfo:
        """A class, or labels, see `DatasetOptions.target_info`."""
        return TargetInfo("case", "labels" if self.one.task == "labels" else "class", self.one.names)

    def _named(self, resolution: int) -> Path:
        return self.root / f"{self.flag}{'' if resolution == 28 else f'_{resolution}'}.npz"


class MedMNIST2DOptions(MedMNISTOptions):
    """The sets of images."""

    name: Literal["medmnist2d"] = "medmnist2d"
    flag: Literal[
        "pathmnist",
        "chestmnist",
        "dermamnist",
        "octmnist",
        "pneumoniamnist",
        "retinamnist",
        "breastmnist",
        "bloodmnist",
        "tissuemnist",
        "organamnist",
        "organcmnist",
        "organsmnist",
    ]
    """The set. DermaMNIST is not for commercial use. In BreastMNIST class 1, the positive one, is normal or benign."""
    resolution: Literal[28, 64, 128, 224] = 28
    """Pixels on a side in the file."""
    size: Size2D | None = None
    """Height and width to which images are resized; default: they stay. The published "224" are of 28, resized."""
    augment: tuple[ImageTransform, ...] = ()
    """Random changes of training images, in this order, before they are normalised."""

    def archive(self) -> Path:
        """``<flag>.npz``, or ``<flag>_<resolution>.npz``."""
        return self._named(self.resolution)

    def model_size(self) -> tuple[int, ...]:
        """Height and width."""
        return self.size or (self.resolution, self.resolution)


class MedMNIST3DOptions(MedMNISTOptions):
    """The sets of volumes."""

    name: Literal["medmnist3d"] = "medmnist3d"
    flag: Literal[
        "organmnist3d", "nodulemnist3d", "adrenalmnist3d", "fracturemnist3d", "vesselmnist3d", "synapsemnist3d"
    ]
    """The set. The organs are in another order than those in 2D."""
    resolution: Literal[28, 64] = 28
    """Voxels on a side in the file."""
    size: Size3D | None = None
    """Size to which volumes are resized; default: they stay."""
    augment: tuple[VolumeTransform, ...] = ()
    """Random changes of training volumes, in this order, before they are normalised."""

    def archive(self) -> Path:
        """``<flag>.npz``, or ``<flag>_64.npz``."""
        return self._named(self.resolution)

    def model_size(self) -> tuple[int, ...]:
        """As the axes lie in the file."""
        return self.size or (self.resolution,) * 3


class MedMNISTProtocolOptions(ProtocolOptions):
    """The official evaluator's figures, `auc` and `acc`; the best weights are those of the best AUC."""

    name: Literal["medmnist"]

    def check_target(self, info: TargetInfo) -> None:
        """Refuse unknown labels, which its figures have no rule for, see `ProtocolOptions.check_target`."""
        if info.has_unknown:
            raise ValueError("it has no rule for unknown labels")


class ShapesOptions(Options):
    """Generated sets in MedMNIST's form."""

    flags: tuple[str, ...] = ("pneumoniamnist",)
    """The sets that they stand in for."""
    train: PositiveInt = 240
    validation: PositiveInt = 60
    test: PositiveInt = 60
    seed: NonNegativeInt = 0
