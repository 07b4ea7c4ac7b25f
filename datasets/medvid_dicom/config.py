"""Options of the DICOM formats."""

from typing import Literal

from pydantic import Field

from medvid.config.options import FormatOptions


class DicomOptions(FormatOptions):
    """DICOM images: a folder or zip of slices, or an enhanced multi-frame file (PS3.3)."""

    name: Literal["dicom"] = "dicom"
    series: str | dict[str, str | int | float] = ""
    """Which series of a folder: its SeriesInstanceUID, a pattern of its SeriesDescription ("T1*"), "largest" for the
    one of most slices, or attributes: {SeriesNumber: 3, AcquisitionNumber: 2}. Default: the only one."""
    tolerance: float = Field(default=0.01, gt=0, lt=0.5)
    """Part of the distance of two slices by which it may differ from the usual one; above, the series is refused."""
    suv: bool = False
    """Of PET: activity (Bq/ml) becomes uptake by body weight (SUVbw, g/ml)."""


class DicomSegOptions(FormatOptions):
    """DICOM segmentations, read and written, and structure sets of radiotherapy (RTSTRUCT), read."""

    name: Literal["dicom_seg"] = "dicom_seg"
