"""A label map as DICOM SEG, of bits, beside the images that it was made from: highdicom writes it."""

import re
from collections.abc import Sequence
from copy import copy
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.volumes.formats.format import UnusableError
from medvid.files import write_bytes
from medvid_dicom.files import lenient
from medvid_dicom.frames import Frame

_ORGANS = {
    "aorta": "15825003",
    "bladder": "89837001",
    "brain": "12738006",
    "esophagus": "32849002",
    "gallbladder": "28231008",
    "heart": "80891009",
    "left kidney": "18639004",
    "liver": "10200004",
    "pancreas": "15776009",
    "prostate": "41216001",
    "right kidney": "9846003",
    "spleen": "78961009",
    "stomach": "69695003",
}
"""SNOMED CT codes of structures by their usual names."""


def write_segmentation(path: Path, labels: np.ndarray, names: Sequence[str], frames: Sequence[Frame]) -> None:
    """Write a label map as DICOM SEG of type BINARY, one segment per label, complete or not at all.

    Patient, study and frame of reference are those of the images.

    Args:
        path: the file.
        labels: (column, row, slice) label ids; 0 is the background.
        names: of the labels by id; all of them become segments, drawn or not.
        frames: of the images, in the order of the slices.

    Raises:
        UnusableError: highdicom is not installed, or the images lack what a segmentation has to repeat.
        ResourceError: it cannot be written.
    """
    try:
        from highdicom.seg import Segmentation, SegmentationTypeValues
    except ImportError:
        missing = "cannot be written as DICOM SEG without highdicom"
        raise UnusableError(missing, 'pip install "medvid[dicom-seg]"') from None
    with lenient():
        segmentation = Segmentation(
            **_sources(frames),
            pixel_array=np.ascontiguousarray(labels.transpose(2, 1, 0)),
            omit_empty_frames=bool(labels.any()),
            pixel_measures=_measures(frames),
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[_description(label, name) for label, name in enumerate(names) if label],
            series_instance_uid=_uid(),
            series_number=900,
            sop_instance_uid=_uid(),
            instance_number=1,
            manufacturer="medvid",
            manufacturer_model_name="medvid",
            software_versions=version("medvid"),
            device_serial_number="0",
            content_label="PREDICTION",
            series_description="Segmentation by medvid",
        )
        content = BytesIO()
        segmentation.save_as(content)
    write_bytes(path, content.getvalue())


def _sources(frames: Sequence[Frame]) -> dict[str, Any]:
    """The images; of an enhanced file also the places of its frames, in the order of the slices."""
    from highdicom import PlanePositionSequence
    from highdicom.enum import CoordinateSystemNames

    headers = [frame.header for frame in frames]
    if all(header is headers[0] for header in headers) and headers[0].number("NumberOfFrames", 1) > 1:
        places = [PlanePositionSequence(CoordinateSystemNames.PATIENT, frame.position.tolist()) for frame in frames]
        return {"source_images": [headers[0].tags], "plane_positions": places}
    return {"source_images": [_with_thickness(header.tags) for header in headers]}


def _with_thickness(tags: Any) -> Any:
    """Highdicom reads a thickness that it does not use, as it is told the measures; many images have none."""
    if "SliceThickness" not in tags:
        tags = copy(tags)
        tags.SliceThickness = None
    return tags


def _measures(frames: Sequence[Frame]) -> Any:
    """Pixel sizes as the images have them; many lack a thickness, for which the distance of slices stands."""
    from highdicom import PixelMeasuresSequence

    first = frames[0]
    step = abs(float((frames[-1].position - first.position) @ first.normal)) / max(len(frames) - 1, 1)
    thickness = first.number("SliceThickness") or step or 1.0
    return PixelMeasuresSequence(first.spacing.tolist(), thickness, step or None)


def _description(label: int, name: str) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.coding import Code

    plain = re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
    code = (_ORGANS[plain], "SCT") if plain in _ORGANS else (f"LABEL{label}", "99MEDVID")
    return SegmentDescription(
        segment_number=label,
        segment_label=name[:64],
        segmented_property_category=Code("123037004", "SCT", "Anatomical Structure"),
        segmented_property_type=Code(*code, name[:64]),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            "medvid", Code("123110", "DCM", "Artificial Intelligence"), version("medvid")
        ),
    )


def _uid() -> Any:
    from pydicom.uid import generate_uid

    return generate_uid()
