"""DICOM: images and labels as clinics have them."""

from collections.abc import Iterable
from importlib.util import find_spec

from medvid.plugin import ComponentSpec, FormatSpec, hookimpl

_CAN_WRITE = find_spec("highdicom") is not None


@hookimpl
def medvid_components() -> Iterable[ComponentSpec]:
    """Contribute the formats `dicom` and `dicom_seg`."""
    yield FormatSpec(
        name="dicom",
        target="medvid_dicom.formats:Dicom",
        config="medvid_dicom.config:DicomOptions",
        summary="DICOM images: a folder or zip of slices, or a multi-frame file",
        suffixes=(".dcm", ".dicom", ".ima", ".zip"),
        folders=True,
        pictures=(".dcm", ".dicom", ".ima"),
        answers="dicom_seg",
        demo="medvid_dicom.demo:write_scan",
    )
    yield FormatSpec(
        name="dicom_seg",
        target="medvid_dicom.formats:DicomSeg",
        config="medvid_dicom.config:DicomSegOptions",
        summary="DICOM segmentations (SEG), and contours (RTSTRUCT) as labels",
        suffixes=(".dcm",),
        folders=True,
        writes=".dcm" if _CAN_WRITE else "",
        demo="medvid_dicom.demo:write_segmentation" if _CAN_WRITE else "",
        identifies=True,
        exceptions={"write": "a segmentation repeats its images, so it is written beside those alone"},
    )
