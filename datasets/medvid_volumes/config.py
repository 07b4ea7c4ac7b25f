"""Options of volumes with answers of their own, and of the generated ones that are their demo data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from medvid.config.named import Named
from medvid.config.options import FormatOptions, Options
from medvid.data.tables.folders import holds
from medvid.data.tables.options import AnsweredOptions
from medvid.data.transforms.options import VolumeTransform
from medvid.data.volumes.options import Spacing
from medvid.plugin.info import InputInfo

Size3D = tuple[PositiveInt, PositiveInt, PositiveInt]


class VolumesOptions(AnsweredOptions):
    """A user's own volumes, with a class, findings or numbers each.

    Files of any format that is enabled (NIfTI, NRRD, MetaImage, DICOM ...), or folders of DICOM files, in a folder per
    class, or named by a CSV file with a line per volume.
    """

    name: Literal["volumes"] = "volumes"
    format: Annotated[FormatOptions, Named("format")] | None = None
    """The format that all files are read by; default: the one that recognises a file's content, else by its name."""
    channels: PositiveInt = 1
    """Channels of each volume, all in one file."""
    spacing: Spacing | None = None
    """Voxel size in mm, along R, A, S, to which volumes are resampled first; default: each file's own."""
    normalize: Literal["window", "percentile", "zscore"] = "percentile"
    """Scaling of intensities: `window` maps the window to [0, 1] and clips; `percentile` does the same between the
    0.5th and 99.5th percentile of the volume; `zscore` gives mean 0 and standard deviation 1 over the nonzero voxels,
    and leaves zeros."""
    window: tuple[float, float] | None = None
    """Lowest and highest intensity, in the files' units (HU for CT); implies `normalize: window`."""
    straighten: bool = False
    """Resample scans with sheared axes, as of a CT with a tilted gantry, to axes at right angles when they are read."""
    body: bool = True
    """Cut out the box around the body first: voxels above 0 after scaling (nonzero with `zscore`)."""
    size: Size3D = (96, 96, 96)
    """Size of the model's input, along R, A, S."""
    fit: Literal["stretch", "crop"] = "stretch"
    """How a volume gets this size: by resampling it whole, or by taking its centre at its voxel size, with zeros around
    where it is smaller."""
    augment: tuple[VolumeTransform, ...] = ()
    """Random changes of training volumes, in this order."""

    @model_validator(mode="before")
    @classmethod
    def _window_implies_normalize(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("window") is not None and "normalize" not in values:
            return {**values, "normalize": "window"}
        return values

    @model_validator(mode="after")
    def _window_fits(self) -> "VolumesOptions":
        if (self.normalize == "window") != (self.window is not None):
            raise ValueError(f"normalize is {self.normalize}, window {self.window}: set both or neither")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f"window is {list(self.window)}, its first value has to be the lower one")
        return self

    def input_info(self) -> InputInfo:
        """Volumes as the model gets them, see `DatasetOptions.input_info`."""
        return InputInfo("volume", self.channels, self.size)


_FILES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def recognise(folder: Path) -> dict[str, Any] | None:
    """The options for a folder with a table of volumes, or with a folder of volumes per class."""
    return {} if holds(folder, _FILES) else None


class HeadsOptions(Options):
    """Generated scans of heads, with a table of what is in them."""

    patients: PositiveInt = 40
    """Number of patients; each has one scan."""
    size: Size3D = (40, 44, 32)
    """Voxels of each scan, of 2 x 2 x 2.5 mm."""
    seed: NonNegativeInt = 0
